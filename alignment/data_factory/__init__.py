"""Kinds of work that make training rows from other rows."""
