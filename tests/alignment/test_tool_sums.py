"""Tool sums: the demonstration is what the calculator answers, and passes the graders it is trained for."""

import itertools
from typing import Any

import pytest

from alignment.core.errors import DataError
from alignment.data.generators.families import problems
from alignment.data.rows import Problem
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.rollout.environments.registry import open_environments
from rewards import reward_function
from rewards.contract import Rollout
from rewards.kinds.tool_call.verifier import ToolCall


def drawn(count: int, seed: int = 1, **parameters: Any) -> list[Problem]:
    return list(itertools.islice(problems("tool_sums", seed=seed, parameters=parameters), count))


def test_the_calculator_says_what_the_demonstration_shows() -> None:
    opened = open_environments(EnvironmentChoice.model_validate({"kind": "tools"}))
    for problem in drawn(200, max_steps=3):
        environment = opened.new()
        assert environment.reset(problem).tools == problem.tools
        for turn, result in itertools.pairwise(problem.demonstration):
            if turn["role"] == "assistant":
                assert environment.step(turn) == [result]
        assert environment.step(problem.demonstration[-1]) == []


def test_the_demonstration_is_right_and_another_call_is_not() -> None:
    for problem in drawn(50):
        columns = {"tools": problem.tools, **problem.columns}
        answer = problem.demonstration[-1]["content"]
        shown = Rollout(problem.messages, answer, columns=columns, messages=tuple(problem.demonstration))
        short = Rollout(problem.messages, answer, columns=columns, messages=tuple(problem.demonstration[2:]))
        right, wrong = ToolCall().judge([shown, short])
        assert (right.score, wrong.score) == (1.0, 0.0)
        with reward_function([{"kind": "math_answer"}]) as reward:
            assert reward([problem.messages], [problem.demonstration], answer=[problem.answer]) == [1.0]


def test_the_steps_from_left_to_right_are_what_the_expression_means() -> None:
    found = drawn(300, max_steps=4)
    assert {len(problem.columns["calls"]) for problem in found} == {1, 2, 3, 4}
    for problem in found:
        expression = problem.question.removesuffix(" =")
        signs = expression.split()[1::2]
        assert "*" not in signs[1:]
        value = int(expression.split()[0])
        for sign, operand in zip(signs, map(int, expression.split()[2::2]), strict=True):
            value = {"+": value + operand, "-": value - operand, "*": value * operand}[sign]
        assert str(value) == problem.answer


def test_direct_demonstrations_answer_the_same_sums_without_a_call() -> None:
    for called, direct in zip(drawn(30), drawn(30, direct=True), strict=True):
        assert (direct.question, direct.answer, direct.columns) == (called.question, called.answer, called.columns)
        (turn,) = direct.demonstration
        assert turn["content"] == called.demonstration[-1]["content"] and "tool_calls" not in turn


@pytest.mark.parametrize(
    "parameters", [{"direct": 1}, {"max_steps": 9}, {"min_digits": 4}, {"steps": 2}, {"max_digits": "3"}]
)
def test_parameters_that_cannot_be_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="`tool_sums` takes"):
        drawn(1, **parameters)
