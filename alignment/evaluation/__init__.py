"""Evaluation: tasks, answering and judging them, the measures, the budget sweep, adaptive budgets."""
