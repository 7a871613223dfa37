"""The divergences have the values that their formulas give by hand, and TRL's fused loss is the same function."""

import math

import pytest
import torch

from alignment.training.distillation.divergences import beta_of, divergence, entropy
from alignment.training.distillation.trl_trainer import fused_divergence

# Student (1/2, 1/2), teacher (3/4, 1/4).
STUDENT, TEACHER = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.75, 0.25]]).log()
GOLDEN = {
    "reverse_kl": 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25),
    "forward_kl": 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5),
    "jsd": 0.25 * (0.75 * math.log(0.75 / 0.5625) + 0.25 * math.log(0.25 / 0.4375))
    + 0.75 * (0.5 * math.log(0.5 / 0.5625) + 0.5 * math.log(0.5 / 0.4375)),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_divergence_has_the_value_of_its_formula(name: str) -> None:
    found = divergence(STUDENT, TEACHER, beta_of(name, teacher_weight=0.25))
    assert found.tolist() == pytest.approx([GOLDEN[name]], abs=1e-6)
    assert divergence(TEACHER, TEACHER, beta_of(name, 0.25)).item() == pytest.approx(0, abs=1e-7)


def test_the_three_golden_values_written_out() -> None:
    """0.1438, 0.1308 and 0.0249 nats; the entropy of the teacher is 0.5623."""
    assert [round(value, 4) for value in GOLDEN.values()] == [0.1438, 0.1308, 0.0249]
    assert entropy(TEACHER).item() == pytest.approx(0.5623, abs=1e-4)


def test_jsd_is_bounded_where_a_kl_is_not() -> None:
    """A student that is sure of what the teacher rules out."""
    sure, other = torch.tensor([[50.0, 0.0]]), torch.tensor([[0.0, 50.0]])
    assert divergence(sure, other, 1.0).item() == pytest.approx(50, rel=1e-4)
    assert divergence(sure, other, 0.5).item() == pytest.approx(math.log(2), rel=1e-4)


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_trls_fused_loss_has_the_same_value_and_the_same_gradient(beta: float, scale: float) -> None:
    draw = torch.Generator().manual_seed(4)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw)

    states_NH, weight_VH = random(7, 6).requires_grad_(), random(40, 6).requires_grad_()
    teacher_NH, teacher_VH = random(7, 9), random(40, 9)
    fused, entropies, count = fused_divergence(
        states_NH[None], teacher_NH[None], weight_VH, teacher_VH, torch.ones(1, 7), beta,
        num_items_in_batch=torch.tensor(7.0), student_logit_scale=scale, teacher_logit_scale=scale,
    )  # fmt: skip
    of_trl = torch.autograd.grad(fused, (states_NH, weight_VH))
    student_NV = scale * states_NH @ weight_VH.T
    plain = divergence(student_NV, scale * teacher_NH @ teacher_VH.T, beta).mean()
    own = torch.autograd.grad(plain, (states_NH, weight_VH))
    assert fused.item() == pytest.approx(plain.item(), rel=1e-5)
    assert entropies.item() == pytest.approx(entropy(student_NV).sum().item(), rel=1e-5)
    assert count == 7
    for theirs, ours in zip(of_trl, own, strict=True):
        torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-6)
