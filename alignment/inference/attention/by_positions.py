"""Packed attention that finds where rows begin in their positions: a row begins wherever a position is 0.

packed.py is told where rows begin. Where several processes share one pack, each has a part of it, and DeepSpeed gathers
queries, keys, values and positions of the whole pack, but no bounds. Neighbour: training/sequence_parallel.py (who asks).
"""

from typing import Any

import torch
from torch.nn.functional import pad
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from alignment.inference.attention.packed import packed_attention

NAME = "packed_by_positions"


def attention_by_positions(
    module: torch.nn.Module,
    query_BHTD: torch.Tensor,
    key_BKTD: torch.Tensor,
    value_BKTD: torch.Tensor,
    attention_mask: torch.Tensor | None,
    position_ids: torch.Tensor,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """`packed_attention` of a pack whose positions (1, T) begin anew with each row. Returns (1, T, H, D)."""
    options.pop("cu_seq_lens_q", None)
    starts = (position_ids[0] == 0).nonzero()[:, 0].to(torch.int32)
    bounds = pad(starts, (0, 1), value=position_ids.shape[1])
    return packed_attention(module, query_BHTD, key_BKTD, value_BKTD, None, bounds, **options)


def register() -> str:
    """Register the attention with transformers; returns its name for `attn_implementation`.

    In place of what DeepSpeed may have wrapped around it for an earlier model.
    """
    ALL_ATTENTION_FUNCTIONS[NAME] = attention_by_positions
    return NAME
