"""Reinforcement learning: batches, advantages, losses and the trainer."""
