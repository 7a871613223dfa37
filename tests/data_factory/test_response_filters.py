"""Each response filter finds its planted rows and leaves its near misses, on a made set of 600."""

import pytest

from alignment.data.rows import Conversation, user_turn
from alignment.data_factory.filters.check import Check, sort_rows
from alignment.data_factory.filters.responses import conclusion, response_checks
from alignment.data_factory.overlap import TestIndex
from alignment.recipe.blocks.rewards import Reward
from data_factory.planted_responses import FAULTS, evaluated, flagged, made_set, references


@pytest.fixture(scope="module")
def checks() -> list[Check[Conversation]]:
    return response_checks([Reward(kind="math_answer")], references(made_set()), evaluated())


def test_each_filter_has_precision_and_recall_of_95_percent_on_600_rows(checks: list[Check[Conversation]]) -> None:
    made = made_set()
    planted = {fault: {one.row.id for one in made if one.fault == fault} for fault in FAULTS}
    found = sort_rows([one.row for one in made], checks)
    by_check = {fault: {one.row.id for one in found.faults if one.check == fault} for fault in FAULTS}
    for fault in FAULTS:
        assert len(by_check[fault] & planted[fault]) / len(planted[fault]) >= 0.95, f"recall of {fault}"
        assert len(by_check[fault] & planted[fault]) / len(by_check[fault]) >= 0.95, f"precision of {fault}"
    sound = {one.row.id for one in made if one.fault is None}
    assert len(sound & {row.id for row in found.kept}) >= 0.95 * len(sound)


def test_a_flag_in_the_question_does_not_hide_its_reference(checks: list[Check[Conversation]]) -> None:
    wrong = next(one.row for one in made_set() if one.fault == "wrong_answer")
    assert sort_rows([flagged(wrong)], checks).found["wrong_answer"] == 1


def test_verifiers_of_other_rows_and_those_without_a_weight_make_no_answer_wrong() -> None:
    made = [one for one in made_set() if one.fault in (None, "wrong_answer")]
    specs = [Reward(kind="math_answer"), Reward(kind="instruction")]
    found = sort_rows([one.row for one in made], response_checks(specs, references(made), evaluated())[:1])
    assert found.found["wrong_answer"] == 50 and found.unknown["wrong_answer"] == 0
    unweighted = [Reward(kind="math_answer", weight=0), Reward(kind="think_format")]
    found = sort_rows([one.row for one in made], response_checks(unweighted, references(made), evaluated())[:1])
    assert found.found["wrong_answer"] == 0


def test_what_cannot_be_told_stays_and_is_counted() -> None:
    answer = {
        "role": "assistant",
        "reasoning_content": "I would think of the sea and of the long evenings there.",
        "content": "Blue.",
    }
    row = Conversation("own/1", [user_turn("Which colour do you like?"), answer], "thinking")
    found = sort_rows([row], response_checks([Reward(kind="math_answer")], {}, TestIndex()))
    assert found.kept == [row]
    assert found.unknown["wrong_answer"] == found.unknown["inconsistent_summary"] == 1


def test_a_conclusion_is_the_last_box_announcement_or_equation() -> None:
    assert conclusion("2 + 2 = 4\n4 + 1 = 5") == "5"
    assert conclusion("so the answer is 7. That is less than 50") == "7"
    assert conclusion("6 * 7 = 42\nwhich is less than 50, good") == "42"
    assert conclusion("it looks like the answer is 9\nbut no:\n4 + 1 = 5") == "5", "the last one counts"
    assert conclusion("I like 7 most of all") is None
