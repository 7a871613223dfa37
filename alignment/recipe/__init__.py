"""Recipes: schema.py and its neighbours define the fields, load.py reads a file; checks/ finds what cannot work."""
