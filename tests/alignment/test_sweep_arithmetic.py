"""Intervals over problems, votes and the knee, on numbers worked by hand."""

import math
from dataclasses import replace

import pytest

from alignment.core.statistics.estimate import Estimate
from alignment.core.statistics.intervals import effective_count, fraction_interval, mean_interval, student, wilson
from alignment.evaluation.outcomes import Outcome, fraction_of, mean_of, score
from alignment.evaluation.sweep.files import as_csv, knees
from alignment.evaluation.sweep.knee import knee
from alignment.evaluation.sweep.votes import Ballot, majority, majority_of, pass_at, vote_points, vote_sizes
from alignment.records.sweep import Knee, Place, SweepFigures, SweepPoint, VotePoint


def point(budget: int | None, share: float | None, low: float = 0.0, high: float = 1.0) -> SweepPoint:
    place = Place("last", "sums", "non_thinking" if budget is None else "thinking", budget)
    return SweepPoint(place, SweepFigures(100, Estimate(share, low, high)))


def test_one_sample_of_each_problem_gives_plainly_wilsons_interval() -> None:
    assert effective_count([(1.0, 1)] * 7 + [(0.0, 1)] * 3) == 10
    assert fraction_interval([(1.0, 1)] * 7 + [(0.0, 1)] * 3) == wilson(7, 10)


def test_samples_that_agree_are_worth_no_more_than_their_problem() -> None:
    agreeing = [(4.0, 4)] * 6 + [(0.0, 4)] * 4
    assert effective_count(agreeing) == 10
    assert fraction_interval(agreeing) == wilson(6, 10)


def test_samples_that_differ_within_every_problem_are_worth_all_of_themselves() -> None:
    assert effective_count([(2.0, 4)] * 10) == 40
    assert fraction_interval([(2.0, 4)] * 10) == wilson(20, 40)


def test_between_the_two_the_design_effect_decides() -> None:
    # Four problems, two samples each: shares 1, 1, 1/2, 0; p = 5/8. Between problems: sum (t - 2p)^2 =
    # 2 (3/4)^2 + (1/4)^2 + (5/4)^2 = 2.75, so the variance is 4/3 * 2.75 / 64 = 0.05729; independent samples would have
    # (5/8)(3/8)/7 = 0.03348. 8 * 0.03348 / 0.05729 = 4.675.
    assert effective_count([(2.0, 2), (2.0, 2), (1.0, 2), (0.0, 2)]) == pytest.approx(4.675, abs=5e-4)


def test_a_perfect_score_with_many_samples_is_not_certainty() -> None:
    assert fraction_interval([(8.0, 8)] * 5) == wilson(5, 5)
    assert fraction_interval([]) == (0.0, 1.0)


def test_accuracy_counts_samples_and_its_interval_counts_problems() -> None:
    outcomes = [Outcome("sums", number < 3, True, 1, 1, False, False, f"{number}") for number in range(5)] * 4
    found = score(outcomes)
    assert (found.count, found.accuracy) == (20, Estimate(0.6, *wilson(3, 5)).rounded(4))


def test_a_fraction_has_wilsons_interval_and_a_mean_students() -> None:
    outcomes = [Outcome("sums", True, True, 1, 1, False, False, f"{number}") for number in range(20)]
    fraction, mean = fraction_of(outcomes, [True] * 20), mean_of(outcomes, [1.0] * 20)
    assert fraction == Estimate(1.0, *wilson(20, 20)).rounded(4), "twenty of twenty is not certainty"
    assert mean == Estimate(1.0, 1.0, 1.0)


def test_a_mean_has_students_interval_over_problems() -> None:
    # Means 1, 2, 3, 4, 5: mean 3, standard error sqrt(2.5 / 5) = 0.7071, t(4) = 2.776.
    low, high = mean_interval([(2.0, 2), (4.0, 2), (6.0, 2), (8.0, 2), (10.0, 2)])
    assert (low, high) == (pytest.approx(3 - 2.776 * math.sqrt(0.5), rel=0.01), pytest.approx(4.963, rel=0.01))
    assert mean_interval([(1.0, 1)] * 3) == (None, None)


@pytest.mark.parametrize(("freedom", "published"), [(3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042), (255, 1.969)])
def test_students_quantile_is_the_published_one(freedom: int, published: float) -> None:
    assert student(freedom) == pytest.approx(published, rel=0.01)


