"""A recipe whose references do not pass their own grader is not started, by `check` for files and by the stage for all."""

import json
from pathlib import Path

import pytest

from alignment.checks.recipe import checked
from alignment.core.errors import DataError, RecipeError
from alignment.data.mixture import load_parts, problems_of
from alignment.recipe.schema import Recipe
from alignment.rollout.references import refuse_failing

RECIPE = """\
name: references
model: embedded
data: {sources: {gsm8k-train: {path: rows.jsonl}}}
stages:
  - name: rl
    kind: grpo
    data: [{source: gsm8k-train}]
    rollout: {generations: 2, problems_per_step: 4, max_prompt_tokens: 128, max_completion_tokens: 64}
    rewards: [{kind: math_answer}, {kind: think_format, weight: 0.1}]
    micro_batch: 8
    trainer: {max_steps: 1}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return tmp_path / "recipe.yaml"


def write_rows(bad: int, good: int) -> None:
    answers = ["work\n#### ???"] * bad + [f"work\n#### {number}" for number in range(good)]
    rows = [{"question": f"Question {number}?", "answer": answer} for number, answer in enumerate(answers)]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def test_a_recipe_with_sound_references_is_checked(recipe: Path) -> None:
    write_rows(bad=2, good=98)
    assert checked(recipe, []).recipe.data.max_failing_fraction == 0.02


def test_a_recipe_with_failing_references_is_refused_where_its_source_is_named(recipe: Path) -> None:
    write_rows(bad=3, good=97)
    with pytest.raises(RecipeError) as caught:
        checked(recipe, [])
    line = str(caught.value).splitlines()[0]
    assert ":7: stages.rl.data.0.source: 3 of 100 sampled references of `gsm8k-train` do not pass math_answer" in line
    assert "(reference_unparsable 3)" in line
    assert "the first is gsm8k-train/" in line
    assert "raise max_failing_fraction" in line


def test_the_fraction_that_may_fail_is_the_recipes(recipe: Path) -> None:
    write_rows(bad=3, good=97)
    assert checked(recipe, ["data.max_failing_fraction=0.03"])
    write_rows(bad=1, good=3000)  # of which 200 are looked at
    assert checked(recipe, ["data.max_failing_fraction=0.01"])


def test_a_stage_refuses_what_check_could_not_see(recipe: Path) -> None:
    write_rows(bad=3, good=97)
    whole = Recipe.model_validate(
        {
            "name": "references",
            "model": "embedded",
            "data": {"sources": {"gsm8k-train": {"path": "rows.jsonl"}}},
            "stages": [
                {
                    "name": "rl",
                    "kind": "grpo",
                    "data": [{"source": "gsm8k-train"}],
                    "rewards": [{"kind": "math_answer"}],
                }
            ],
        }
    )
    stage = whole.stages[0]
    problems = problems_of(whole, load_parts(stage.data))
    with pytest.raises(DataError, match="stage `rl`: 3 of 100 sampled references"):
        refuse_failing(whole, stage, problems)
