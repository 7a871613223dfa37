"""Causal attention over packed sequences, each attending only to itself: no padding, no mask.

TRL's padding-free collator concatenates a batch into one row with the start of each sequence. FlashAttention supports that;
PyTorch's kernels would need a mask of length x length, which for short sequences costs more than the rest of the step. Here
each sequence is one call of scaled_dot_product_attention on its slice. Neighbour: slots.py (attention while decoding).
"""

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "packed_sdpa"


def packed_attention(
    module: torch.nn.Module,
    query_BHTD: torch.Tensor,
    key_BKTD: torch.Tensor,
    value_BKTD: torch.Tensor,
    attention_mask: torch.Tensor | None,
    cu_seq_lens_q: torch.Tensor | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one packed row, with the signature of transformers' AttentionInterface.

    B is 1, H query heads, K key heads, T tokens of all sequences, D head size. cu_seq_lens_q has the start of each
    sequence, and T at its end. Returns (B, T, H, D). Raises ValueError for rows that are not packed, which would attend to
    their padding.
    """
    if query_BHTD.shape[0] != 1 or cu_seq_lens_q is None:
        raise ValueError(
            f"{NAME} needs one packed row, and got {query_BHTD.shape[0]} rows"
            + ("" if cu_seq_lens_q is not None else " without cu_seq_lens_q")
            + "; load the model with attn_implementation='sdpa' for padded rows"
        )
    lengths = cu_seq_lens_q.diff().tolist()
    chosen: dict[str, Any] = {"dropout_p": options.get("dropout", 0.0), "scale": options.get("scaling")}
    grouped = query_BHTD.shape[1] != key_BKTD.shape[1]
    parts = zip(*(tensor.split(lengths, dim=2) for tensor in (query_BHTD, key_BKTD, value_BKTD)), strict=True)
    attended = [
        scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped, **chosen) for q, k, v in parts
    ]
    return torch.cat(attended, dim=2).transpose(1, 2), None


def register() -> str:
    """Register the attention with transformers; returns its name for `attn_implementation`."""
    AttentionInterface.register(NAME, packed_attention)
    return NAME
