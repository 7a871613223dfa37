"""Rollouts: groups and dynamic sampling, environments, trajectories, and scoring them with verifiers."""
