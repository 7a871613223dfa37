"""Which answers a majority vote counts together: those that `math_answer` would accept for each other."""

from collections.abc import Iterator

import pytest

from rewards.kinds.math_answer.verifier import MathAnswer
from rewards.vote import answer_groups, given_answer


@pytest.fixture(scope="module")
def verifier() -> Iterator[MathAnswer]:
    made = MathAnswer(workers=1)
    yield made
    made.close()


def test_the_answer_is_read_after_the_think_block() -> None:
    assert given_answer("<think>1 + 1 = 3</think>\n\nThe answer is 2.") == "2"
    assert given_answer("<think>never closed 7") is None
    assert given_answer("I do not know") is None


def test_equal_numbers_are_one_answer_however_they_are_written(verifier: MathAnswer) -> None:
    completions = ["The answer is 1,000.", "\\boxed{1000}", "so it is 1000.0", "\\boxed{999}", "no idea"]
    assert answer_groups([completions], verifier) == [[0, 0, 0, 1, None]]


def test_what_only_algebra_can_settle_is_asked_of_algebra(verifier: MathAnswer) -> None:
    half = ["\\boxed{\\frac{1}{2}}", "\\boxed{0.5}", "\\boxed{\\frac{2}{4}}", "\\boxed{\\frac{1}{3}}"]
    assert answer_groups([half, ["\\boxed{x+1}", "\\boxed{1+x}"]], verifier) == [[0, 0, 0, 1], [0, 0]]


def test_answers_of_different_problems_never_meet(verifier: MathAnswer) -> None:
    assert answer_groups([["\\boxed{5}"], ["\\boxed{6}", "\\boxed{5}"], []], verifier) == [[0], [0, 1], []]


def test_braces_that_do_not_match_make_an_answer_of_its_own(verifier: MathAnswer) -> None:
    assert answer_groups([["The answer is \\frac{1}{2}", "The answer is \\frac{1}{2"]], verifier) == [[0, 1]]
