"""A key that had another name is answered with the new one, at its line; a key with no history, with the nearest name."""

from pathlib import Path

import pytest
import yaml

from alignment.recipe.reading.load import Document
from alignment.recipe.reading.renamed import RENAMED
from alignment.recipe.reference import sections

KEYS = [(block, key) for block, keys in RENAMED.items() for key in keys]
PART = {"source": "chain-sum", "split": "fusion", "count": 8}
GRPO = {"name": "rl", "kind": "grpo", "data": [PART], "rewards": [{"kind": "math_answer"}]}
SAMPLE = {**GRPO, "kind": "sample"}


def recipe_with(block: str, key: str) -> dict[str, object]:
    """A recipe that is sound but for an old key in one of its blocks."""
    old = {key: 1}
    fusion = {"name": "mix", "kind": "fusion", "data": [PART]}
    stages, top = [SAMPLE], dict[str, object]()
    match block:
        case "Sampling":
            stages = [{**SAMPLE, "rollout": old}]
        case "Rollout":
            stages = [{**GRPO, "rollout": old}]
        case "FusionStage":
            stages = [{**fusion, **old}]
        case "MixturePart":
            stages = [{**SAMPLE, "data": [{**PART, **old}]}]
        case "DataOverrides":
            top = {"data": old}
        case "Evaluations":
            top = {"evaluations": old}
    return {"name": "old", "model": "embedded", **top, "stages": stages}


@pytest.mark.parametrize(("block", "key"), KEYS)
def test_an_old_key_is_answered_with_its_new_name(block: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text(yaml.safe_dump(recipe_with(block, key), sort_keys=False), encoding="utf-8")
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if f"{key}:" in text)
    document = Document(path)
    recipe, issues = document.recipe()
    assert recipe is None
    (said,) = [document.describe(issue) for issue in issues]
    outer, _, inner = RENAMED[block][key].partition(".")
    assert said.startswith(f"{path}:{line}: ")
    assert said.endswith(f"write `{outer}: {{{inner}: ...}}`" if inner else f"was renamed; write `{outer}`")


@pytest.mark.parametrize(("block", "key"), KEYS)
def test_the_new_name_is_there_and_the_old_one_is_not(block: str, key: str) -> None:
    (fields,) = [model.model_fields for model, _, _ in sections() if model.__name__ == block]
    outer, _, inner = RENAMED[block][key].partition(".")
    assert outer in fields
    assert key not in fields
    if inner:
        assert inner in type(fields[outer].default).model_fields


def test_a_rollout_of_grpo_knows_what_every_rollout_was_called(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    stages = [{**GRPO, "rollout": {"budget": 64}}]
    path.write_text(yaml.safe_dump({"name": "old", "model": "embedded", "stages": stages}), encoding="utf-8")
    _, (issue,) = Document(path).recipe()
    assert issue.message == "is now `most` of `thinking_budget`; write `thinking_budget: {most: ...}`"
