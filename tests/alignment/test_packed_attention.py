"""Rows that lie end to end are trained as if each stood alone."""

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from alignment.core.resources import resource
from alignment.inference.attention.packed import register
from alignment.training.rl.packing import pack

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


def padded(parts: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rows padded on both sides, as TRL's GRPO trainer lays prompts and completions out."""
    rows_BT = torch.zeros(len(parts), 50, dtype=torch.long)
    mask_BT = torch.zeros_like(rows_BT)
    for index, part in enumerate(parts):
        rows_BT[index, index : index + len(part)] = part
        mask_BT[index, index : index + len(part)] = 1
    return {"input_ids": rows_BT, "attention_mask": mask_BT}


def test_a_padded_batch_is_computed_without_its_padding() -> None:
    batch, ours, plain = padded(rows()), policy(register()), policy("sdpa")
    laid_out = pack(batch["input_ids"], batch["attention_mask"])
    assert laid_out.input_ids_1T.shape == (1, sum(LENGTHS))
    kept = batch["attention_mask"].bool()
    found, wanted = ours(**laid_out.model_inputs(), use_cache=False).logits[0], plain(**batch).logits[kept]
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    found.square().sum().backward()
    wanted.square().sum().backward()
    for (name, one), (_, other) in zip(ours.named_parameters(), plain.named_parameters(), strict=True):
        assert one.grad is not None and other.grad is not None, name
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-2, atol=1e-3 * float(other.grad.abs().max()))


def test_what_is_said_of_a_token_goes_back_to_where_it_stood() -> None:
    ids_BL = torch.tensor([[0, 11, 12, 13, 0], [21, 22, 0, 0, 0]])
    laid_out = pack(ids_BL, (ids_BL > 0).long())
    assert laid_out.labels(first_column=2).tolist() == [[-100, 12, 13, -100, -100]]
    assert laid_out.labels(first_column=0).tolist() == [[-100, 12, 13, -100, 22]]
    next_tokens = laid_out.input_ids_1T[:, 1:]
    assert laid_out.padded(next_tokens).tolist() == [[0, 0, 12, 13, 0], [21, 22, 0, 0, 0]]
