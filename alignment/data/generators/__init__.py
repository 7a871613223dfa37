"""Procedural problems: families that make problems from a seed, without end."""
