"""Runs a recipe: plan.py decides which stages to run, resume or refuse; runner.py starts their processes."""
