"""Adaptive budgets: a thinking budget for each prompt, fitted to a budget sweep."""
