"""Causal attention over packed sequences, each attending only to itself: no padding, no mask.

TRL's padding-free collator concatenates a batch into one row with the start of each sequence. FlashAttention supports that;
PyTorch's kernels would need a mask of length x length, which for short sequences costs more than the rest of the step. Here
all sequences are one call of varlen.py's kernel on a GPU, and elsewhere each is one call of scaled_dot_product_attention on
its slice. Neighbour: slots.py (attention while decoding).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from alignment.inference.attention.varlen import bounds_of, kernel_dtype, varlen_attention

NAME = "packed_rows"  # without "sdpa" in it, which transformers refuses for models without PyTorch's kernel (GPT-OSS)


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
    window, cap, sinks_H = options.get("sliding_window"), options.get("softcap"), options.get("s_aux")
    chosen = Attention(options.get("dropout", 0.0), options.get("scaling"), window, cap, sinks_H)
    rows, dtype = bounds_of(cu_seq_lens_q), kernel_dtype(query_BHTD, value_BKTD)
    if dtype is not None and chosen.has_a_kernel:
        query, key, value = (one[0].transpose(0, 1).to(dtype) for one in (query_BHTD, key_BKTD, value_BKTD))
        return varlen_attention(query, key, value, rows, chosen.scale, window)[None], None
    parts = zip(*(tensor.split(rows.lengths, dim=2) for tensor in (query_BHTD, key_BKTD, value_BKTD)), strict=True)
    return torch.cat([chosen.of(*part) for part in parts], dim=2).transpose(1, 2), None


@dataclass(frozen=True)
class Attention:
    """Causal attention within one sequence, as the model's config has it.

    window: positions back that a token sees, itself included (Mistral, Gemma 3, Qwen2); None for all. cap: scores are
    softly capped to it (Gemma 2, arXiv 2408.00118, section 2); None for uncapped. sinks_H: a learned score of each head that
    takes a part of the attention and gives nothing (GPT-OSS, arXiv 2508.10925, section 2); None for none.
    """

    dropout: float
    scale: float | None
    window: int | None = None
    cap: float | None = None
    sinks_H: torch.Tensor | None = None

    @property
    def has_a_kernel(self) -> bool:
        """Whether varlen.py's kernel computes it: that can neither drop, nor cap scores, nor add sinks."""
        return self.dropout == 0 and self.cap is None and self.sinks_H is None

    def of(self, query_BHTD: torch.Tensor, key_BKTD: torch.Tensor, value_BKTD: torch.Tensor) -> torch.Tensor:
        """Attention of one sequence's T tokens, (B, H, T, D)."""
        grouped, length = query_BHTD.shape[1] != key_BKTD.shape[1], query_BHTD.shape[2]
        if self.cap is not None or self.sinks_H is not None:
            return self._by_scores(query_BHTD, key_BKTD, value_BKTD)
        chosen: dict[str, Any] = {"dropout_p": self.dropout, "scale": self.scale, "enable_gqa": grouped}
        if self.window is None or length <= self.window:
            return scaled_dot_product_attention(query_BHTD, key_BKTD, value_BKTD, is_causal=True, **chosen)
        seen_TT = self._seen(length, query_BHTD.device)
        return scaled_dot_product_attention(query_BHTD, key_BKTD, value_BKTD, attn_mask=seen_TT, **chosen)

    def _seen(self, length: int, device: torch.device) -> torch.Tensor:
        """Which positions (second axis) each token (first axis) sees."""
        causal_TT = torch.ones(length, length, dtype=torch.bool, device=device).tril()
        return causal_TT if self.window is None else causal_TT.triu(1 - self.window)

    def _by_scores(self, query_BHTD: torch.Tensor, key_BKTD: torch.Tensor, value_BKTD: torch.Tensor) -> torch.Tensor:
        """By whole score matrices: PyTorch's kernel can neither cap scores nor add sinks."""
        times = query_BHTD.shape[1] // key_BKTD.shape[1]
        key_BHTD, value_BHTD = (one.repeat_interleave(times, dim=1) for one in (key_BKTD, value_BKTD))
        scale = query_BHTD.shape[-1] ** -0.5 if self.scale is None else self.scale
        scores_BHTT = query_BHTD @ key_BHTD.transpose(-1, -2) * scale
        if self.cap is not None:
            scores_BHTT = self.cap * torch.tanh(scores_BHTT / self.cap)
        scores_BHTT = scores_BHTT.masked_fill(~self._seen(query_BHTD.shape[2], query_BHTD.device), -torch.inf)
        if self.sinks_H is not None:
            sinks_BHT1 = self.sinks_H.to(scores_BHTT.dtype)[None, :, None, None].expand(*scores_BHTT.shape[:3], 1)
            scores_BHTT = torch.cat([scores_BHTT, sinks_BHT1], dim=-1)
        weights_BHTT = scores_BHTT.softmax(-1, dtype=torch.float32)[..., : query_BHTD.shape[2]]
        return torch.dropout(weights_BHTT.to(query_BHTD.dtype), self.dropout, True) @ value_BHTD


def register() -> str:
    """Register the attention with transformers; returns its name for `attn_implementation`."""
    AttentionInterface.register(NAME, packed_attention)
    return NAME
