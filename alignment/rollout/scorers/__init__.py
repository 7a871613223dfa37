"""Scorers: scores of rollouts by a model beside the trainer, and how they join the verifiers' verdicts."""
