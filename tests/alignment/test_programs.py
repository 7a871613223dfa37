"""Problems that ask for a small program: judgeable, right by construction, and told so that brackets matter."""

import itertools

import pytest

from alignment.core.errors import DataError
from alignment.data.generators.families import problem_key, problems
from alignment.data.mixture import as_conversation
from alignment.data.rows import Problem
from alignment.data.sources.declared import can_be_imitated
from alignment.data.sources.named import load_source
from alignment.rollout.references import failing
from rewards import Rollout, check_tests, machine_fault
from rewards.kinds.python_tests.verifier import PythonTests


def drawn(seed: int, count: int, **parameters: int) -> list[Problem]:
    return list(itertools.islice(problems("programs", seed=seed, parameters=dict(parameters)), count))


def test_problems_are_distinct_the_same_for_a_seed_and_can_be_judged() -> None:
    found = drawn(0, 2000, max_steps=4)
    assert len({problem_key(problem.question) for problem in found}) == 2000
    assert found == drawn(0, 2000, max_steps=4) != drawn(1, 2000, max_steps=4)
    assert {problem.question.count(",") for problem in found} == {0, 1, 2, 3}
    assert [trouble for problem in found if (trouble := check_tests(problem.columns["tests"]))] == []


@pytest.mark.skipif(bool(machine_fault({"kind": "python_tests"})), reason="nothing isolates programs here")
def test_every_solution_passes_and_one_without_its_brackets_does_not() -> None:
    found = drawn(3, 200, min_steps=2, max_steps=6)
    assert list(failing(found, {"python_tests": {}}, 0.0)) == []
    bracketed = [problem for problem in found if ") *" in problem.columns["solution"]]
    assert len(bracketed) > 50
    bare = [str(problem.trace).splitlines()[-1].replace("(", "").replace(")", "") for problem in bracketed]
    verifier = PythonTests()
    rollouts = [
        Rollout("", f"def f(x):\n    return {expression}", columns={"tests": problem.columns["tests"]})
        for problem, expression in zip(bracketed, bare, strict=True)
    ]
    reasons = {verdict.reason for verdict in verifier.judge(rollouts)}
    verifier.close()
    assert reasons == {"wrong_answer"}


def test_a_solution_is_what_imitation_shows_after_the_growing_expression() -> None:
    problem = drawn(5, 1, min_steps=3, max_steps=3)[0]
    thinking = as_conversation(problem, "thinking").messages[-1]
    assert thinking["content"] == f"```python\n{problem.columns['solution']}\n```"
    lines = thinking["reasoning_content"].splitlines()
    assert len(lines) == 3 and problem.columns["solution"].endswith(lines[-1])
    assert as_conversation(problem, "non_thinking").messages[-1]["reasoning_content"] == ""
    assert can_be_imitated(load_source("programs")) and can_be_imitated(load_source("mbpp-train"))
    assert not can_be_imitated(load_source("instructions"))


@pytest.mark.parametrize(
    "parameters", [{"steps": 2}, {"max_steps": 7}, {"min_steps": 3, "max_steps": 2}, {"min_steps": 0}]
)
def test_other_parameters_are_refused(parameters: dict[str, int]) -> None:
    with pytest.raises(DataError, match="write `min_steps` and `max_steps`, from 1 to 6"):
        drawn(0, 1, **parameters)
