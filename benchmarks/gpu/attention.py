"""How long attention takes at Qwen3-1.7B's heads: one long row, and many short ones that lie end to end.

The project attends to packed rows by one call of scaled_dot_product_attention for each (alignment/inference/attention/
packed.py); torch.nn.attention.varlen does all of them in one kernel. Times are of one layer, in bfloat16.
"""

import inspect
import time
from collections.abc import Callable

import torch
from shape import Setting, synchronize
from torch.nn.functional import scaled_dot_product_attention

from alignment.inference.attention.packed import packed_attention

LONG, ROWS, ROW = 16_384, 80, 205
REHEARSED_LONG, REHEARSED_ROWS, REHEARSED_ROW = 256, 8, 21
Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def main() -> None:
    """Write the lines of the part."""
    setting = Setting.of("attention")
    long, rows, row = (REHEARSED_LONG, REHEARSED_ROWS, REHEARSED_ROW) if setting.rehearse else (LONG, ROWS, ROW)
    one = drawn(setting, long)
    ours = packed(one, [long])
    forward = setting.milliseconds(ours)
    both = setting.milliseconds(with_backward(ours))
    add = setting.results.add
    add(f"1 x {long:,}, forward", forward, "ms", expect="3 to 3.5; at most 7", ok=forward <= 7)
    add(f"1 x {long:,}, with backward", both, "ms", expect="11 to 13; at most 26", ok=both <= 26)
    short(setting, rows, row)
    unseen(setting, row)


def unseen(setting: Setting, row: int) -> None:
    """Rows of lengths that no call had before, as those of training are: what a kernel that plans for each length costs."""
    ways = {"PyTorch's choice": (True, one_by_one), "packed_attention": (False, packed)}
    for number, (name, (cudnn, way)) in enumerate(ways.items()):
        torch.backends.cuda.enable_cudnn_sdp(cudnn)
        lengths = [row + 2 * place + number for place in range(8)]
        call = way(drawn(setting, sum(lengths)), lengths)
        synchronize()
        started = time.perf_counter()
        call()
        synchronize()
        setting.results.add(f"8 rows of lengths not seen before, {name}", (time.perf_counter() - started) * 1e3, "ms")


def short(setting: Setting, rows: int, row: int) -> None:
    """Many short rows: one call each, the project's own attention, and one kernel for all."""
    given, lengths = drawn(setting, rows * row), [row] * rows
    name, add = f"{rows} x {row}", setting.results.add
    loop = one_by_one(given, lengths)
    loop_time = setting.milliseconds(loop)
    add(f"{name}, a call for each row", loop_time, "ms", expect="2 to 2.5")
    add(f"{name}, packed_attention", setting.milliseconds(packed(given, lengths)), "ms")
    varlen = one_kernel(given, lengths)
    if varlen is None or setting.rehearse:
        reason = "this torch has no torch.nn.attention.varlen" if varlen is None else "varlen has no kernel for a CPU"
        setting.results.without(f"{name}, varlen", reason)
        return
    varlen_time = setting.milliseconds(varlen)
    add(f"{name}, varlen", varlen_time, "ms", expect="about 0.2; less than the loop", ok=varlen_time < loop_time)
    for kind, call in (("a call for each row", loop), ("varlen", varlen)):
        add(f"{name}, {kind}, with backward", setting.milliseconds(with_backward(call)), "ms")
    error = float((varlen() - loop()).float().norm() / loop().float().norm())
    add(f"{name}, varlen against the loop", error, "relative", expect="at most 5e-3", ok=error <= 5e-3)


def drawn(setting: Setting, tokens: int) -> Tensors:
    """Queries (1, H, T, D), keys and values (1, K, T, D) in bfloat16, with gradients."""
    config = setting.config
    draw = torch.Generator(setting.device).manual_seed(0)
    heads = (config.num_attention_heads, config.num_key_value_heads, config.num_key_value_heads)
    made = [
        torch.randn(1, count, tokens, config.head_dim, generator=draw, device=setting.device).bfloat16()
        for count in heads
    ]
    return made[0].requires_grad_(), made[1].requires_grad_(), made[2].requires_grad_()


def with_backward(call: Callable[[], torch.Tensor]) -> Callable[[], None]:
    """The call and its backward pass, from a gradient as ragged as a real one."""
    towards = torch.randn_like(call())
    return lambda: call().backward(towards)


def bounds_of(lengths: list[int], device: torch.device) -> torch.Tensor:
    """Where each row begins, and the end of the last."""
    return torch.tensor([0, *lengths], device=device).cumsum(0).to(torch.int32)


def packed(given: Tensors, lengths: list[int]) -> Callable[[], torch.Tensor]:
    """The project's attention over rows that lie end to end."""
    bounds = bounds_of(lengths, given[0].device)
    return lambda: packed_attention(torch.nn.Identity(), *given, None, cu_seq_lens_q=bounds)[0]


def one_by_one(given: Tensors, lengths: list[int]) -> Callable[[], torch.Tensor]:
    """A call of scaled_dot_product_attention for each row; returns (1, T, H, D)."""

    def call() -> torch.Tensor:
        rows = zip(*(tensor.split(lengths, dim=2) for tensor in given), strict=True)
        done = [scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True) for q, k, v in rows]
        return torch.cat(done, dim=2).transpose(1, 2)

    return call


def one_kernel(given: Tensors, lengths: list[int]) -> Callable[[], torch.Tensor] | None:
    """torch.nn.attention.varlen over all rows, or None where torch has none; returns (1, T, H, D)."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    bounds, longest = bounds_of(lengths, given[0].device), max(lengths)
    known = inspect.signature(varlen_attn).parameters  # which has changed from release to release
    options = {"is_causal": True} if "is_causal" in known else {"window_size": (-1, 0)}
    grouped = "enable_gqa" in known
    shared = given[0].shape[1] // given[1].shape[1]

    def call() -> torch.Tensor:
        query, key, value = (tensor[0].transpose(0, 1) for tensor in given)
        if grouped:
            found = varlen_attn(query, key, value, bounds, bounds, longest, longest, enable_gqa=True, **options)
        else:
            key, value = (tensor.repeat_interleave(shared, dim=1) for tensor in (key, value))
            found = varlen_attn(query, key, value, bounds, bounds, longest, longest, **options)
        return found[None]

    return call


if __name__ == "__main__":
    main()
