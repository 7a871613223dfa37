"""How far bfloat16 lands from float32: rows without padding and rows in slots, against padded rows.

The reference is padded scaled_dot_product_attention in float32 on the same bfloat16 numbers. Padded attention in bfloat16
is wrong by its own rounding; what leaves the padding out may be no worse than that, in one layer's attention
and through the whole model, forward and gradients. Errors are |found - reference| / |reference| over real tokens.
"""

import copy
from collections.abc import Callable

import torch
from attention import bounds_of, drawn
from shape import Setting, free
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel

from alignment.inference.attention import packed, slots
from alignment.inference.attention.packed import Attention, packed_attention
from alignment.inference.attention.slots import SlotCache, slot_attention
from alignment.training.fused import fuse
from alignment.training.packing import pack

LENGTHS, REHEARSED_LENGTHS = (700, 32, 511, 129, 260, 65), (41, 7, 19, 5)
DECODED = 4  # last tokens of each row, which are read one by one from its slot
WINDOW = 16  # positions back that a token sees, where attention has a sliding window
FORWARD, GRADIENT, OF_PADDED = 5e-3, 1e-2, 1.2


def main() -> None:
    """Write the lines of the part."""
    setting = Setting.of("correctness")
    lengths = list(REHEARSED_LENGTHS if setting.rehearse else LENGTHS)
    one_layer(setting, lengths)
    whole_model(setting, lengths)


