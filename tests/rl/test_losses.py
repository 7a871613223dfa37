"""Each algorithm differs from GRPO in exactly the way its paper says: golden values on a hand-made batch.

Two answers of three and one tokens. The ratios of the first are 1.5, 0.5 and 1, its advantage 2; the second's ratio is
1.3, its advantage -1.
"""

import math
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from alignment.recipe.blocks.algorithm import ALGORITHM_NAMES, Algorithm, AlgorithmFields
from alignment.training.rl.losses import (
    LOSSES,
    StepSize,
    Tokens,
    importance_weight,
    kl_to_reference,
    loss_of,
    objective,
)

RATIOS = [[1.5, 0.5, 1.0], [1.3, 7.0, 7.0]]  # 7 stands where there is no token
MASK = [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]
SIZE = StepSize(tokens=4, sequences=2, max_completion_tokens=10)


def algorithm(written: Any) -> AlgorithmFields:
    return TypeAdapter(Algorithm).validate_python(written)


def batch(advantages: list[list[float]] | None = None, **others: torch.Tensor) -> Tokens:
    logprobs_BT = torch.tensor(RATIOS).log().requires_grad_()
    zeros_BT = torch.zeros(2, 3)
    advantages_BT = torch.tensor(advantages or [[2.0] * 3, [-1.0] * 3])
    return Tokens(logprobs_BT, zeros_BT, zeros_BT, advantages_BT, torch.tensor(MASK), **others)


def per_token(written: Any, tokens: Tokens) -> list[float]:
    """The loss of the four tokens."""
    chosen = algorithm(written)
    return loss_of(chosen)(tokens, chosen)[tokens.mask_BT.bool()].tolist()


def total(written: Any, tokens: Tokens) -> float:
    chosen = algorithm(written)
    return objective(tokens, chosen, loss_of(chosen), SIZE).item()


def gradients(written: Any, tokens: Tokens) -> list[float]:
    """Of the loss by the log-prob of each of the four tokens."""
    chosen = algorithm(written)
    objective(tokens, chosen, loss_of(chosen), SIZE).backward()
    assert tokens.logprobs_BT.grad is not None
    assert tokens.logprobs_BT.grad[tokens.mask_BT == 0].eq(0).all()
    return tokens.logprobs_BT.grad[tokens.mask_BT.bool()].tolist()


def test_every_algorithm_of_a_recipe_has_a_loss() -> None:
    assert set(LOSSES) == set(ALGORITHM_NAMES)


def test_grpo_clips_the_ratio_on_both_sides_alike() -> None:
    # 1.5 is clipped to 1.2 for a good answer; 0.5 is not, since the smaller of the two counts; 1.3 is not for a bad one
    assert per_token("grpo", batch()) == pytest.approx([-2 * 1.2, -2 * 0.5, -2.0, 1.3])


def test_grpo_takes_the_mean_of_each_answers_mean() -> None:
    assert total({"type": "grpo", "beta": 0}, batch()) == pytest.approx(((-2.4 - 1.0 - 2.0) / 3 + 1.3) / 2)


def test_dapo_clips_higher_and_counts_every_token_alike() -> None:
    assert per_token("dapo", batch()) == pytest.approx([-2 * 1.28, -2 * 0.5, -2.0, 1.3])
    assert total("dapo", batch()) == pytest.approx((-2.56 - 1.0 - 2.0 + 1.3) / 4)


def test_dr_grpo_divides_by_a_length_that_no_answer_has_a_say_in() -> None:
    assert per_token("dr_grpo", batch()) == per_token("grpo", batch())
    assert total("dr_grpo", batch()) == pytest.approx((-2.4 - 1.0 - 2.0 + 1.3) / (2 * 10))
    assert algorithm("dr_grpo").advantages == "group_centred"


def test_gspo_has_one_ratio_for_each_answer_the_geometric_mean() -> None:
    # (1.5 x 0.5 x 1)^(1/3) = 0.9086 lies below every bound, which does not bind for a good answer
    mean = 0.75 ** (1 / 3)
    assert per_token({"type": "gspo"}, batch()) == pytest.approx([-2 * mean] * 3 + [1.3])
    bad_then_good = batch([[-1.0] * 3, [1.0] * 3])
    assert per_token("gspo", bad_then_good) == pytest.approx([1 - 3e-4] * 3 + [-(1 + 4e-4)])
    assert total("gspo", batch()) == pytest.approx((-2 * mean + 1.3) / 2)


