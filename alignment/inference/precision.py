"""The floating-point type of models that score and do not sample.

Neighbours: process_model.py, reward_model.py and frozen_policy.py (who ask), recipe/blocks/engine.py (of engines).
"""

import torch

from alignment.core.vocabulary import Precision


def scoring_dtype(asked: Precision = "auto") -> torch.dtype:
    """The type of a model's weights; auto is float32 on a CPU and bfloat16 on a GPU."""
    half = torch.cuda.is_available() if asked == "auto" else asked == "bfloat16"
    return torch.bfloat16 if half else torch.float32
