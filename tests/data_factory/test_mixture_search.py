"""The regression finds the mixture that is best on a known surface, says where it knows nothing, and candidates keep their limits."""

from itertools import pairwise

import numpy as np
import pytest

from alignment.core.errors import OptionError
from alignment.data_factory.allotment import allotted, labels
from alignment.data_factory.mixture_search.candidates import apart, drawn, within
from alignment.data_factory.mixture_search.regression import fitted
from alignment.recipe.blocks.data import MixturePart

ANSWERS = 200


def accuracy(mixture: np.ndarray) -> float:
    """Diminishing returns of two groups, and nothing but room taken by the third: best at (2/3, 1/3, 0)."""
    return 0.2 + 0.3 * (1 + np.log10(mixture[0] + 0.1)) + 0.15 * (1 + np.log10(mixture[1] + 0.1))


def test_the_best_mixture_of_a_known_surface_is_found_from_twelve_noisy_trials() -> None:
    """On the mean of eight searches, at least 0.85 of what there is to gain."""
    equal, best = accuracy(np.full(3, 1 / 3)), accuracy(np.array([2 / 3, 1 / 3, 0]))
    gained, errors = [], []
    for seed in range(8):
        tried = apart(drawn(2000, 3, [1, 1, 1], seed=seed), 12, np.array([[1 / 3, 1 / 3, 1 / 3]]))
        measured = np.random.default_rng(seed).binomial(ANSWERS, [accuracy(one) for one in tried]) / ANSWERS
        fit = fitted(tried, measured.tolist(), [ANSWERS] * 12)
        found = fit.best(drawn(20_000, 3, [1, 1, 1], seed=100 + seed))
        assert found[2] < 0.1 and found.sum() == pytest.approx(1)
        assert fit.rank_correlation is not None and fit.rank_correlation > 0.5
        gained.append((accuracy(found) - equal) / (best - equal))
        errors.append(fit.error / fit.spread)
    assert np.mean(gained) > 0.85, gained
    assert np.mean(errors) < 0.7, errors


def test_where_fractions_change_nothing_the_error_of_left_out_trials_says_so() -> None:
    tried = drawn(16, 4, [1, 1, 1, 1], seed=5)
    noise = [np.random.default_rng(seed).binomial(ANSWERS, 0.5, 16) / ANSWERS for seed in range(8)]
    fits = [fitted(tried, one.tolist(), [ANSWERS] * 16) for one in noise]
    assert np.mean([fit.error / fit.spread for fit in fits]) > 0.95


def test_accuracies_of_0_and_1_have_a_prediction() -> None:
    fit = fitted(np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.8, 0.2]]), [1.0, 0.0, 0.6, 1.0], [20] * 4)
    predicted = fit.predicted(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert 0 < predicted[1] < predicted[0] < 1


def test_no_mixture_asks_more_of_a_group_than_it_has() -> None:
    found = drawn(1000, 3, [1.0, 0.2, 0.5], seed=0)
    assert found.sum(1) == pytest.approx(np.ones(1000))
    assert (found <= np.array([1.0, 0.2, 0.5]) + 1e-9).all()
    assert within(np.array([[0.0, 1.0, 0.0]]), [1.0, 0.2, 0.5])[0] == pytest.approx([0.4, 0.2, 0.4])
    assert within(np.array([[0.6, 0.1, 0.3]]), [1.0, 0.2, 0.5])[0] == pytest.approx([0.6, 0.1, 0.3])


def test_mixtures_to_try_lie_far_from_each_other_and_from_the_recipes_own() -> None:
    own = np.full((1, 3), 1 / 3)
    taken = apart(drawn(2000, 3, [1, 1, 1], seed=1), 6, own)
    everything = np.vstack([own, taken])
    distances = np.abs(everything[:, None] - everything[None]).sum(2) / 2
    assert distances[np.triu_indices(7, 1)].min() > 0.3


def test_smaller_sets_of_rows_are_parts_of_larger_ones_in_the_recipes_proportions() -> None:
    own = [500, 300, 7]
    sets = [allotted(rows, own, own) for rows in [*range(1, 120), 806, 807]]
    assert all(a <= b for smaller, larger in pairwise(sets) for a, b in zip(smaller, larger, strict=True))
    assert sets[-1] == own and [sum(one) for one in sets[:119]] == list(range(1, 120))
    assert sets[99] == [62, 37, 1]
    assert allotted(10, [1, 1], [2, None]) == [2, 8]
    with pytest.raises(OptionError, match="the data has 3"):
        allotted(4, [1, 1], [2, 1])


def test_parts_of_one_source_have_names_that_tell_them_apart() -> None:
    parts = [
        MixturePart(source="chain-sum", parameters={"max_terms": 3}),
        MixturePart(source="chain-sum", parameters={"max_terms": 8}, mode="non_thinking"),
        MixturePart(source="/data/chats.jsonl"),
        MixturePart(stage="answers"),
        MixturePart(stage="answers", seed=1),
    ]
    assert labels(parts) == [
        "chain-sum max_terms 3", "chain-sum max_terms 8, non_thinking", "chats.jsonl", "answers #4", "answers #5",
    ]  # fmt: skip
