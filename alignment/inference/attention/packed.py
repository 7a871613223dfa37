"""Causal attention over rows that lie end to end, each seeing itself alone: no padding, no mask.

TRL's padding-free collator lays a batch out as one long row and says where each sequence begins. FlashAttention reads
that; PyTorch's own kernels would need a mask of length x length, which costs more than everything else in the step once
rows are short. Here each sequence is one call of scaled_dot_product_attention on its own slice.
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
    """Attention of a batch of one packed row, in the form that transformers' AttentionInterface asks for.

    B is 1, H query heads, K key heads, T tokens of all sequences, D head size. cu_seq_lens_q holds where each sequence
    begins, and T at its end. Returns (B, T, H, D). Raises ValueError for rows that are not packed: without a mask they
    would attend to their padding.
    """
    if query_BHTD.shape[0] != 1 or cu_seq_lens_q is None:
        raise ValueError(
            f"{NAME} attends over one packed row, and was given {query_BHTD.shape[0]} rows"
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
    """Make the attention known to transformers; returns the name that `attn_implementation` takes."""
    AttentionInterface.register(NAME, packed_attention)
    return NAME
