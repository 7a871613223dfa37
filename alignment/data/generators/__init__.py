"""Procedural problems: families that generate an unlimited number of problems from a seed."""
