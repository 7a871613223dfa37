"""Rows that lie end to end are trained as if each stood alone."""

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from alignment.resources import resource
from alignment.stages.packed_attention import register

LENGTHS = (7, 41, 1, 19)


def policy(attention: str) -> PreTrainedModel:
    path = str(resource("data/base"))
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation=attention)


def rows() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(20, 400, (length,), generator=generator) for length in LENGTHS]


def packed(parts: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """A batch as TRL's padding-free collator makes it."""
    bounds = torch.tensor([0, *LENGTHS]).cumsum(0).to(torch.int32)
    positions = torch.cat([torch.arange(len(part)) for part in parts])
    return {"input_ids": torch.cat(parts)[None], "position_ids": positions[None], "cu_seq_lens_q": bounds}


def test_each_row_sees_itself_alone() -> None:
    parts, ours, plain = rows(), policy(register()), policy("sdpa")
    with torch.no_grad():
        together = ours(**packed(parts), use_cache=False).logits[0].split(LENGTHS)
        for part, logits in zip(parts, together, strict=True):
            torch.testing.assert_close(logits, plain(input_ids=part[None]).logits[0], rtol=1e-4, atol=1e-4)


def test_gradients_are_those_of_the_rows_one_by_one() -> None:
    parts, ours, plain = rows(), policy(register()), policy("sdpa")
    ours(**packed(parts), use_cache=False).logits.square().sum().backward()
    for part in parts:
        plain(input_ids=part[None]).logits.square().sum().backward()
    for (name, one), (_, other) in zip(ours.named_parameters(), plain.named_parameters(), strict=True):
        assert one.grad is not None and other.grad is not None, name
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-3 * float(other.grad.abs().max()))


def test_padded_rows_are_refused_and_not_attended_without_a_mask() -> None:
    with pytest.raises(ValueError, match="attn_implementation='sdpa'"):
        policy(register())(input_ids=torch.ones(2, 5, dtype=torch.long), use_cache=False)
