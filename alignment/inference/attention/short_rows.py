"""Causal attention of a short row in 16 bits on a CPU, by its score matrices.

PyTorch's flash kernel for CPUs needs several times longer for a short row's backward pass than the products that it consists of.
Scores and their gradients are float32, as in the kernel. Neighbour: packed.py (asks for it).
"""

from typing import Any

import torch

from alignment.inference.autocast import computed_dtype

MOST_SCORES = 1 << 17  # of a head: beyond it score matrices cost more memory than they save time


def computed_in(query_BHTD: torch.Tensor, key_BKSD: torch.Tensor) -> torch.dtype | None:
    """The 16-bit type that a row's attention is computed in, autocast's where that is on; None for rows of another kind."""
    if query_BHTD.device.type != "cpu" or len(query_BHTD) != 1 or query_BHTD.shape[2] * key_BKSD.shape[2] > MOST_SCORES:
        return None
    dtype = computed_dtype(query_BHTD)
    return dtype if dtype in (torch.float16, torch.bfloat16) else None


class ShortRow(torch.autograd.Function):
    """Attention (H, T, D) of a sequence's last T tokens to its S tokens: queries (H, T, D), keys and values (K, S, D)."""

    @staticmethod
    def forward(
        ctx: Any, query_HTD: torch.Tensor, key_KSD: torch.Tensor, value_KSD: torch.Tensor, scale: float
    ) -> torch.Tensor:
        """The query heads of one key head are treated as positions (J)."""
        (heads, length, size), (groups, seen) = query_HTD.shape, key_KSD.shape[:2]
        query_KJD = query_HTD.reshape(groups, -1, size)
        with torch.autocast("cpu", enabled=False):
            scores_KJS = torch.bmm(query_KJD.float() * scale, key_KSD.float().transpose(1, 2))
            later_TS = torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1)
            scores_KJS.view(groups, -1, length, seen).masked_fill_(later_TS, -torch.inf)
            weights_KJS = scores_KJS.softmax(-1).to(query_HTD.dtype)
            ctx.save_for_backward(query_KJD, key_KSD, value_KSD, weights_KJS)
            ctx.scale, ctx.shape = scale, query_HTD.shape
            return torch.bmm(weights_KJS, value_KSD).view(heads, length, size)

    @staticmethod
    def backward(ctx: Any, grad_HTD: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        """Gradients of queries, keys and values."""
        query_KJD, key_KSD, value_KSD, weights_KJS = ctx.saved_tensors
        grad_KJD = grad_HTD.reshape(query_KJD.shape)
        with torch.autocast("cpu", enabled=False):
            value_grad_KSD = torch.bmm(weights_KJS.transpose(1, 2), grad_KJD)
            found_KJS = torch.bmm(grad_KJD.float(), value_KSD.float().transpose(1, 2)).mul_(weights_KJS)
            found_KJS.sub_(weights_KJS * found_KJS.sum(-1, keepdim=True)).mul_(ctx.scale)
            scores_KJS = found_KJS.to(weights_KJS.dtype)
            query_grad_HTD = torch.bmm(scores_KJS, key_KSD).view(ctx.shape)
            return query_grad_HTD, torch.bmm(scores_KJS.transpose(1, 2), query_KJD), value_grad_KSD, None


def attention(
    query_BHTD: torch.Tensor, key_BKSD: torch.Tensor, value_BKSD: torch.Tensor, scale: float | None, dtype: torch.dtype
) -> torch.Tensor:
    """Attention of one sequence's last T tokens, (1, H, T, D), to its S tokens, computed in `computed_in`'s type."""
    query_HTD, key_KSD, value_KSD = (one[0].to(dtype) for one in (query_BHTD, key_BKSD, value_BKSD))
    scale = query_HTD.shape[-1] ** -0.5 if scale is None else scale
    found: torch.Tensor = ShortRow.apply(query_HTD, key_KSD, value_KSD, scale)
    return found[None]
