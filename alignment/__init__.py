"""Runs post-training recipes: from a model and data to policies, measurements and a report. README.md has the rooms."""
