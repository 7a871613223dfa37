"""`alignment check` looks at judges: names, places, known verdicts; and what of them is an input of a stage."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from alignment.checks.recipe import checked
from alignment.core.errors import RecipeError
from alignment.core.resources import resource
from alignment.recipe.reading.load import Document
from alignment.rollout.judge_agreement import known_verdicts
from alignment.run.identity import stage_identity
from judges.known_verdicts import known_sums

SERVED = {"kind": "judge", "judge": "small"}


def recipe(folder: Path, reward: dict[str, Any], **judges: dict[str, Any]) -> Path:
    rollout = {"problems_per_step": 2, "generations": 2, "max_prompt_tokens": 128, "max_completion_tokens": 64}
    stage = {"name": "rl", "kind": "grpo", "data": "tiny-reasoning", "rewards": [reward], "rollout": rollout}
    stage |= {"micro_batch": 2, "trainer": {"max_steps": 1}}
    written = {"name": "judged", "model": "embedded", "chat_template": "qwen3", "hardware": {"accelerate": "cpu"}}
    path = folder / "judged.yaml"
    path.write_text(yaml.safe_dump({**written, "judges": judges, "stages": [stage]}), encoding="utf-8")
    return path


def test_a_served_judge_and_its_known_verdicts_are_found_beside_the_recipe(tmp_path: Path) -> None:
    known_sums(tmp_path / "known.jsonl")
    path = recipe(tmp_path, {**SERVED, "agreement": {"data": "known.jsonl"}}, small={"model": "embedded"})
    plan = checked(path, [])
    (reward,) = plan.recipe.stage("rl").rewards  # type: ignore[attr-defined]
    assert reward.agreement.data == str(tmp_path / "known.jsonl")
    assert plan.recipe.judges["small"].engine.type == "vllm_server"


@pytest.mark.parametrize(
    ("reward", "judges", "message"),
    [
        (SERVED, {}, "rewards.judge.judge: found `small`, which is not under `judges`; write it under `judges`"),
        ({**SERVED, "judge": "smal"}, {"small": {"model": "embedded"}}, "did you mean `small`?"),
        ({"kind": "math_answer"}, {"small": {"model": "embedded"}}, "judges.small: no reward names it"),
        ({"kind": "math_answer", "judge": "small"}, {"small": {"model": "embedded"}}, "is for `kind: judge`"),
        (
            {**SERVED, "base_url": "http://127.0.0.1:1/v1"},
            {"small": {"model": "embedded"}},
            "which decides that; remove it",
        ),
        (
            {**SERVED, "agreement": {"data": "none.jsonl"}},
            {"small": {"model": "embedded"}},
            "none.jsonl: cannot be read",
        ),
        (SERVED, {"small": {"model": "embedded", "engine": "vllm"}}, "a judge is served by `vllm_server`"),
        (
            SERVED,
            {"small": {"model": "embedded", "engine": {"endpoints": ["http://h:1"]}}},
            "write `base_url` under the reward",
        ),
        (SERVED, {"small": {"model": "embedded", "engine": {"workers": 2}}}, "which does not read workers; remove it"),
        ({"kind": "judge", "max_cost": 1.0}, {}, "max_cost needs price_per_million_input"),
    ],
)
def test_what_cannot_work_is_said_before_anything_starts(
    reward: dict[str, Any], judges: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError) as refused:
        checked(recipe(tmp_path, reward, **judges), [])
    assert message in str(refused.value)


def test_a_raised_budget_is_no_new_input_of_a_stage_and_another_judge_is(tmp_path: Path) -> None:
    def known(reward: dict[str, Any], **judge: Any) -> dict[str, Any]:
        found = checked(recipe(tmp_path, reward, small={"model": "embedded", **judge}), []).recipe
        return stage_identity(found, found.stage("rl"), {})

    plain = known(SERVED)
    assert plain == known({**SERVED, "max_tokens_total": 10, "concurrency": 2, "timeout_seconds": 3.0})
    assert plain == known(SERVED, restarts=9)
    assert plain != known({**SERVED, "form": "criteria"})
    assert plain != known(SERVED, max_tokens=4096)


def test_an_edited_skill_is_another_input_of_a_stage_and_a_renamed_folder_above_it_is_not(tmp_path: Path) -> None:
    def known(folder: Path) -> dict[str, Any]:
        reward = {"kind": "judge", "form": "skill", "skill": "sums"}
        found = checked(recipe(folder, reward), []).recipe
        return stage_identity(found, found.stage("rl"), {})

    for folder in (tmp_path / "here", tmp_path / "there"):
        (folder / "sums").mkdir(parents=True)
        (folder / "sums" / "SKILL.md").write_text("---\nname: sums\n---\nLook at the number.\n", encoding="utf-8")
        (folder / "sums" / "rubric.yaml").write_text("criteria: [{id: right, text: It is right}]\n", encoding="utf-8")
    before = known(tmp_path / "here")
    assert before == known(tmp_path / "there")
    (tmp_path / "here" / "sums" / "SKILL.md").write_text("---\nname: sums\n---\nBe strict.\n", encoding="utf-8")
    assert known(tmp_path / "here") != before
    (tmp_path / "here" / "sums" / "rubric.yaml").write_text("criteria: 3\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="skill: .*`criteria` is a list"):
        known(tmp_path / "here")


TABLES = sorted(resource("data/known_verdicts").glob("*.jsonl"))
RECIPES = sorted(resource("recipes").glob("*.yaml"))


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_a_table_that_ships_can_be_asked_about_and_has_a_wrong_answer_for_each_right_one(table: Path) -> None:
    known = known_verdicts(table)
    assert Counter(one.score for one in known) == {1: len(known) / 2, 0: len(known) / 2}
    assert len({(one.prompt, one.response) for one in known}) == len(known) >= 24


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_judge_that_a_shipped_recipe_trains_on_is_compared_first(path: Path) -> None:
    loaded, _ = Document(path).recipe()
    assert loaded is not None
    rewards = [reward for stage in loaded.stages for reward in getattr(stage, "rewards", ())]
    assert [reward.kind for reward in rewards if reward.kind == "judge" and reward.agreement is None] == []
