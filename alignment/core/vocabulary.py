"""The two modes and the data splits, as recipes, data and records write them."""

from typing import Literal, get_args

Mode = Literal["thinking", "non_thinking"]
MODES: tuple[Mode, ...] = get_args(Mode)

Flag = Literal["/think", "/no_think"]

Split = Literal["evaluation", "cold_start", "reasoning", "fusion", "general"]
SPLITS: tuple[Split, ...] = get_args(Split)
TRAINING_SPLITS: tuple[Split, ...] = tuple(split for split in SPLITS if split != "evaluation")
