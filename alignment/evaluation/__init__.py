"""Measuring a policy: metrics.py (figures and intervals), tasks.py (held-out problems), runner.py, sweep.py (budgets)."""