def one_layer(setting: Setting, lengths: list[int]) -> None:
    """Attention alone, at the model's heads."""
    given_16 = drawn(setting, sum(lengths))
    given_32 = tuple(tensor.detach().float().requires_grad_() for tensor in given_16)
    towards = torch.randn_like(padded(given_32, lengths))
    bounds = bounds_of(lengths, setting.device)

    def graded(call: Callable[[], torch.Tensor], given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        out = call()
        gradients = torch.autograd.grad(out, given, towards.to(out.dtype))
        return out.detach(), torch.cat([gradient.flatten() for gradient in gradients])

    reference = graded(lambda: padded(given_32, lengths), given_32)
    plain = graded(lambda: padded(given_16, lengths), given_16)
    ours = graded(lambda: packed_attention(torch.nn.Identity(), *given_16, None, cu_seq_lens_q=bounds)[0], given_16)
    own = [error(found, wanted) for found, wanted in zip(plain, reference, strict=True)]
    errors = [error(found, wanted) for found, wanted in zip(ours, reference, strict=True)]
    judge(setting, "attention, packed", errors[0], own[0], FORWARD)
    judge(setting, "attention, packed, gradients", errors[1], own[1], GRADIENT)
    windowed = Attention(0.0, None, WINDOW)
    parts_32, parts_16 = (
        zip(*(one.split(lengths, dim=2) for one in given), strict=True) for given in (given_32, given_16)
    )
    wanted, alone = (
        torch.cat([windowed.of(*part) for part in parts], dim=2).transpose(1, 2) for parts in (parts_32, parts_16)
    )
    options = {"cu_seq_lens_q": bounds, "sliding_window": WINDOW}
    found = packed_attention(torch.nn.Identity(), *given_16, None, **options)[0]
    judge(setting, f"attention, packed, a window of {WINDOW}", error(found, wanted), error(alone, wanted), FORWARD)
    last = [end - 1 for end in bounds[1:].tolist()]
    in_slots = last_in_slots(given_16, lengths)
    own_last = error(plain[0][:, last], reference[0][:, last])
    judge(setting, "attention, slots", error(in_slots, reference[0][:, last]), own_last, FORWARD)


def padded(given: tuple[torch.Tensor, ...], lengths: list[int]) -> torch.Tensor:
    """Attention over rows that are padded on the right, put back end to end: (1, T, H, D)."""
    rows = [torch.nn.utils.rnn.pad_sequence([row[0].transpose(0, 1) for row in tensor.split(lengths, dim=2)], True)
            for tensor in given]  # fmt: skip
    query_BHTD, key_BKTD, value_BKTD = (row_BTHD.transpose(1, 2) for row_BTHD in rows)
    real_BT = real(lengths, query_BHTD.device)
    causal_TT = torch.ones(real_BT.shape[1], real_BT.shape[1], dtype=torch.bool, device=real_BT.device).tril()
    mask_BTT = causal_TT & (real_BT[:, None] | torch.eye(len(causal_TT), dtype=torch.bool, device=real_BT.device))
    found = scaled_dot_product_attention(query_BHTD, key_BKTD, value_BKTD, attn_mask=mask_BTT[:, None], enable_gqa=True)
    return found.transpose(1, 2)[real_BT][None]


def last_in_slots(given: tuple[torch.Tensor, ...], lengths: list[int]) -> torch.Tensor:
    """Attention of each row's last token over the row's slot: (1, B, H, D)."""
    query_BHTD, key_BKTD, value_BKTD = (
        torch.nn.utils.rnn.pad_sequence([row[0].transpose(0, 1) for row in tensor.split(lengths, dim=2)], True)
        .transpose(1, 2)
        .detach()
        for tensor in given
    )
    rows = torch.arange(len(lengths), device=query_BHTD.device)
    last_BH1D = query_BHTD[rows, :, torch.tensor(lengths, device=rows.device) - 1][:, :, None]
    seen = real(lengths, query_BHTD.device)[:, None, None]
    found_B1HD, _ = slot_attention(torch.nn.Identity(), last_BH1D, key_BKTD, value_BKTD, seen)
    return found_B1HD.transpose(0, 1)


def whole_model(setting: Setting, lengths: list[int]) -> None:
    """The last hidden states of real tokens, and the gradient of all weights."""
    free()
    draw = torch.Generator().manual_seed(1)
    rows = [torch.randint(setting.config.vocab_size, (length,), generator=draw) for length in lengths]
    ids_BT = torch.nn.utils.rnn.pad_sequence(rows, True).to(setting.device)
    mask_BT = real(lengths, setting.device)
    model_16 = setting.model(torch.bfloat16, "sdpa")
    towards = torch.randn(sum(lengths), setting.config.hidden_size, generator=draw).to(setting.device)

    def through(model: PreTrainedModel, *, unpadded: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states (T, H) of the real tokens, and the gradient of all weights in one row."""
        model.zero_grad()
        if unpadded:
            hidden_TH = model.base_model(**pack(ids_BT, mask_BT).model_inputs(), use_cache=False).last_hidden_state[0]
        else:
            hidden_TH = model.base_model(input_ids=ids_BT, attention_mask=mask_BT.long()).last_hidden_state[mask_BT]
        hidden_TH.backward(towards.to(hidden_TH.dtype))
        gradients = [weight.grad.flatten() for weight in model.base_model.parameters() if weight.grad is not None]
        model.zero_grad()
        return hidden_TH.detach(), torch.cat(gradients)

    model_32 = copy.deepcopy(model_16).float()
    reference, reference_gradient = through(model_32)
    del model_32
    free()
    plain, plain_gradient = through(model_16)
    own, own_gradient = error(plain, reference), error(plain_gradient, reference_gradient)
    ends = bounds_of(lengths, torch.device("cpu"))[1:].tolist()
    last = [place for end in ends for place in range(end - DECODED, end)]
    setting.results.add("model, padded in bfloat16 (its own rounding)", own, "relative")
    setting.results.add("model, padded in bfloat16, gradients", own_gradient, "relative")
    decoded = error(decode(model_16, rows), reference[last])
    judge(setting, f"model, the last {DECODED} tokens in slots", decoded, error(plain[last], reference[last]), None)
    model_16.set_attn_implementation(packed.register())
    ours, our_gradient = through(model_16, unpadded=True)
    judge(setting, "model, unpadded", error(ours, reference), own, None)
    judge(setting, "model, unpadded, gradients", error(our_gradient, reference_gradient), own_gradient, None)
    if not fuse(model_16):
        setting.results.without("model, fused layers", "Liger Kernel is not installed, or there is no GPU for it")
        return
    fused, fused_gradient = through(model_16, unpadded=True)
    judge(setting, "model, fused layers", error(fused, reference), own, None)
    judge(setting, "model, fused layers, gradients", error(fused_gradient, reference_gradient), own_gradient, None)
    # As a stage trains them: float32 weights, here with the same numbers.
    trained = model_16.float()
    with torch.autocast(setting.device.type, torch.bfloat16):
        cast, cast_gradient = through(trained, unpadded=True)
    judge(setting, "model, fused layers, autocast", error(cast, reference), own, None)
    judge(
        setting,
        "model, fused layers, autocast, gradients",
        error(cast_gradient, reference_gradient),
        own_gradient,
        None,
    )


@torch.no_grad()
def decode(model: PreTrainedModel, rows: list[torch.Tensor]) -> torch.Tensor:
    """Hidden states (B * DECODED, H) of the last tokens of each row, read one by one after the others were read at once."""
    before = model.config._attn_implementation  # noqa: SLF001  there is no public way to read it
    model.set_attn_implementation(slots.register())
    device, capacity = model.device, max(len(row) for row in rows)
    cache = SlotCache(model.config, len(rows), capacity, next(model.parameters()))
    prompts = [row[:-DECODED].to(device) for row in rows]
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    first = torch.arange(len(rows), device=device) * capacity  # place of each slot
    positions = torch.cat([torch.arange(len(prompt), device=device) for prompt in prompts])
    cache.place(positions + first.repeat_interleave(lengths))
    model.base_model(
        input_ids=torch.cat(prompts)[None], position_ids=positions[None], past_key_values=cache, use_cache=True,
        cu_seq_lens_q=bounds_of(lengths.tolist(), device),
    )  # fmt: skip
    found = []
    for step in range(DECODED):
        at_B = lengths + step
        seen_BT = torch.arange(int(at_B.max()) + 1, device=device) <= at_B[:, None]
        cache.place(first + at_B, attended=len(rows), length=seen_BT.shape[1])
        token_B1 = torch.stack([row[place] for row, place in zip(rows, at_B.tolist(), strict=True)])[:, None].to(device)
        output = model.base_model(
            input_ids=token_B1, position_ids=at_B[:, None], attention_mask=seen_BT[:, None, None],
            past_key_values=cache, use_cache=True,
        )  # fmt: skip
        found.append(output.last_hidden_state[:, 0])
    model.set_attn_implementation(before)
    return torch.stack(found, dim=1).flatten(0, 1)


def real(lengths: list[int], device: torch.device) -> torch.Tensor:
    """Where rows that are padded on the right have a token: (B, T)."""
    return torch.arange(max(lengths), device=device) < torch.tensor(lengths, device=device)[:, None]


def error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """|found - wanted| / |wanted|; not a number where either holds one that is not."""
    return float((found.float() - wanted.float()).norm() / wanted.float().norm())


def judge(setting: Setting, name: str, found: float, own: float, bound: float | None) -> None:
    """A line: at most 1.2 times the rounding of padded bfloat16, and at most a bound."""
    expect = f"at most {OF_PADDED} x {own:.2g} (padded)" + ("" if bound is None else f" and {bound:g}")
    holds = found <= OF_PADDED * own and (bound is None or found <= bound)
    setting.results.add(name, found, "relative", expect=expect, ok=holds, anywhere=True)


if __name__ == "__main__":
    main()
