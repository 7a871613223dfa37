"""Attention over packed rows by one kernel on a GPU: torch.nn.attention.varlen, which is FlashAttention.

A call for each row costs a launch for each, and cuDNN's attention, which PyTorch prefers on an H100, plans anew for each
length that it has not seen: about a tenth of a second. Rows of training and of sampling have a new length nearly every
time, so cuDNN's kernel is turned off as well. Neighbours: packed.py (asks for the kernel), docs/gpu.md (figures of both).
"""

import inspect
from dataclasses import dataclass

import torch

from alignment.inference.autocast import computed_dtype

LARGEST_HEAD = 256  # of FlashAttention 2, which torch ships


@dataclass(frozen=True)
class Bounds:
    """Where rows lie: the tensor that says so, and its lengths on the host, whose reading waits for the device."""

    bounds: torch.Tensor  # int32: where each row begins, and the end of the last; with prefixes as their second row
    lengths: list[int]
    prefixes: list[int] | None = None  # the row that each row continues, -1 for none; None: none does


_last: Bounds | None = None


def bounds_of(bounds: torch.Tensor) -> Bounds:
    """The lengths of a pass's rows, read from the device once for all its layers."""
    global _last  # noqa: PLW0603  the layers of one pass have nothing else in common
    if _last is None or _last.bounds is not bounds:
        starts, prefixes = (bounds[0], bounds[1, :-1].tolist()) if bounds.ndim == 2 else (bounds, None)
        _last = Bounds(bounds, starts.diff().tolist(), prefixes)
    return _last


def kernel_dtype(query_BHTD: torch.Tensor, value_BKTD: torch.Tensor) -> torch.dtype | None:
    """The type that the kernel would compute in, autocast's where that is on; None where the kernel cannot."""
    size = query_BHTD.shape[-1]
    if query_BHTD.device.type != "cuda" or size != value_BKTD.shape[-1] or size % 8 or size > LARGEST_HEAD:
        return None
    dtype = computed_dtype(query_BHTD)
    return dtype if dtype in (torch.float16, torch.bfloat16) else None


def varlen_attention(
    query_THD: torch.Tensor,
    key_TKD: torch.Tensor,
    value_TKD: torch.Tensor,
    rows: Bounds,
    scale: float | None,
    window: int | None,
) -> torch.Tensor:
    """Causal attention (T, H, D) of each row to itself. window: positions back that a token sees, itself included."""
    from torch.nn.attention.varlen import varlen_attn

    longest = max(rows.lengths)
    known = inspect.signature(varlen_attn).parameters  # torch 2.11 has no enable_gqa
    grouped = {"enable_gqa": True} if "enable_gqa" in known else {}
    if not grouped and (times := query_THD.shape[1] // key_TKD.shape[1]) > 1:
        key_TKD, value_TKD = (one.repeat_interleave(times, dim=1) for one in (key_TKD, value_TKD))
    # To the kernel a window is a number of positions before a token's own. Causal without one is (-1, 0).
    back = -1 if window is None or window >= longest else window - 1
    attended_THD: torch.Tensor = varlen_attn(
        query_THD, key_TKD, value_TKD, rows.bounds, rows.bounds, longest, longest,
        scale=scale, window_size=(back, 0), **grouped,
    )  # fmt: skip
    return attended_THD


def without_plans() -> None:
    """Turn off cuDNN's attention in this process: FlashAttention has no plan to make for a new length."""
    if torch.cuda.is_available():
        torch.backends.cuda.enable_cudnn_sdp(False)
