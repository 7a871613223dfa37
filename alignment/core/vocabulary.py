"""Words that several rooms share: the two modes, the data splits, a commit of the hub, kinds of layers."""

import re
from typing import Literal, get_args

Mode = Literal["thinking", "non_thinking"]
MODES: tuple[Mode, ...] = get_args(Mode)

Flag = Literal["/think", "/no_think"]

Split = Literal["evaluation", "cold_start", "reasoning", "fusion", "general"]
SPLITS: tuple[Split, ...] = get_args(Split)
TRAINING_SPLITS: tuple[Split, ...] = tuple(split for split in SPLITS if split != "evaluation")

COMMIT = re.compile(r"[0-9a-f]{40}")  # of a hub repository: a revision that cannot move
# Kinds of layers (transformers' `layer_types`) that are attention; any other carries a state along a row.
ATTENTION_LAYERS = ("full_attention", "sliding_attention", "chunked_attention")
