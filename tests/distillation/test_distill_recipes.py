"""What `alignment check` says of a distill stage, before anything is loaded."""

import json
from pathlib import Path
from typing import Any

import pytest

from alignment.checks.recipe import checked
from alignment.core.errors import RecipeError
from alignment.sizing.estimate import estimates
from distillation.small_stage import ROLLOUT, recipe, write_model


def said(folder: Path, **fields: Any) -> str:
    """The errors; empty where there is none."""
    try:
        checked(recipe(folder, **fields), [])
    except RecipeError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("fields", "words"), [
    ({}, ""),
    ({"divergence": "jsd", "teacher_weight": 0.9}, ""),
    ({"teacher": {"stage": "lear"}}, "no stage before this one that leaves a policy"),
    ({"teacher": {"stage": "learn"}}, "no stage before this one that leaves a policy"),
    ({"teacher": {}}, "write exactly one of `stage` and `model`"),
    ({"teacher": {"model": "models/none"}}, "there is no folder models/none"),
    ({"teacher": {"stage": "learn", "revision": "main"}}, "`revision` is of a hub model"),
    ({"teacher_weight": 0.9}, "has no effect with reverse_kl; write `divergence: jsd`"),
    ({"micro_batch": 3}, "are 4 completions, which 1 process(es) x micro_batch 3 do not divide: write micro_batch 2"),
    ({"trainer": {"beta": 0.5}}, "write `divergence` beside `trainer`"),
    ({"trainer": {"temperature": 0.5}}, "write it under `rollout`"),
    ({"rollout": {**ROLLOUT, "dynamic_sampling": True}}, "dynamic_sampling: unknown key"),
    ({"lora": {"targets": ["q_proj", "lm_head"]}}, "an adapter on lm_head would get no gradient"),
    ({"rollout": {**ROLLOUT, "max_completion_tokens": 2000}}, "reads 1024 tokens"),
    ({"divergence": "kl"}, "divergence"),
])  # fmt: skip
def test_a_distill_stage_that_cannot_work_is_refused(fields: dict[str, Any], words: str, tmp_path: Path) -> None:
    found = said(tmp_path, **fields)
    assert words in found if words else found == ""


def test_a_teacher_with_another_vocabulary_is_refused_with_the_tokens_that_differ(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    tokenizer = tmp_path / "teacher" / "tokenizer.json"
    written = json.loads(tokenizer.read_text(encoding="utf-8"))
    vocabulary = written["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    tokenizer.write_text(json.dumps(written), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"2 tokens have another id or are missing in one, such as 'a' \(\d+, \d+\)"):
        checked(path, [])


def test_a_teacher_with_more_rows_than_tokens_is_told_apart_from_one_with_other_tokens(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    write_model(tmp_path / "teacher", vocab_size=520)
    with pytest.raises(RecipeError, match="the tokenizers are the same, and one embedding has more rows"):
        checked(path, [])


def test_another_teacher_is_another_stage(tmp_path: Path) -> None:
    def identity() -> dict[str, Any]:
        return checked(recipe(tmp_path), []).identity("learn")

    before = identity()
    assert before == identity()
    write_model(tmp_path / "teacher", hidden=48, seed=2)
    assert before != identity()


def test_the_memory_of_a_teacher_is_counted_and_shared_under_deepspeed(tmp_path: Path) -> None:
    hub = {"model": "Qwen/Qwen3-8B"}  # 8,190,735,360 weights

    def gib(**hardware: Any) -> float:
        plan = checked(recipe(tmp_path, teacher=hub), [f"hardware={json.dumps(hardware)}"])
        found = estimates(plan.recipe, plan.base.path)
        assert found is not None
        return found.of("learn").memory.scorers / 2**30

    whole = gib(accelerate="cpu")
    assert whole == pytest.approx(4 * 8_190_735_360 / 2**30, rel=1e-3)
    assert gib(accelerate="cpu-zero3", processes=2) == pytest.approx(whole / 2)
