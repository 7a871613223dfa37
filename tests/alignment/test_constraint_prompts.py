"""The evaluation task `constraints`: every type, both demands alike, and nothing that another row was trained on."""

import itertools
from collections import Counter
from pathlib import Path

import pytest

from alignment.core.errors import DataError
from alignment.data.generators.families import problem_key, problems
from alignment.data.rows import Problem
from alignment.data.sources.splits import split_of
from alignment.evaluation.task import task_problems
from rewards import instruction_fault
from rewards.kinds.instruction.constraints import CONSTRAINTS

IFEVAL = Path(__file__).parents[3] / "shared" / "data" / "ifeval" / "input_data.jsonl"  # beside the repository


def drawn(seed: int, count: int) -> list[Problem]:
    return list(itertools.islice(problems("constraints", seed=seed, parameters={}), count))


def test_every_type_is_asked_for_and_planning_as_often_as_precision() -> None:
    found = drawn(0, 3000)
    for problem in found:
        (name,), (kwargs,) = problem.columns["instruction_id_list"], problem.columns["kwargs"]
        assert instruction_fault(name, kwargs) is None
    names = [problem.columns["instruction_id_list"][0] for problem in found]
    assert set(names) == set(CONSTRAINTS)
    assert min(Counter(names).values()) > 50
    demands = Counter(CONSTRAINTS[name].demand for name in names)
    assert 1400 < demands["planning"] < 1600


def test_what_is_to_be_repeated_stands_in_the_question() -> None:
    repeats = [one for one in drawn(1, 500) if one.columns["instruction_id_list"] == ["combination:repeat_prompt"]]
    assert repeats
    for problem in repeats:
        assert problem.question.startswith(problem.columns["kwargs"][0]["prompt_to_repeat"] + " Before")


def test_the_task_is_drawn_from_the_evaluation_split_which_training_rows_of_the_same_words_never_meet() -> None:
    measured = task_problems("constraints", 300, 5, parameters={})
    assert len(measured) == 300
    assert {split_of(problem.question) for problem in measured} == {"evaluation"}
    trained = itertools.islice(problems("instructions", seed=0, parameters={"most_constraints": 1}), 5000)
    keys = {problem_key(problem.question) for problem in trained if split_of(problem.question) != "evaluation"}
    assert not keys & {problem_key(problem.question) for problem in measured}


def test_one_demand_alone_can_be_asked_for_and_nothing_else() -> None:
    found = itertools.islice(problems("constraints", seed=0, parameters={"demand": "planning"}), 100)
    names = {problem.columns["instruction_id_list"][0] for problem in found}
    assert {CONSTRAINTS[name].demand for name in names} == {"planning"}
    for wrong in ({"most_constraints": 1}, {"demand": "both"}):
        with pytest.raises(DataError, match="demand: planning"):
            next(problems("constraints", seed=0, parameters=dict(wrong)))


def test_a_file_of_ifeval_becomes_a_task() -> None:
    if not IFEVAL.is_file():
        pytest.skip(f"{IFEVAL} is not on this machine; it is public data outside the repository")
    found = task_problems("ifeval", 1000, 0, parameters={}, path=IFEVAL)
    assert len(found) == 541
    assert all(problem.columns["instruction_id_list"] and not problem.answer for problem in found)
