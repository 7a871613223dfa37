"""Advantages of hand-made groups, in numbers that anyone can work out."""

import math

import pytest
import torch

from alignment.recipe.blocks.algorithm import Dapo
from alignment.training.rl.advantages import (
    advantages_of,
    group_centred,
    group_normalised,
    has_signal,
    leave_one_out,
    normalise_then_sum,
)

REWARDS_NG = torch.tensor([[1.0, 0.0, 0.0, 1.0], [3.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
MASK_NGT = torch.ones(2, 4, 3)


def test_grpo_divides_the_centred_reward_by_the_deviation_of_its_group() -> None:
    # deviations: sqrt(4 x 0.25 / 3) = 0.57735 and sqrt((2.25^2 + 3 x 0.75^2) / 3) = 1.5
    first, second = 0.5 / (0.57735 + 1e-4), 1 / (1.5 + 1e-4)
    expected = [[first, -first, -first, first], [2.25 * second, -0.75 * second, -0.75 * second, -0.75 * second]]
    torch.testing.assert_close(
        group_normalised(REWARDS_NG, MASK_NGT), torch.tensor(expected).double(), rtol=1e-5, atol=0
    )


def test_dr_grpo_only_centres_it() -> None:
    expected = [[0.5, -0.5, -0.5, 0.5], [2.25, -0.75, -0.75, -0.75]]
    assert group_centred(REWARDS_NG, MASK_NGT).tolist() == expected


def test_rloo_takes_the_mean_of_the_others_for_its_baseline() -> None:
    expected = [[1 - 1 / 3, 0 - 2 / 3, 0 - 2 / 3, 1 - 1 / 3], [3.0, -1.0, -1.0, -1.0]]
    torch.testing.assert_close(leave_one_out(REWARDS_NG, MASK_NGT), torch.tensor(expected).double())


@pytest.mark.parametrize("function", [group_normalised, group_centred, leave_one_out])
def test_a_group_of_equal_rewards_has_advantages_of_exactly_zero(function: object) -> None:
    equal = torch.full((1, 8), 1.2, dtype=torch.float64)  # whose mean is not 1.2 in floating point
    assert function(equal, MASK_NGT).eq(0).all()
    assert not has_signal(equal).any()


@pytest.mark.parametrize("function", [group_normalised, group_centred, leave_one_out])
def test_an_unknown_reward_is_no_zero_and_moves_nothing(function: object) -> None:
    known = function(torch.tensor([[1.0, 0.0, 0.0]]), MASK_NGT)
    found = function(torch.tensor([[1.0, math.nan, 0.0, 0.0]]), MASK_NGT)
    assert found[0, 1] == 0
    torch.testing.assert_close(found[:, [0, 2, 3]], known)
    assert function(torch.full((1, 4), math.nan), MASK_NGT).eq(0).all()


def test_an_algorithm_takes_the_function_its_recipe_names() -> None:
    assert advantages_of(Dapo()) is group_normalised
    assert advantages_of(Dapo(advantages="leave_one_out")) is leave_one_out


def test_each_reward_is_normalised_before_they_are_added_up() -> None:
    """GDPO: of two rewards whose scales differ a hundredfold, both count; the sum alone would hear the greater one."""
    small_NG = torch.tensor([[0.0, 0.01, 0.0, 0.01]], dtype=torch.float64)
    great_NG = torch.tensor([[1.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    scores_NGV = torch.stack([small_NG, great_NG], dim=-1)
    found = normalise_then_sum(scores_NGV, torch.tensor([1.0, 1.0]).double(), MASK_NGT)[0]
    assert found[1] == found.max() and found[2] == found.min(), "both rewards, and neither"
    assert found[0].item() == pytest.approx(-found[3].item(), abs=0.02) and abs(found[0]) < 0.05
    one = normalise_then_sum(scores_NGV[..., 1:], torch.tensor([3.0]).double(), MASK_NGT)
    torch.testing.assert_close(one, group_normalised(great_NG, MASK_NGT), rtol=1e-3, atol=0)


def test_a_score_of_unknown_total_moves_no_reward_and_a_silent_group_stays_silent() -> None:
    scores_NGV = torch.tensor([[[1.0, 0.0], [math.nan, math.nan], [0.0, 1.0], [0.0, 0.0]], [[1.0, 2.0]] * 4]).double()
    found = normalise_then_sum(scores_NGV, torch.ones(2).double(), MASK_NGT)
    assert found[0, 1] == 0 and found[1].eq(0).all() and not found.isnan().any()
