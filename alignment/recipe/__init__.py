"""Recipes: schema.py says what one may say, document.py reads it, check.py what cannot work, plan.py prints it."""
