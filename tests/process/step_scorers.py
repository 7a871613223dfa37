"""Process reward models for tests that need one and not what it has learned."""

from pathlib import Path

import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from alignment.core.resources import resource


def untrained_scorer(folder: Path) -> Path:
    """The embedded model with a head that has learned nothing; steps are lines."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(resource("data/base"))
    tokenizer.add_tokens(["<extra_0>"], special_tokens=True)
    model = AutoModelForTokenClassification.from_pretrained(resource("data/base"), num_labels=2)
    model.config.step_token, model.config.step_split = "<extra_0>", {"by": "line"}
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
