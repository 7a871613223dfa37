"""Environments of a rollout: a single turn, tools that are executed, or one from another package."""
