"""docs/models.md says what the code does: a few cells in every run of the tests, the whole table in the long one."""

from pathlib import Path

import pytest
from families import FAMILIES, build, family
from family_runs import engine_greedy, plain_greedy, train
from matrix import COLUMNS, cell_of, cells, on_page, page

from alignment.inference.vllm.kind import vllm_fault

PAGE = on_page()


def test_the_page_is_what_the_matrix_writes_and_has_every_family() -> None:
    from matrix import PAGE as FILE
    from matrix import line

    assert list(PAGE) == [one.name for one in FAMILIES]
    assert FILE.read_text(encoding="utf-8") == page({name: line(row) for name, row in PAGE.items()})


def test_enough_families_train_and_no_cell_is_wrong_in_silence() -> None:
    works = {kind: [name for name, row in PAGE.items() if row[kind].startswith("pa")] for kind in COLUMNS[1:5]}
    assert len(works["SFT"]) >= 10 and len(works["DPO"]) >= 10 and len(works["GRPO"]) >= 8
    for name, row in PAGE.items():
        for column in COLUMNS[1:]:
            assert row[column].startswith(("packed", "padded", "yes", "refused: ")), (name, column, row[column])


@pytest.mark.parametrize("name", ["Gemma 3", "LFM2"])
def test_sft_of_a_family_is_what_the_page_says_and_samples_what_plain_transformers_samples(
    name: str, tmp_path: Path
) -> None:
    chosen = family(name)
    model = build(chosen, tmp_path / "model")
    made = train(model, chosen.template, "sft", tmp_path / "sft")
    assert cell_of(made, chosen.template) == PAGE[name]["SFT"], made.refusal
    assert made.output is not None
    assert engine_greedy(made.output, "transformers") == plain_greedy(made.output)


def test_a_template_without_markers_is_refused_with_the_one_to_write(tmp_path: Path) -> None:
    chosen = family("Llama 3")
    made = train(build(chosen, tmp_path / "model"), None, "sft", tmp_path / "sft")
    assert made.output is None and "write `chat_template: llama3`" in made.refusal


@pytest.mark.skipif(bool(vllm_fault()), reason=str(vllm_fault()))
def test_vllm_beside_a_trainer_is_refused_for_a_model_that_it_runs_by_transformers_own_classes(tmp_path: Path) -> None:
    model = build(family("SmolLM3"), tmp_path / "model")
    made = train(model, None, "grpo", tmp_path / "grpo", "vllm")
    assert made.output is None and "Write `engine: transformers`" in made.refusal


@pytest.mark.long
@pytest.mark.skipif(bool(vllm_fault()), reason=str(vllm_fault()))
@pytest.mark.parametrize("chosen", FAMILIES, ids=lambda one: one.name)
def test_every_cell_of_a_family_is_what_the_page_says(chosen: object, tmp_path: Path) -> None:
    assert cells(chosen, tmp_path) == PAGE[chosen.name]  # type: ignore[arg-type,attr-defined]
