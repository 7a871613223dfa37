"""Where thinking helps: shares by demand, strict and loose, and verdicts that say no more than the answers allow."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from alignment.core.statistics.intervals import wilson
from alignment.core.statistics.pairs import Pair, difference, difference_interval, verdict
from alignment.core.vocabulary import Mode
from alignment.data.rows import Problem, user_turn
from alignment.evaluation.grading import GRADERS
from alignment.evaluation.measures.constraints import constraint_figures
from alignment.inference.engine import Generation, GenerationRequest
from alignment.records.constraints import ModeAnswers
from alignment.rollout.environments.protocol import Opening
from alignment.rollout.scoring import Judged, Scorer
from alignment.rollout.trajectory import one_turn

WORDS = ("length_constraints:number_words", {"num_words": 3, "relation": "less than"})  # planning
NO_COMMA = ("punctuation:no_comma", {})  # precision
THOUGHT = "<think>\nhm, yes\n</think>\n\n"


def problem(number: int, *constraints: tuple[str, dict[str, Any]], task: str = "constraints") -> Problem:
    columns = {"instruction_id_list": [one[0] for one in constraints], "kwargs": [one[1] for one in constraints]}
    return Problem(
        f"{task}/{number}", [user_turn(f"Say something {number}.")], "", None, task, columns if constraints else {}
    )


def judged(problems: Sequence[Problem], mode: Mode, texts: Sequence[str]) -> list[Judged]:
    made = [one_turn(Opening([], []), Generation(GenerationRequest([1], mode), [1] * 9, [0.0] * 9, [False] * 9, "end", text, 4 * (mode == "thinking"))) for text in texts]  # fmt: skip
    scorer = Scorer(GRADERS)
    try:
        return scorer.judge(problems, made)
    finally:
        scorer.close()


def figures(problems: Sequence[Problem], thinking: Sequence[str], plain: Sequence[str], **options: bool) -> Any:
    answers: dict[Mode, list[Judged]] = {
        "thinking": judged(problems, "thinking", thinking),
        "non_thinking": judged(problems, "non_thinking", plain),
    }
    return constraint_figures(answers, **options)


def demand(task: Any, name: str, reading: str = "strict") -> Any:
    return next(one for one in task.demands if (one.demand, one.reading) == (name, reading))


def pairs(both: int, first: int, second: int, neither: int) -> list[Pair]:
    yes, no = (1.0, 1), (0.0, 1)
    return [(yes, yes)] * both + [(yes, no)] * first + [(no, yes)] * second + [(no, no)] * neither


def test_thinking_that_helps_to_count_and_hurts_the_form_is_seen_as_both() -> None:
    problems = [problem(number, WORDS, NO_COMMA) for number in range(12)]
    (task,) = figures(problems, [THOUGHT + "salt, sea"] * 12, ["salt and the sea"] * 12)
    planning, precision = demand(task, "planning"), demand(task, "precision")
    assert (planning.thinking.value, planning.non_thinking.value, planning.difference.value) == (1.0, 0.0, 1.0)
    assert planning.verdict == "helps" and planning.difference.low > 0
    assert (precision.difference.value, precision.verdict) == (-1.0, "hurts")
    assert (demand(task, "all").difference.value, demand(task, "all").verdict) == (0.0, "no difference seen")
    assert (planning.constraints, planning.problems, demand(task, "all").constraints) == (12, 12, 24)
    assert planning.thinking.low == round(wilson(12, 12)[0], 4)
    assert [(one.type, one.demand, one.thinking, one.non_thinking) for one in task.types] == [
        (WORDS[0], "planning", 1.0, 0.0),
        (NO_COMMA[0], "precision", 0.0, 1.0),
    ]
    assert task.cautions == ()


def test_the_loose_reading_forgives_an_opening_line_and_the_strict_one_does_not() -> None:
    problems = [problem(number, NO_COMMA) for number in range(4)]
    (task,) = figures(problems, [THOUGHT + "Sure, here:\nsalt"] * 4, ["salt"] * 4)
    strict, loose = demand(task, "precision"), demand(task, "precision", "loose")
    assert (strict.thinking.value, loose.thinking.value, loose.difference.value) == (0.0, 1.0, 0.0)


def test_only_the_answer_counts_and_thinking_that_never_ends_is_named_as_the_cause() -> None:
    problems = [problem(number, NO_COMMA) for number in range(8)]
    (task,) = figures(problems, ["<think>\nfor ever"] * 8, ["salt"] * 8)
    assert demand(task, "precision").verdict == "hurts"
    assert task.modes["thinking"] == ModeAnswers(8, 1.0, 1.0, 5.0)
    (caution,) = task.cautions
    assert "in thinking mode 100% of the completions hold no answer" in caution and "cut off" in caution


def test_a_comparison_that_compares_nothing_says_so() -> None:
    problems = [problem(number, NO_COMMA) for number in range(4)]
    (task,) = figures(problems, ["salt"] * 4, [THOUGHT + "salt"] * 4, same_prompts=True)
    assert [caution.partition(" ")[0] for caution in task.cautions] == ["the", "in", "in"]
    assert "same prompt for both modes" in task.cautions[0]
    assert "only 0% of the answers thought" in task.cautions[1]


def test_a_row_that_cannot_be_judged_is_counted_and_left_out() -> None:
    broken = problem(1, ("no:such", {}))
    (task,) = figures([problem(0, NO_COMMA), broken], [THOUGHT + "salt"] * 2, ["salt"] * 2)
    assert (task.unknown, task.problems, demand(task, "all").constraints) == (2, 1, 1)
    planning = demand(task, "planning")
    assert (planning.thinking.value, planning.difference.value, planning.verdict) == (None, None, "not measured")
    assert (planning.difference.low, planning.difference.high) == (-1.0, 1.0)


def test_tasks_are_apart_and_those_without_constraints_are_not_among_them() -> None:
    sums = Problem("s", [user_turn("1 + 1?")], "2", None, "chain-sum")
    mixed = [sums, problem(0, NO_COMMA, task="ifeval"), problem(0, WORDS)]
    found = figures(mixed, [THOUGHT + "2"] * 3, ["2"] * 3)
    assert [task.task for task in found] == ["ifeval", "constraints"]
    assert figures([sums], ["2"], ["2"]) == ()


def test_several_samples_of_a_problem_are_one_cluster() -> None:
    problems = [problem(number, NO_COMMA) for number in range(10) for _ in range(4)]
    thinking = [THOUGHT + ("salt" if index // 4 % 2 else "salt, sea") for index in range(40)]
    (task,) = figures(problems, thinking, ["salt, sea"] * 40)
    found = demand(task, "precision")
    assert (found.constraints, found.problems, found.difference.value) == (40, 10, 0.5)
    assert (found.thinking.low, found.thinking.high) == tuple(round(end, 4) for end in wilson(5, 10))


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ((20, 0, 0, 20), "no difference seen"),
        ((20, 4, 0, 16), "no difference seen"),  # an exact McNemar test has p = 0.125
        ((20, 8, 3, 9), "no difference seen"),  # p = 0.23
        ((20, 10, 0, 10), "helps"),  # p = 0.002
        ((20, 0, 10, 10), "hurts"),
        ((300, 60, 20, 161), "helps"),  # p < 0.001
        ((0, 0, 0, 0), "not measured"),
    ],
)
def test_a_verdict_needs_more_than_a_few_pairs_that_differ(table: tuple[int, int, int, int], expected: str) -> None:
    found = pairs(*table)
    interval = difference_interval(found)
    assert verdict(found, interval) == expected
    gap = difference(found)
    assert gap is None or interval[0] <= gap <= interval[1]


def test_problems_that_all_agree_leave_room_for_a_difference() -> None:
    low, high = difference_interval(pairs(40, 0, 0, 0))
    assert -0.2 < low < 0 < high < 0.2
    few = difference_interval(pairs(5, 0, 0, 0))
    assert few[0] < low and few[1] > high, "fewer problems say less"


def test_pairing_makes_a_difference_more_certain_than_its_two_fractions() -> None:
    low, _ = difference_interval(pairs(100, 16, 0, 84))
    (first_low, _), (_, second_high) = wilson(116, 200), wilson(100, 200)
    assert low > 0, "every problem that differs differs one way"
    assert first_low < second_high, "although the intervals of the shares overlap"


def test_where_there_is_no_difference_one_is_seldom_seen() -> None:
    draw, seen = random.Random(4), 0
    for trial in range(150):
        counts = [draw.choices(range(4), weights=(30, 15, 15, 40))[0] for _ in range(40)]
        found = pairs(*(counts.count(kind) for kind in range(4)))
        seen += verdict(found, difference_interval(found, trial)) != "no difference seen"
    assert seen <= 12, "5% of 150 is 7.5"
