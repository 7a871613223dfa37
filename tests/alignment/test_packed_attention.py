"""Rows that lie end to end are trained as if each stood alone."""

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from alignment.core.resources import resource
from alignment.inference.attention.packed import Attention, register
from alignment.training.packing import Packed, pack, pack_prompts_once

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


PROMPTS = ((5, 6, 7, 8, 9), (5, 6, 7, 8, 9), (5, 6, 7, 8, 9), (9, 8), (9, 8), (3,), (5, 6, 7, 8, 9))


def group_rows() -> tuple[torch.Tensor, torch.Tensor, int]:
    """(token ids, mask, first column of the completions) of rows some of which have a prompt in common."""
    generator, first = torch.Generator().manual_seed(4), 6
    ids_BL = torch.randint(20, 400, (len(PROMPTS), first + 12), generator=generator)
    mask_BL = torch.ones_like(ids_BL)
    for row, prompt in enumerate(PROMPTS):
        ids_BL[row, :first] = torch.tensor([0] * (first - len(prompt)) + list(prompt))
        mask_BL[row, : first - len(prompt)] = 0
        mask_BL[row, first + 3 + row :] = 0
    return ids_BL, mask_BL, first


def logprobs(model: PreTrainedModel, laid_out: Packed, first: int) -> torch.Tensor:
    """Log-probs of the completions' tokens where they stand in the padded batch, zero elsewhere."""
    inputs, labels_1T = laid_out.model_inputs(), laid_out.labels(first)[:, 1:]
    found_1TV = model(**inputs, use_cache=False).logits[:, :-1].log_softmax(-1)
    of_next = found_1TV.gather(-1, inputs["input_ids"][:, 1:, None])[..., 0]
    return laid_out.padded(of_next.masked_fill(labels_1T == -100, 0.0))[:, first:]


def test_a_prompt_that_rows_have_in_common_is_computed_once_with_the_same_log_probs_and_gradients() -> None:
    ids_BL, mask_BL, first = group_rows()
    once, each = pack_prompts_once(ids_BL, mask_BL, first), pack(ids_BL, mask_BL)
    assert each.input_ids_1T.shape[1] - once.input_ids_1T.shape[1] == 2 * 4 + 1, "two prompts of five, one of two"
    found = []
    for laid_out in (once, each):
        model = policy(register())
        logprobs_BC = logprobs(model, laid_out, first)
        (logprobs_BC * torch.arange(1, 13)).sum().backward()
        found.append((logprobs_BC.detach(), {name: one.grad for name, one in model.named_parameters()}))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-4)
    assert (found[0][0] != 0).sum() == mask_BL[:, first:].sum()
    for name, gradient in found[0][1].items():
        other = found[1][1][name]
        torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()), msg=name)


@pytest.mark.parametrize("chosen", [Attention(0, None), Attention(0, 0.3, window=4), Attention(0, None, cap=3.0),
                                    Attention(0, None, window=3, sinks_H=torch.tensor([0.5, -1.0, 2.0, 0.0]))])  # fmt: skip
def test_the_last_tokens_of_a_row_attend_as_in_the_whole_row(chosen: Attention) -> None:
    generator = torch.Generator().manual_seed(5)
    query, key, value = (torch.randn(1, heads, 11, 8, generator=generator) for heads in (4, 2, 2))
    torch.testing.assert_close(chosen.of(query[:, :, 6:], key, value), chosen.of(query, key, value)[:, :, 6:])
