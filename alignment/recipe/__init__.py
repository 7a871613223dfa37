"""Recipes: schema.py and blocks/ define the fields, reading/ reads a file; checks/ finds what cannot work."""
