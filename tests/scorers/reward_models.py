"""Reward models for tests that need one and not what it has learned."""

from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from alignment.core.resources import resource


def untrained_reward_model(folder: Path) -> Path:
    """The embedded model with a head that has learned nothing."""
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(resource("data/base"), num_labels=1)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(resource("data/base")).save_pretrained(folder)
    return folder
