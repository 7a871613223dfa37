"""Rows of one batch do not see each other: packed where the architecture allows it, padded where a state would carry over."""

from pathlib import Path

import pytest
import torch
from families import FAMILIES, build, family
from transformers import AutoModelForCausalLM

from alignment.inference.attention import packed
from alignment.inference.weights.sync_check import _to_change
from alignment.training.packing import align, pack
from alignment.training.packing_check import mixed_rows

STATEFUL = {"LFM2", "Qwen3-Next", "Granite 4 hybrid"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    for one in FAMILIES:
        build(one, folder / one.name)
    return folder


@pytest.mark.parametrize("name", [one.name for one in FAMILIES])
def test_packed_logits_are_those_of_rows_alone_or_the_stage_is_told(built: Path, name: str) -> None:
    """Windows (Mistral, Gemma 3), sinks (GPT-OSS), scales (Granite), and layers with a state (LFM2 and others)."""
    model = AutoModelForCausalLM.from_pretrained(
        built / name, attn_implementation=packed.register(), dtype=torch.float32
    )
    found = mixed_rows(model)
    assert (found is not None) == (name in STATEFUL), found
    assert model.config._attn_implementation == packed.NAME


@pytest.mark.parametrize("name", sorted(STATEFUL))
def test_rows_that_are_padded_on_the_right_are_computed_as_rows_alone(built: Path, name: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(built / name, dtype=torch.float32).eval()
    rows = [
        torch.randint(8, 300, (length,), generator=torch.Generator().manual_seed(length)) for length in (40, 23, 31)
    ]
    ids_BL, mask_BL = torch.zeros(3, 44, dtype=torch.long), torch.zeros(3, 44, dtype=torch.long)
    for number, row in enumerate(rows):  # as GRPO lays them out: padding before the prompt and after the completion
        ids_BL[number, number + 1 : number + 1 + len(row)], mask_BL[number, number + 1 : number + 1 + len(row)] = row, 1
    laid_out = align(ids_BL, mask_BL)
    with torch.no_grad():
        logits_BTV = model(**laid_out.model_inputs(), use_cache=False).logits
        for number, row in enumerate(rows):
            alone_TV = model(input_ids=row[None], use_cache=False).logits[0]
            torch.testing.assert_close(logits_BTV[number, : len(row)], alone_TV, rtol=1e-3, atol=1e-4)


def test_both_layouts_say_the_same_of_every_token() -> None:
    ids_BL = torch.tensor([[0, 11, 12, 13, 0], [21, 22, 0, 0, 0]])
    packed_rows, padded_rows = pack(ids_BL, (ids_BL > 0).long()), align(ids_BL, (ids_BL > 0).long())
    assert padded_rows.model_inputs()["input_ids"].tolist() == [[11, 12, 13], [21, 22, 0]]
    for first in (0, 2):
        kept = [row[row > 0].tolist() for row in (packed_rows.labels(first), padded_rows.labels(first))]
        assert kept[0] == kept[1]
        back = [row.padded(row.labels(first)[:, 1:].clamp(min=0)).tolist() for row in (packed_rows, padded_rows)]
        assert back[0] == back[1]


@pytest.mark.parametrize("name", [one.name for one in FAMILIES])
def test_the_weights_that_the_sync_check_changes_are_the_models_own_and_are_felt(built: Path, name: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(built / name, dtype=torch.float32).eval()
    own, probe = dict(model.named_parameters()), torch.randint(8, 300, (1, 24))
    changed = list(_to_change({key: weight.dim() for key, weight in own.items()}))
    assert len(changed) == 2 and all(key in own for key, _ in changed)
    for key, change in changed:
        with torch.no_grad():
            before = model(input_ids=probe).logits.log_softmax(-1)
            held = own[key].detach().clone()
            own[key].copy_(change(held))
            assert float((model(input_ids=probe).logits.log_softmax(-1) - before).abs().mean()) > 1e-3, key
            own[key].copy_(held)


def test_the_matrix_has_more_than_ten_families() -> None:
    assert len(FAMILIES) >= 12 and family("Llama 3").adds_bos
