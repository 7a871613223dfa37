"""Words that recipes, data and records share: the two modes, and the splits of the problem space."""

from typing import Literal, get_args

Mode = Literal["thinking", "non_thinking"]
MODES: tuple[Mode, ...] = get_args(Mode)

Split = Literal["evaluation", "cold_start", "reasoning", "fusion", "general"]
SPLITS: tuple[Split, ...] = get_args(Split)
TRAINING_SPLITS: tuple[Split, ...] = tuple(split for split in SPLITS if split != "evaluation")
