"""What `check` finds in the files of a model and in the rows, before anything is loaded: adapters, templates, overlap."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from alignment.checks.own_tasks import task_faults
from alignment.checks.recipe import checked
from alignment.checks.rows.overlap import asked_key
from alignment.core.resources import resource
from recipes.what_check_says import what_check_says


def refusal(folder: Path, stage: dict[str, Any], **top: Any) -> str:
    """What `check` says of a recipe of one stage; empty where it says nothing."""
    path = folder / "recipe.yaml"
    data = {"sources": {"gsm8k-train": {"path": str(folder / "train.jsonl")}}}
    recipe = {"name": "own", "model": "embedded", "data": data, "stages": [stage], **top}
    return what_check_says(path, recipe)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows(tmp_path / "train.jsonl", range(40))
    return tmp_path


def rows(path: Path, numbers: range) -> None:
    lines = [json.dumps({"question": f"What is {n} + {n}?", "answer": f"#### {2 * n}"}) for n in numbers]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def tuned(**lora: Any) -> dict[str, Any]:
    stage: dict[str, Any] = {"name": "tune", "kind": "sft", "data": [{"source": "gsm8k-train", "mode": "non_thinking"}],
                             "max_length": 256, "trainer": {"max_steps": 2}}  # fmt: skip
    return {**stage, "lora": {"rank": 4, **lora}} if lora else stage


def test_a_misspelt_target_is_named_with_the_right_one_even_beside_a_right_one(folder: Path) -> None:
    found = refusal(folder, tuned(targets=["q_proj", "v_prj"]))
    assert "lora.targets.1" in found and "`v_prj`" in found and "did you mean `v_proj`?" in found
    assert "`q_proj`;" not in found


def test_targets_that_exist_pass(folder: Path) -> None:
    assert refusal(folder, tuned(targets=["q_proj", "down_proj"])) == ""
    assert refusal(folder, tuned(targets="all-linear")) == ""


def test_an_adapter_on_tied_embeddings_is_refused_and_on_untied_ones_is_not(folder: Path) -> None:
    assert "ties its input embeddings" in refusal(folder, tuned(targets=["q_proj", "embed_tokens"]))
    model = folder / "untied"
    shutil.copytree(resource("data/base"), model)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}), encoding="utf-8")
    assert "ties its input embeddings" not in refusal(folder, tuned(targets=["embed_tokens"]), model=str(model))


def test_weights_that_were_quantised_for_inference_are_refused(folder: Path) -> None:
    model = folder / "quantised"
    shutil.copytree(resource("data/base"), model)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    found = refusal(folder, tuned(), model=str(model))
    assert "model: the weights of" in found and "are quantised (fp8)" in found
    assert "write the model that it was made from" in found


def test_a_dense_model_has_no_experts_to_balance(folder: Path) -> None:
    balanced = {**tuned(), "trainer": {"max_steps": 2, "router_aux_loss_coef": 0.01}}
    assert "router_aux_loss_coef" in (found := refusal(folder, balanced)) and "this model has none" in found
    model = folder / "experts"
    shutil.copytree(resource("data/base"), model)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps({**config, "num_experts": 4}), encoding="utf-8")
    assert "router_aux_loss_coef" not in refusal(folder, balanced, model=str(model))


def test_a_trained_token_that_the_tokenizer_does_not_have_is_refused(folder: Path) -> None:
    assert refusal(folder, tuned(train_tokens=["<think>"])) == ""
    assert "`<plan>` is no single token" in refusal(folder, tuned(train_tokens=["<plan>"]))


def test_an_adapter_that_nothing_has_made_cannot_be_continued(folder: Path) -> None:
    assert "continues an adapter, but this stage starts from the base model" in refusal(
        folder, tuned(adapter="continue")
    )


def test_a_local_model_without_a_chat_template_is_refused_unless_the_recipe_names_one(folder: Path) -> None:
    model = folder / "base-model"
    shutil.copytree(resource("data/base"), model)
    (model / "chat_template.jinja").unlink()
    found = refusal(folder, tuned(), model=str(model))
    assert "has no chat template" in found and "chat_template:" in found and "qwen3" in found
    assert "has no chat template" not in refusal(folder, tuned(), model=str(model), chat_template="qwen3")


@pytest.mark.parametrize(("tested", "refused"), [(range(30, 50), True), (range(100, 120), False)])
def test_training_on_the_rows_of_an_evaluation_is_refused_whatever_the_files_are_called(
    folder: Path, tested: range, refused: bool
) -> None:
    rows(folder / "test.jsonl", tested)
    sources = {"gsm8k-train": {"path": str(folder / "train.jsonl")}, "gsm8k-test": {"path": str(folder / "test.jsonl")}}
    evaluations = {
        "after_each_stage": ["gsm8k-test"],
        "count": 4,
        "max_completion_tokens": 64,
        "max_prompt_tokens": 128,
    }
    found = refusal(folder, tuned(), data={"sources": sources}, evaluations=evaluations)
    assert ("10 of the 20 problems of the task `gsm8k-test` are among the rows of `gsm8k-train`" in found) == refused
    assert refused or found == ""


def test_a_model_beside_the_recipe_is_found_from_another_folder_and_none_there_is_taken_for_it(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = folder / "recipe.yaml"
    shutil.copytree(resource("data/base"), folder / "mine")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "mine").mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    stage = {
        "name": "one",
        "kind": "sft",
        "data": [{"source": "gsm8k-train", "mode": "non_thinking"}],
        "max_length": 64,
    }
    assert refusal(folder, stage, model="./mine") == ""
    assert checked(recipe, []).recipe.model == str(folder / "mine")
    monkeypatch.chdir(folder)
    assert checked(recipe, []).recipe.model == "./mine"


@pytest.mark.parametrize(
    ("lora", "words"),
    [({"targets": []}, "`targets` names no module"), ({"train_tokens": ["<think>", "<think>"]}, "'<think>' twice")],
)
def test_names_of_nothing_or_twice_are_refused(folder: Path, lora: dict[str, Any], words: str) -> None:
    assert words in refusal(folder, tuned(**lora))


@pytest.mark.parametrize("question", ["What  is\u00a07+ 7 ?", "what is 7 \uff0b 7", "WHAT IS 7 + 7."])
def test_a_test_problem_in_other_spaces_signs_and_letters_is_found(question: str) -> None:
    assert asked_key(question) == asked_key("What is 7 + 7?") != asked_key("What is 7 - 7?")


@pytest.mark.parametrize(
    "question",
    [
        "What is 7 + 7?\nThink step by step.",
        "Solve this.\n\nWhat is 7 + 7?",
        "Question: What is 7 + 7?",
        r"What is \(7 + 7\)?",
        "What is $7 + 7$?",
    ],
)
def test_a_test_problem_among_a_prompts_own_words_is_found(folder: Path, question: str) -> None:
    for name, asked in (("train", question), ("test", "What is 7 + 7?")):
        row = json.dumps({"question": asked, "answer": "so #### 14" if name == "train" else "14"})
        (folder / f"{name}.jsonl").write_text(row + "\n", encoding="utf-8")
    measured = {"after_each_stage": ["./test.jsonl"], "max_prompt_tokens": 64, "max_completion_tokens": 64}
    assert "1 of the 1 problems of the task" in refusal(folder, tuned(), evaluations=measured)


def test_a_row_of_a_task_that_would_end_its_measurement_is_found_before_training(folder: Path) -> None:
    asked = [{"question": f"What is {n} + 1?", "answer": None if n == 250 else n + 1} for n in range(300)]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked), encoding="utf-8")
    said = "".join(task_faults(str(folder / "test.jsonl")))
    assert "1 of its rows cannot be asked, the first is test.jsonl:251: `answer` is null" in said


def test_a_task_that_asks_the_same_again_and_again_is_refused(folder: Path) -> None:
    asked = [{"question": f"What is {n % 3} + 1?", "answer": str(n % 3 + 1)} for n in range(30)]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked), encoding="utf-8")
    assert "30 of its rows ask 3 problems" in "".join(task_faults(str(folder / "test.jsonl")))
