"""Judges of a run: served models and the double of one, and the GPUs they get."""
