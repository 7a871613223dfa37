"""Credit for steps on groups made by hand, in numbers that anyone can work out."""

import math
import random

import pytest
import torch

from alignment.recipe.blocks.algorithm import GrpoProcess, Papo, Pure, Vine
from alignment.training.rl.process_advantages import StepRewards, grpo_process, papo, process_advantages_of, pure, vine

NAN = math.nan
PAPO, PURE, PROCESS, VINE = (make(type=name) for make, name in (
    (Papo, "papo"), (Pure, "pure"), (GrpoProcess, "grpo_process"), (Vine, "vine")))  # fmt: skip
# Tokens of two steps with a separator between them, and one of padding or the end token.
STEP_T = [0, 0, -1, 1, 1, 1, -1]


def steps(scores: list[list[float]], right: list[float], process: list[float] | None = None) -> StepRewards:
    """One group whose completions all have the tokens STEP_T."""
    numbers = process or [min(one) for one in scores]
    return StepRewards(
        step_NGT=torch.tensor([[STEP_T] * len(scores)]),
        scores_NGS=torch.tensor([scores], dtype=torch.float64),
        process_NG=torch.tensor([numbers], dtype=torch.float64),
        right_NG=torch.tensor([right], dtype=torch.float64),
    )


def group(rewards: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor([rewards], dtype=torch.float64), torch.ones(1, len(rewards), len(STEP_T))


def test_papo_normalises_process_scores_among_right_answers_alone() -> None:
    scored = steps([[0.9, 0.8], [0.9, 0.6], [0.9, 0.9], [0.1, 0.1]], [1, 1, 0, 0])
    found = papo(*group([1.0, 1.0, 0.0, 0.0]), scored, PAPO)[0, :, 0]
    # outcome: 0.5 / 0.57735; process of the two right ones: 0.8 and 0.6 lie 0.1 from their mean, deviation 0.141421
    outcome, process = 0.5 / (0.57735 + 1e-4), 0.1 / (0.141421 + 1e-4)
    torch.testing.assert_close(
        found, torch.tensor([outcome + process, outcome - process, -outcome, -outcome]).double(), rtol=1e-5, atol=0
    )


def test_papo_gives_no_process_part_to_a_single_right_answer_or_to_equal_scores() -> None:
    outcome = papo(*group([1.0, 0.0, 0.0]), steps([[0.2, 0.3], [1, 1], [1, 1]], [1, 0, 0]), PAPO)
    without = papo(*group([1.0, 0.0, 0.0]), steps([[NAN, NAN]] * 3, [1, 0, 0], [NAN] * 3), PAPO)
    torch.testing.assert_close(outcome, without)
    assert papo(*group([1.0, 1.0]), steps([[0.7, 0.7]] * 2, [1, 1]), PAPO).eq(0).all()


def test_papo_still_learns_from_a_group_that_is_all_right() -> None:
    found = papo(*group([1.0, 1.0]), steps([[0.9, 0.9], [0.5, 0.5]], [1, 1]), PAPO)[0, :, 0]
    assert found[0] > 0 > found[1]


@pytest.mark.parametrize("size", [2, 5, 8, 16])
def test_under_papo_a_wrong_answer_is_never_worth_more_than_a_right_one(size: int) -> None:
    draw = random.Random(size)
    for right_count in range(1, size):
        for _ in range(20):
            right = [1.0] * right_count + [0.0] * (size - right_count)
            scores = [[draw.random() ** 4] * 2 for _ in range(right_count)] + [[1.0, 1.0]] * (size - right_count)
            found = papo(*group(right), steps(scores, right), PAPO)[0, :, 0]
            assert found[:right_count].min() >= found[right_count:].max() - 1e-9


def test_planted_stress_answers_gain_nothing_under_papo() -> None:
    plain = papo(
        *group([1.0, 1.0, 0.0, 0.0]), steps([[0.9, 0.8], [0.9, 0.6], [0.2, 0.1], [0.3, 0.2]], [1, 1, 0, 0]), PAPO
    )
    praised = papo(
        *group([1.0, 1.0, 0.0, 0.0]), steps([[0.9, 0.8], [0.9, 0.6], [1.0, 1.0], [0.3, 0.2]], [1, 1, 0, 0]), PAPO
    )
    torch.testing.assert_close(plain, praised)
    fooled = grpo_process(
        *group([1.0, 1.0, 0.0, 0.0]), steps([[0.9, 0.8], [0.9, 0.6], [1.0, 1.0], [0.3, 0.2]], [1, 1, 0, 0]), PROCESS
    )
    assert fooled[0, 2, 0] > fooled[0, 0, 0]  # process scores alone pay for it


def test_pure_gives_the_worst_step_nearly_all_of_the_credit() -> None:
    scored = steps([[1.0, 0.5], [0.5, 0.5]], [1, 0])
    found = pure(*group([0.0, 0.0]), scored, PURE)[0]
    # rewards 1 and 0 weigh e^-10 and 1, so that r* is about 4.5e-5 and 0; two zeros give 0. Steps have 2 and 3 tokens.
    small = math.exp(-10) / (1 + math.exp(-10))
    baseline_0, baseline_1 = 0.0, small / 5
    expected = torch.tensor([
        [small - baseline_0 * 5] * 2 + [0.0] + [-baseline_0 * 3] * 3 + [0.0],
        [-baseline_1 * 5] * 2 + [0.0] + [-baseline_1 * 3] * 3 + [0.0],
    ]).double()  # fmt: skip
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-12)


