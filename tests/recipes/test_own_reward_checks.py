"""`alignment check` looks at rewards of one's own: a dry call on rows of the stage, and the code's hash in its identity."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from alignment.checks.recipe import checked
from alignment.core.errors import RecipeError
from alignment.data.rows import Problem, user_turn
from alignment.inference.engine import Generation, GenerationRequest
from alignment.rollout.environments.protocol import Opening
from alignment.rollout.scoring import Scorer
from alignment.rollout.trajectory import one_turn
from alignment.run.identity import stage_identity

CODE = """
def brevity(completions, **kwargs):
    return [1 / (1 + len(one)) for one in completions]


def easy(completions, difficulty, answer):
    return [float(level < 3) for level in difficulty]


def careless(completions, **kwargs):
    return [float(one.split("####")[1]) for one in completions]


def unfinished(completions, **kwargs):
    pass
"""
ROWS = [{"problem": f"What is {one} + 2?", "answer": str(one + 2), "difficulty": one} for one in range(8)]


def recipe(folder: Path, *rewards: dict[str, Any], **rollout: Any) -> Path:
    (folder / "my_rewards.py").write_text(CODE, encoding="utf-8")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    rollout = {
        "problems_per_step": 2,
        "generations": 2,
        "max_prompt_tokens": 64,
        "max_completion_tokens": 64,
        **rollout,
    }
    stage = {"name": "rl", "kind": "grpo", "data": "rows.jsonl", "rewards": list(rewards), "rollout": rollout}
    written = {"name": "own", "model": "embedded", "hardware": {"accelerate": "cpu"}, "stages": [stage]}
    stage |= {"micro_batch": 2, "trainer": {"max_steps": 1}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    return folder / "recipe.yaml"


def refused(path: Path) -> str:
    with pytest.raises(RecipeError) as caught:
        checked(path, [])
    return str(caught.value)


def test_a_function_beside_the_recipe_passes_under_its_own_name_with_fields_of_its_rows(tmp_path: Path) -> None:
    path = recipe(tmp_path, {"kind": "python:my_rewards.brevity", "weight": 0.5}, {"kind": "my_rewards.py:easy"})
    specs = checked(path, ["stages.rl.rewards.brevity.weight=0.25"]).recipe.stages[0].rewards
    assert [(spec.name, spec.weight) for spec in specs] == [("brevity", 0.25), ("easy", 1.0)]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "careless",
            "a call on 3 rows of this stage's data fails: my_rewards.py:11: IndexError: list index out of range",
        ),
        (
            "unfinished",
            "a call on 3 rows of this stage's data fails: it returned a NoneType (None), and a list of numbers is needed",
        ),
        ("brevty", "my_rewards.py has no `brevty`; did you mean `brevity`?"),
    ],
)
def test_a_fault_is_found_before_anything_starts_and_placed_at_its_reward(tmp_path: Path, name: str, said: str) -> None:
    text = refused(recipe(tmp_path, {"kind": "math_answer"}, {"kind": f"my_rewards.py:{name}"}))
    assert f"stages.rl.rewards.{name}: {said}" in text
    assert "recipe.yaml:" in text and "Traceback" not in text


def test_a_column_that_no_row_has_is_named(tmp_path: Path) -> None:
    path = recipe(tmp_path, {"kind": "my_rewards.py:graded"})
    with (tmp_path / "my_rewards.py").open("a", encoding="utf-8") as file:
        file.write("\n\ndef graded(completions, level):\n    return level\n")
    assert "needs level, and no source of this stage has it" in refused(path)


def test_changed_code_is_another_input_and_a_renamed_folder_is_not(tmp_path: Path) -> None:
    def identity(folder: Path) -> dict[str, Any]:
        plan = checked(folder / "recipe.yaml", [])
        return stage_identity(plan.recipe, plan.recipe.stages[0], {})

    (tmp_path / "first").mkdir()
    recipe(tmp_path / "first", {"kind": "my_rewards.py:brevity"})
    before = identity(tmp_path / "first")
    assert "my_rewards.py" in before["files"]
    second = (tmp_path / "first").rename(tmp_path / "second")
    assert identity(second) == before
    (second / "my_rewards.py").write_text(CODE.replace("1 /", "2 /"), encoding="utf-8")
    assert identity(second) != before


def test_a_rollout_over_which_it_hangs_is_left_out_of_the_reward_and_the_log_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = "import time\n\n\ndef slow(completions, difficulty, **kwargs):\n"
    slow += "    time.sleep(100 if 'stuck' in completions else 0)\n    return [float(one) for one in difficulty]\n"
    path = recipe(tmp_path, {"kind": "math_answer"}, {"kind": "slow.py:slow", "timeout_seconds": 1.0, "weight": 0.5})
    (tmp_path / "slow.py").write_text(slow, encoding="utf-8")
    scorer = Scorer(checked(path, []).recipe.stages[0].rewards)
    problem = Problem("p", [user_turn("What is 1 + 2?")], "3", columns={"difficulty": 2})
    texts = ["3", "stuck", "4"]
    made = [
        one_turn(
            Opening(problem.messages, []),
            Generation(GenerationRequest([1], "non_thinking"), [1], [0.0], [False], "end", text),
        )
        for text in texts
    ]
    try:
        judged = scorer.judge([problem] * 3, made)
    finally:
        scorer.close()
    assert [one.total for one in judged] == [2.0, None, 1.0]
    assert judged[1].verdicts["slow"].reason == "timed_out" and judged[1].verdicts["math_answer"].score == 0.0
    assert capsys.readouterr().out == "reward slow: timed_out: no answer within 1.0 seconds\n"
