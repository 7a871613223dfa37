"""Searching for the fractions of a mixture by small trials and a regression."""
