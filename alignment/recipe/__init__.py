"""Recipes: schema.py and blocks.py say what one may say, document.py reads it, check.py what cannot work, plan.py prints it."""
