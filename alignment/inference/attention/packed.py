"""Causal attention over packed sequences, each attending only to itself: no padding, no mask.

TRL's padding-free collator concatenates a batch into one row with the start of each sequence. FlashAttention supports that;
PyTorch's kernels would need a mask of length x length, which for short sequences costs more than the rest of the step. Here
all sequences are one call of varlen.py's kernel on a GPU, and elsewhere each is one call of scaled_dot_product_attention on
its slice. Rows may continue another one, a prompt that several completions have in common, which is then computed once.
Neighbours: slots.py (attention while decoding), training/packing.py (which rows have a prompt in common).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from alignment.inference.attention import short_rows
from alignment.inference.attention.varlen import bounds_of, kernel_dtype, varlen_attention

NAME = "packed_rows"  # without "sdpa" in it, which transformers refuses for models without PyTorch's kernel (GPT-OSS)
SHARED = "packed_rows_shared"  # the same, of packs that several processes share: DeepSpeed wraps what has this name


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
    sequence, and T at its end. A second row of it has the number of the sequence that each one continues, or -1; its tokens
    attend to that one's too. Returns (B, T, H, D). Raises ValueError for rows that are not packed, which would attend to
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
    if dtype is not None and chosen.has_a_kernel and rows.prefixes is None:
        query, key, value = (one[0].transpose(0, 1).to(dtype) for one in (query_BHTD, key_BKTD, value_BKTD))
        return varlen_attention(query, key, value, rows, chosen.scale, window)[None], None
    queries, keys, values = (tensor.split(rows.lengths, dim=2) for tensor in (query_BHTD, key_BKTD, value_BKTD))
    attended = []
    for row, before in enumerate(rows.prefixes or [-1] * len(queries)):
        seen = (row,) if before < 0 else (before, row)
        key, value = (torch.cat([of[one] for one in seen], dim=2) if before >= 0 else of[row] for of in (keys, values))
        attended.append(chosen.of(queries[row], key, value))
    return torch.cat(attended, dim=2).transpose(1, 2), None


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

    def of(self, query_BHTD: torch.Tensor, key_BKSD: torch.Tensor, value_BKSD: torch.Tensor) -> torch.Tensor:
        """Attention of one sequence's last T tokens, (B, H, T, D), to its S tokens."""
        grouped, length, seen = query_BHTD.shape[1] != key_BKSD.shape[1], query_BHTD.shape[2], key_BKSD.shape[2]
        if self.cap is not None or self.sinks_H is not None:
            return self._by_scores(query_BHTD, key_BKSD, value_BKSD)
        dtype = short_rows.computed_in(query_BHTD, key_BKSD)
        if dtype is not None and self.dropout == 0 and (self.window is None or seen <= self.window):
            return short_rows.attention(query_BHTD, key_BKSD, value_BKSD, self.scale, dtype)
        chosen: dict[str, Any] = {"dropout_p": self.dropout, "scale": self.scale, "enable_gqa": grouped}
        if length == seen and (self.window is None or length <= self.window):
            return scaled_dot_product_attention(query_BHTD, key_BKSD, value_BKSD, is_causal=True, **chosen)
        seen_TS = self._seen(length, seen, query_BHTD.device)
        return scaled_dot_product_attention(query_BHTD, key_BKSD, value_BKSD, attn_mask=seen_TS, **chosen)

    def _seen(self, length: int, seen: int, device: torch.device) -> torch.Tensor:
        """Which of the sequence's positions (second axis) each of its last tokens (first axis) sees."""
        before = seen - length
        causal_TS = torch.ones(length, seen, dtype=torch.bool, device=device).tril(before)
        return causal_TS if self.window is None else causal_TS.triu(before + 1 - self.window)

    def _by_scores(self, query_BHTD: torch.Tensor, key_BKSD: torch.Tensor, value_BKSD: torch.Tensor) -> torch.Tensor:
        """By whole score matrices: PyTorch's kernel can neither cap scores nor add sinks."""
        times, (length, seen) = query_BHTD.shape[1] // key_BKSD.shape[1], (query_BHTD.shape[2], key_BKSD.shape[2])
        key_BHSD, value_BHSD = (one.repeat_interleave(times, dim=1) for one in (key_BKSD, value_BKSD))
        scale = query_BHTD.shape[-1] ** -0.5 if self.scale is None else self.scale
        scores_BHTS = query_BHTD @ key_BHSD.transpose(-1, -2) * scale
        if self.cap is not None:
            scores_BHTS = self.cap * torch.tanh(scores_BHTS / self.cap)
        scores_BHTS = scores_BHTS.masked_fill(~self._seen(length, seen, query_BHTD.device), -torch.inf)
        if self.sinks_H is not None:
            sinks_BHT1 = self.sinks_H.to(scores_BHTS.dtype)[None, :, None, None].expand(*scores_BHTS.shape[:3], 1)
            scores_BHTS = torch.cat([scores_BHTS, sinks_BHT1], dim=-1)
        weights_BHTS = scores_BHTS.softmax(-1, dtype=torch.float32)[..., :seen]
        return torch.dropout(weights_BHTS.to(query_BHTD.dtype), self.dropout, True) @ value_BHSD


def register() -> str:
    """Register the attention with transformers; returns its name for `attn_implementation`."""
    AttentionInterface.register(NAME, packed_attention)
    return NAME
