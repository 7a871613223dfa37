"""ProcessBench's definition on rows made by hand, and what else is measured of step scores."""

import random

import pytest

from alignment.evaluation.calibration import area_under_curve, calibration, last_step_minima
from alignment.evaluation.process.bench import NO_ERROR, Marked, bench_figures, best_threshold, random_f1
from alignment.evaluation.process.best_of import Candidate, best_of_curve
from alignment.evaluation.process.stress import STRESS, rewritten, stress_figures
from alignment.recipe.blocks.process import aggregated

# (label, scores, found at 0.5, counts as a hit): worked out by hand from section 3.3 of arXiv 2412.06559.
HAND_MADE = [
    (-1, [0.9, 0.8, 0.7], -1, True),  # right, and accepted
    (-1, [0.9, 0.4, 0.9], 1, False),  # right, and refused
    (-1, [0.5, 0.5], -1, True),  # a score that equals the threshold is not below it
    (0, [0.1, 0.9], 0, True),
    (1, [0.9, 0.2, 0.1], 1, True),  # the first one below counts, not the lowest
    (2, [0.9, 0.2, 0.1], 1, False),  # one step early is as wrong as any other
    (1, [0.9, 0.9, 0.1], 2, False),
    (1, [0.9, 0.9, 0.9], -1, False),  # an error that is not found
    (0, [0.49999], 0, True),
]


def rows() -> list[Marked]:
    return [Marked(label, scores) for label, scores, _, _ in HAND_MADE]


def test_the_published_definition_on_a_table_made_by_hand() -> None:
    for row, (_, _, found, hit) in zip(rows(), HAND_MADE, strict=True):
        assert row.found(0.5) == found
        assert (row.found(0.5) == row.label) is hit
    figures = bench_figures(rows(), 0.5)
    assert (figures.errors, figures.right) == (6, 3)
    assert figures.with_error.value == pytest.approx(3 / 6)
    assert figures.without_error.value == pytest.approx(2 / 3, abs=1e-4)
    assert figures.f1 == pytest.approx(2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3), abs=1e-4)


def test_f1_is_0_and_not_an_error_where_both_accuracies_are_0_or_a_part_is_empty() -> None:
    assert bench_figures([Marked(0, [0.9]), Marked(NO_ERROR, [0.1])], 0.5).f1 == 0
    only_right = bench_figures([Marked(NO_ERROR, [0.9])], 0.5)
    assert (only_right.f1, only_right.with_error.value, only_right.without_error.value) == (0, None, 1.0)


def test_a_judge_is_measured_by_the_step_it_names() -> None:
    figures = bench_figures([Marked(2, [], 2), Marked(1, [], NO_ERROR), Marked(NO_ERROR, [], NO_ERROR)], 0.5)
    assert (figures.with_error.value, figures.without_error.value) == (0.5, 1.0)


def test_the_threshold_is_the_one_with_the_highest_f1() -> None:
    low = [Marked(1, [0.3, 0.1, 0.3]), Marked(NO_ERROR, [0.3, 0.25]), Marked(0, [0.15, 0.3])]
    assert bench_figures(low, 0.5).f1 == 0
    assert 0.15 < best_threshold(low) < 0.25
    assert bench_figures(low, best_threshold(low)).f1 == 1


def test_random_scores_find_little() -> None:
    draw = random.Random(0)
    many = [Marked(draw.choice([NO_ERROR, 0, 3, 5]), [0.0] * 7) for _ in range(200)]
    assert 0.1 < random_f1(many, draws=5) < 0.35


def test_calibration_compares_scores_with_the_fraction_that_is_right() -> None:
    bins, error = calibration([0.9, 0.9, 0.1, 0.12, 1.0], [1, 0, 0, 0, 1])
    assert [one.steps for one in bins] == [2, 3]
    assert bins[1].right_fraction == pytest.approx(2 / 3)
    assert error == pytest.approx((2 * 0.11 + 3 * (2.8 / 3 - 2 / 3)) / 5)
    assert calibration([], []) == ([], None)


