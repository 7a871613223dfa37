"""Measuring a policy: answering.py (an engine and graders), runner.py (after a stage), sweep.py (over budgets), metrics.py."""
