"""The logistic function, for probabilities from log-odds."""

import math


def sigmoid(log_odds: float) -> float:
    """1 / (1 + exp(-log_odds)), without overflow at either end and exact near 0."""
    if log_odds >= 0:
        return 1 / (1 + math.exp(-log_odds))
    odds = math.exp(log_odds)
    return odds / (1 + odds)
