"""Runs a recipe: which stages to run, resume or refuse (plan.py), and their processes."""
