"""The floating-point type of models that score and do not sample.

Neighbours: core/precision.py (the rule), process_model.py, reward_model.py and frozen_policy.py (who ask).
"""

import torch

from alignment.core.precision import Precision, resolved


def scoring_dtype(asked: Precision = "auto") -> torch.dtype:
    """The type of a model's weights on this machine."""
    found: torch.dtype = getattr(torch, resolved(asked, on_gpu=torch.cuda.is_available()))
    return found