def test_pure_adds_the_outcome_by_leave_one_out_at_every_token_and_process_at_none_of_the_separators() -> None:
    scored = steps([[0.5, 0.5], [0.5, 0.5]], [1, 0])
    found = pure(*group([1.0, 0.0]), scored, PURE)[0]
    torch.testing.assert_close(found, torch.tensor([[1.0] * 7, [-1.0] * 7]).double())
    alone = PURE.model_copy(update={"outcome_weight": 0.0})
    bad = pure(*group([1.0, 0.0]), steps([[0.9, 0.1], [0.9, 0.9]], [1, 0]), alone)[0]
    assert bad[:, 2].eq(0).all() and bad[:, 6].eq(0).all()
    assert bad[0, 0] < bad[1, 0]


def test_grpo_with_process_supervision_sums_the_later_normalised_steps() -> None:
    found = grpo_process(*group([0.0, 0.0]), steps([[1.0, 0.0], [1.0, 0.0]], [0, 0]), PROCESS)[0]
    one = 0.5 / (0.57735 + 1e-4)  # four scores, mean 0.5, deviation 0.57735
    expected = torch.tensor([[0.0] * 2 + [0.0] + [-one] * 3 + [0.0]] * 2).double()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-12)


def test_a_step_of_vine_is_worth_the_change_in_value() -> None:
    found = vine(*group([1.0, 0.0]), steps([[0.75, 1.0], [0.25, 0.0]], [1, 0]), VINE)[0]
    expected = torch.tensor([[0.25] * 2 + [0.0] + [0.25] * 3 + [0.0], [-0.25] * 2 + [0.0] + [-0.25] * 3 + [0.0]])
    torch.testing.assert_close(found, expected.double())


@pytest.mark.parametrize("algorithm", [PAPO, PURE, PROCESS, VINE])
def test_a_completion_without_scores_gets_no_process_part_and_moves_nothing(algorithm: object) -> None:
    function = process_advantages_of(algorithm)  # type: ignore[arg-type]
    assert function is not None
    known = function(*group([1.0, 0.0]), steps([[0.9, 0.8], [0.4, 0.1]], [1, 0]), algorithm)
    with_unknown = steps([[0.9, 0.8], [0.4, 0.1], [NAN, NAN]], [1, 0, NAN], [0.8, 0.1, NAN])
    found = function(*group([1.0, 0.0, NAN]), with_unknown, algorithm)
    torch.testing.assert_close(found[:, :2], known)
    assert found[0, 2].eq(0).all()