def test_finished_means_that_neither_a_budget_nor_a_limit_cut_in() -> None:
    cut = [(False, False), (True, False), (False, True), (True, True)]
    outcomes = [Outcome("sums", True, True, 1, 1, truncated, forced) for truncated, forced in cut]
    assert [one.finished for one in outcomes] == [True, False, False, False]
    assert fraction_of(outcomes, [one.finished for one in outcomes]).value == 0.25


def test_the_majority_decides_and_ties_are_drawn() -> None:
    right, wrong, other, silent = Ballot(0, True), Ballot(1, False), Ballot(2, False), Ballot(None, False)
    assert majority([right, right, wrong]) == 1.0
    assert majority([right, wrong, wrong]) == 0.0
    assert majority([right, wrong]) == 0.5
    assert majority([right, wrong, other]) == pytest.approx(1 / 3)
    assert majority([right, silent, silent]) == 1.0, "a sample without an answer abstains"
    assert majority([silent, silent]) == 0.0


def test_a_vote_of_fewer_is_the_mean_over_neighbours_in_a_ring() -> None:
    ballots = [Ballot(0, True), Ballot(0, True), Ballot(1, False), Ballot(2, False)]
    assert majority_of(ballots, 1) == 0.5
    assert majority_of(ballots, 2) == (1 + 0.5 + 0 + 0.5) / 4
    assert majority_of(ballots, 4) == 1.0


def test_the_best_of_k_is_the_unbiased_estimate() -> None:
    ballots = [Ballot(0, True), Ballot(1, False), Ballot(2, False), Ballot(3, False)]
    assert pass_at(ballots, 1) == 0.25
    assert pass_at(ballots, 2) == 1 - 3 / 6
    assert pass_at(ballots, 4) == 1.0


def test_votes_are_set_against_the_tokens_of_all_samples() -> None:
    solved = [Ballot(0, True), Ballot(0, True), Ballot(1, False)]
    missed = [Ballot(0, False), Ballot(0, False), Ballot(1, True)]
    found = vote_points([solved, missed], 50.0)
    assert [(one.votes, one.mean_tokens) for one in found] == [(1, 50.0), (2, 100.0), (3, 150.0)]
    assert (found[0].majority.value, found[0].best_of_upper_bound.value) == (0.5, 0.5)
    assert (found[2].majority.value, found[2].best_of_upper_bound.value) == (0.5, 1.0)
    assert found[2].majority == Estimate(0.5, *wilson(1, 2)).rounded(4)


def test_a_problem_with_too_few_judged_samples_is_left_out_where_they_are_too_few() -> None:
    found = vote_points([[Ballot(0, True)] * 2, [Ballot(0, False)]], 10.0)
    assert [(one.votes, one.problems, one.majority.value) for one in found] == [(1, 2, 0.5), (2, 1, 1.0)]
    assert vote_points([], 10.0) == ()
    assert [vote_sizes(samples) for samples in (0, 1, 4, 6)] == [[], [1], [1, 2, 4], [1, 2, 4, 6]]


def test_the_knee_is_the_smallest_budget_within_the_interval_of_the_best() -> None:
    rising = [point(0, 0.2), point(64, 0.5), point(256, 0.74), point(1024, 0.8, 0.72), point(4096, 0.79)]
    assert knee(rising) == 256
    assert knee(list(reversed(rising))) == 256


def test_among_equals_the_best_is_the_cheapest() -> None:
    assert knee([point(0, 0.5, 0.3), point(64, 0.8, 0.79), point(256, 0.8, 0.4)]) == 64


def test_a_curve_that_still_rises_at_its_end_has_no_knee() -> None:
    assert knee([point(0, 0.2), point(64, 0.5), point(256, 0.9, 0.8)]) is None
    assert knee([point(0, 0.2), point(64, None)]) is None
    assert knee([]) is None


def test_a_flat_curve_has_its_knee_at_its_start() -> None:
    assert knee([point(0, 0.5, 0.4), point(64, 0.5, 0.4)]) == 0


def test_each_stage_and_task_has_its_own_knee_and_the_table_a_row_for_each_point() -> None:
    points = [point(0, 0.5, 0.4), point(64, 0.5, 0.4), point(None, 0.3)]
    assert knees(points) == (Knee("last", "sums", 0),)
    votes = (VotePoint(4, 200.0, Estimate(0.7), Estimate(0.9)),)
    voted = replace(points[0], figures=replace(points[0].figures, votes=votes))
    lines = as_csv([voted, points[2]]).splitlines()
    assert lines[0].startswith("stage,task,mode,budget,count,accuracy") and len(lines) == 3
    assert lines[1].endswith("4,0.7,0.9") and lines[2].endswith(",,")