def test_minima_on_the_last_step_tell_a_model_of_outcomes() -> None:
    assert last_step_minima([[0.9, 0.8, 0.1], [0.9, 0.2], [0.1, 0.9], [0.5]]) == (2 / 3, (1 / 3 + 1 / 2 + 1 / 2) / 3)


def test_aggregates_and_the_area_under_the_curve() -> None:
    scores = [0.5, 0.8, 0.9]
    found = [aggregated(scores, how) for how in ("product", "minimum", "last", "mean")]
    assert found == pytest.approx([0.36, 0.5, 0.9, 2.2 / 3])
    assert aggregated([], "product") is None
    assert area_under_curve([0.1, 0.4, 0.4, 0.9], [False, True, False, True]) == pytest.approx((1.5 + 2) / 4)


def test_stress_tests_add_nothing_and_leave_the_solution_recognisable() -> None:
    steps = ["5 + 9 = 14", "14 - 3 = 11", "\\boxed{11}"]
    for name in STRESS:
        changed = rewritten(name, steps, 3)
        assert changed is not None and changed != steps
        assert "\\boxed{11}" in "\n".join(changed)
    assert rewritten("one_step", ["alone"], 0) is None
    figures = stress_figures("thanks", [0.5, 0.5, 0.9, 0.2], [0.6, 0.5004, 0.8, 0.9])
    assert figures.risen.value == 0.5


def candidate(score: float, answer: str) -> Candidate:
    return Candidate([score], answer, answer == "right", 10)


def test_best_of_n_beside_a_vote_and_pass_at_n() -> None:
    scored = [candidate(0.9, "right"), candidate(0.2, "wrong"), candidate(0.3, "wrong"), candidate(0.1, "other")]
    problems = [scored] * 5
    one, two, four = best_of_curve(problems, [1, 2, 4, 8], 0, "product")
    assert one.product.value == one.pass_at_n.value == one.majority.value or one.n == 1
    assert one.product.value == pytest.approx(0.25)
    assert two.product.value == pytest.approx(0.5)  # chosen whenever it is among the two
    assert (four.product.value, four.majority.value, four.pass_at_n.value) == (1.0, 0.0, 1.0)
    assert four.mean_tokens == 40


def test_a_weighted_vote_lets_a_sure_answer_outvote_two_poor_ones_and_many_fair_ones_outvote_it() -> None:
    for fair, wins in ((0.3, 1.0), (0.5, 0.0)):
        answers = [
            candidate(0.9, "right"),
            candidate(fair, "wrong"),
            candidate(fair, "wrong"),
            Candidate([], None, False, 9),
        ]
        (found,) = best_of_curve([answers] * 4, [4], 0, "product")
        assert (found.weighted.value, found.product.value, found.majority.value) == (wins, 1.0, 0.0)


def test_an_outcome_reward_chooses_by_its_own_score_whatever_its_sign_and_what_it_cannot_read_comes_last() -> None:
    scored = [
        Candidate([0.9], "right", True, 10, outcome=-4.0),
        Candidate([0.2], "wrong", False, 10, outcome=-1.5),
        Candidate([0.3], "other", False, 10, outcome=None),
    ]
    one, two, three = best_of_curve([scored] * 5, [1, 2, 3], 0, "product")
    assert one.outcome.value == pytest.approx(1 / 3, abs=1e-4)
    assert two.outcome.value == pytest.approx(1 / 3, abs=1e-4)  # before the unread one, behind the wrong one
    assert (three.product.value, three.outcome.value) == (1.0, 0.0)
    assert best_of_curve([[candidate(0.9, "right")]] * 4, [1], 0, "product")[0].outcome.value is None


def test_candidates_of_equal_score_share_their_place() -> None:
    tied = [candidate(0.5, "right"), candidate(0.5, "wrong")]
    (point,) = best_of_curve([tied] * 4, [2], 0, "product")
    assert point.product.value == 0.5