def test_gspo_is_the_papers_sequence_objective_gradient_included() -> None:
    plain = batch()
    log_ratio_B = (plain.logprobs_BT * plain.mask_BT).sum(1) / plain.mask_BT.sum(1)
    (-(log_ratio_B.exp() * plain.advantages_BT[:, 0])).mean().backward()
    assert plain.logprobs_BT.grad is not None
    assert gradients("gspo", batch()) == pytest.approx(plain.logprobs_BT.grad[plain.mask_BT.bool()].tolist())


def test_cispo_clips_the_weight_and_keeps_every_tokens_gradient() -> None:
    weights = [1.1, 0.5, 1.0, 1.1]
    expected = [-weight * advantage / 4 for weight, advantage in zip(weights, [2, 2, 2, -1], strict=True)]
    assert gradients({"type": "cispo", "max_weight": 1.1}, batch()) == pytest.approx(expected)
    assert gradients("dapo", batch())[0] == 0  # where DAPO clips a token, it learns nothing from it


def test_rloo_sums_over_an_answer_and_knows_no_ratio() -> None:
    assert gradients("rloo", batch()) == pytest.approx([-2 / 2] * 3 + [1 / 2])
    assert algorithm("rloo").advantages == "leave_one_out"


def test_on_policy_the_clipped_algorithms_have_one_gradient_but_for_their_average() -> None:
    logprobs_BT = torch.full((2, 3), -0.7, requires_grad=True)
    old_BT = logprobs_BT.detach()
    tokens = Tokens(logprobs_BT, old_BT, old_BT, torch.tensor([[2.0] * 3, [-1.0] * 3]), torch.tensor(MASK))
    for name in ("grpo", "dapo", "gspo", "cispo"):
        logprobs_BT.grad = None
        found = gradients({"type": name, "average": "tokens", "beta": 0}, tokens)
        assert found == pytest.approx([-2 / 4] * 3 + [1 / 4]), name


def test_each_token_may_have_an_advantage_of_its_own() -> None:
    tokens = batch([[2.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
    assert per_token("dapo", tokens) == pytest.approx([-2.56, 0.8, 0.0, -1.28])
    assert per_token("cispo", tokens)[2] == 0
    assert len(per_token("gspo", tokens)) == 4


def test_the_kl_term_is_the_papers_estimate() -> None:
    logprobs_BT, reference_BT = torch.tensor([[math.log(0.5)]]), torch.tensor([[math.log(0.25)]])
    assert kl_to_reference(logprobs_BT, reference_BT).item() == pytest.approx(0.5 - math.log(0.5) - 1)
    reference = batch().logprobs_BT.detach() + math.log(0.5)
    with_kl = total({"type": "grpo", "beta": 0.1}, batch(reference_BT=reference))
    without = total({"type": "grpo", "beta": 0}, batch())
    assert with_kl - without == pytest.approx(0.1 * (0.5 - math.log(0.5) - 1), rel=1e-4)


def test_the_engines_mismatch_is_corrected_up_to_a_cap() -> None:
    engine_BT = -torch.tensor(
        [[1.0, 0.5, 4.0]]
    ).log()  # the trainer's policy gives the tokens 1, 0.5 and 4 times as much
    assert importance_weight(torch.zeros(1, 3), engine_BT, cap=2.0).tolist() == [pytest.approx([1.0, 0.5, 2.0])]
    tokens = batch()
    far = Tokens(tokens.logprobs_BT, tokens.old_BT, torch.tensor([[0.0, math.log(0.25), 0.0]] * 2), tokens.advantages_BT, tokens.mask_BT)  # fmt: skip
    corrected = {"type": "dapo", "importance_cap": 2.0}
    assert total(corrected, far) == pytest.approx((-2.56 - 2 * 1.0 - 2.0 + 1.3) / 4)
    assert total("dapo", far) == pytest.approx((-2.56 - 1.0 - 2.0 + 1.3) / 4)


def test_an_entropy_bonus_is_the_mean_over_tokens_whatever_the_average() -> None:
    entropy_BT = torch.tensor([[1.0, 2.0, 3.0], [4.0, 9.0, 9.0]])
    for name in ("dapo", "gspo"):
        gained = total(name, batch()) - total({"type": name, "entropy_bonus": 0.1}, batch(entropy_BT=entropy_BT))
        assert gained == pytest.approx(0.1 * 2.5, rel=1e-4)
