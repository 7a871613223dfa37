"""The budget sweep: accuracy over thinking budgets."""
