"""Checks of what a recipe reads: the parts of its mixtures, their rows, references, lengths, splits and overlap with tests."""
