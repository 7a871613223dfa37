"""Recipes: schema.py and its neighbours say what one may say, load.py reads it; checks/ says what cannot work."""
