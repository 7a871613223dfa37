"""Environments of one's own: a class beside the recipe, with options from it, and faults that name the file and line."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from alignment.checks.recipe import checked
from alignment.core.errors import RecipeError
from alignment.data.rows import Problem, user_turn
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.rollout.environments.calls import as_message
from alignment.rollout.environments.registry import environment_faults, open_environments
from alignment.run.identity import stage_identity

MAZE = """
class Maze:
    def __init__(self, size: int = 2):
        self.left = size

    def reset(self, problem):
        return [*problem.messages, {"role": "user", "content": f"{self.left} doors. Which way?"}]

    def step(self, turn):
        self.left -= 1
        if turn["content"] == "wall":
            return {}["wall"]
        return [{"role": "user", "content": "Which way?"}] if self.left else []


class NoOpening(Maze):
    def reset(self, problem):
        return "Which way?"


class Fails(Maze):
    def reset(self, problem):
        return problem.no_such_thing


class NoStep:
    def reset(self, problem):
        return problem.messages
"""
PROBLEM = Problem("p", [user_turn("Find out.")], "1")


def recipe(folder: Path, **environment: Any) -> Path:
    (folder / "maze.py").write_text(MAZE, encoding="utf-8")
    rollout = {"problems_per_step": 2, "generations": 2, "max_prompt_tokens": 96, "max_completion_tokens": 64}
    stage = {
        "name": "rl",
        "kind": "grpo",
        "data": [{"source": "chain-sum", "split": "reasoning", "count": 8}],
        "rewards": [{"kind": "math_answer"}],
        "rollout": {**rollout, "environment": environment},
        "micro_batch": 2,
        "trainer": {"max_steps": 1},
    }
    written = {"name": "own", "model": "embedded", "hardware": {"accelerate": "cpu"}, "stages": [stage]}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    return folder / "recipe.yaml"


def test_a_class_beside_the_recipe_is_each_rollouts_own_and_takes_options(tmp_path: Path) -> None:
    choice = checked(recipe(tmp_path, kind="maze.py:Maze", size=3), []).recipe.stages[0].rollout.environment
    opened = open_environments(choice)
    first, second = opened.new(), opened.new()
    assert first.reset(PROBLEM).messages[-1]["content"] == "3 doors. Which way?"
    second.reset(PROBLEM)
    assert [len(first.step(as_message("left"))) for _ in range(3)] == [1, 1, 0]
    assert len(second.step(as_message("left"))) == 1, "its state is its own"
    with pytest.raises(RecipeError, match=r"maze.py:Maze: step failed at maze.py:12: KeyError: 'wall'"):
        second.step(as_message("wall"))


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"kind": "maze.py:NoOpening"}, "reset returned a str ('Which way?'); it has to return an Opening"),
        ({"kind": "maze.py:Fails"}, "reset failed at maze.py:23: AttributeError"),
        ({"kind": "maze.py:NoStep"}, "maze.py:NoStep has no `step`; write a class with"),
        ({"kind": "maze.py:Mase"}, "maze.py has no `Mase`; did you mean `Maze`?"),
        ({"kind": "python:mazes.Maze"}, "mazes cannot be imported (ModuleNotFoundError: No module named 'mazes')"),
        ({"kind": "maze.py:Maze", "width": 2}, "it takes: kind, max_turns, size"),
        ({"kind": "maze.py:Maze", "size": "wide"}, "size: Input should be a valid integer"),
    ],
)
def test_what_cannot_work_is_found_by_check_with_a_dry_reset(
    tmp_path: Path, environment: dict[str, Any], said: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        checked(recipe(tmp_path, **environment), [])
    assert said in str(caught.value) and "stages.rl.rollout.environment" in str(caught.value)


def test_its_code_is_part_of_the_stages_identity_and_its_folder_is_not(tmp_path: Path) -> None:
    def identity(folder: Path) -> dict[str, Any]:
        plan = checked(folder / "recipe.yaml", [])
        return stage_identity(plan.recipe, plan.recipe.stages[0], {})

    (tmp_path / "first").mkdir()
    recipe(tmp_path / "first", kind="python:maze.Maze")
    before = identity(tmp_path / "first")
    second = (tmp_path / "first").rename(tmp_path / "second")
    assert identity(second) == before
    (second / "maze.py").write_text(MAZE.replace("left -= 1", "left -= 2"), encoding="utf-8")
    assert identity(second) != before


def test_a_declared_kind_of_ones_own_stands_in_the_same_place(tmp_path: Path) -> None:
    (tmp_path / "kinds.py").write_text(
        "from alignment.rollout.environments.protocol import EnvironmentKind\n"
        "from alignment.rollout.environments.single_turn import NoOptions, SingleTurn\n"
        'KIND = EnvironmentKind("mine", NoOptions, lambda options: SingleTurn())\n',
        encoding="utf-8",
    )
    choice = EnvironmentChoice(kind=f"{tmp_path}/kinds.py:KIND")
    assert environment_faults(choice) == []
    assert open_environments(choice).new().reset(PROBLEM).messages == PROBLEM.messages
