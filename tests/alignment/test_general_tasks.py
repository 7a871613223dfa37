"""The tasks of general RL: each right demonstration has its full reward, each slip has less, and reports know every task."""

from collections import Counter
from itertools import islice

import pytest

import rewards
from alignment.core.errors import DataError
from alignment.data.generators.families import problems
from alignment.data.generators.general.all import GROUPS, TASKS
from alignment.data.rows import Message, Problem
from alignment.data.sources.named import load_source
from alignment.data.sources.rows import source_problems

REWARDS = [{"kind": kind} for kind in ("math_answer", "instruction", "tool_call", "abstention")]
WITHOUT_A_MISTAKE = {"sum"}


def drawn(count: int, **parameters: object) -> list[Problem]:
    return list(islice(problems("general_tasks", seed=3, parameters=dict(parameters)), count))


def scored(rows: list[Problem]) -> list[float]:
    """The fraction of the applicable rewards' scores that each row's demonstration gets."""
    names = ("instruction_id_list", "kwargs", "calls", "known_answers")
    columns = {name: [row.columns.get(name) for row in rows] for name in names}
    with rewards.reward_function(REWARDS) as reward:
        table = reward.verdicts(
            ["q"] * len(rows),
            [[*row.demonstration] for row in rows],
            answer=[row.answer or None for row in rows],
            tools=[row.tools or None for row in rows],
            **columns,
        )
    found = [[one.score for one in row.values() if one.applicable] for row in table]
    assert all(found), "every row has a reward"
    return [sum(score or 0.0 for score in row) / len(row) for row in found]


def test_there_are_more_than_twenty_tasks_in_all_five_groups() -> None:
    assert len(TASKS) >= 20
    assert {task.group for task in TASKS.values()} == set(GROUPS)
    assert Counter(row.family for row in drawn(100)) == dict.fromkeys(TASKS, 4), "drawn in turn"


def test_right_demonstrations_have_the_full_reward_and_slips_have_less() -> None:
    right = drawn(250)
    assert [row.family for row, score in zip(right, scored(right), strict=True) if score < 1] == []
    slipped = drawn(250, slips=1)
    assert [row.text for row in slipped] == [row.text for row in right], "the same problems"
    changed = [row for row, other in zip(slipped, right, strict=True) if row.demonstration != other.demonstration]
    assert {row.family for row in changed} == set(TASKS) - WITHOUT_A_MISTAKE
    assert [row.family for row, score in zip(changed, scored(changed), strict=True) if score > 0.7] == []


def test_a_question_without_an_answer_is_not_answered_and_one_with_it_is() -> None:
    missing, known = drawn(40, tasks=["document-missing"]), drawn(40, tasks=["document"])
    assert {last(row)["content"] for row in missing} == {"I don't know."}
    for row in known:
        key = row.question.removesuffix("?")[-1]
        assert f"{key}: {last(row)['content']}" in row.question


def last(row: Problem) -> Message:
    return row.demonstration[-1]


def test_a_report_names_the_tasks_of_a_source_that_has_several() -> None:
    several = source_problems(load_source("general-tasks"), seed=1, parameters={"groups": ["tools"]}, path=None)
    assert {row.family for row in islice(several, 4)} == {"general-tasks/tool-sum", "general-tasks/tool-none"}
    one = source_problems(load_source("tool-sums"), seed=1, parameters={}, path=None)
    assert next(one).family == "tool-sums"


@pytest.mark.parametrize("wrong", [{"tasks": ["bulets"]}, {"groups": "tools"}, {"slips": 2}, {"slip": 0.5}])
def test_parameters_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError, match="general_tasks"):
        drawn(1, **wrong)
