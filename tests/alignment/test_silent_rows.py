"""Rows without advantage are left out of GRPO's loss, and its gradient stays what it was."""

from pathlib import Path
from typing import Any

import pytest
import torch

from alignment.core.resources import resource
from grpo_trainer import grpo_trainer

PROMPTS, COMPLETIONS = (5, 9, 3, 7), (12, 4, 20, 9)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function from recipe settings to the trainer of a grpo stage on the embedded model."""
    return lambda *settings: grpo_trainer(resource("data/base"), tmp_path, monkeypatch, *settings)


def batch(advantages: list[float]) -> dict[str, Any]:
    """Four rows as TRL lays them out, prompts padded on the left and completions on the right to 24; one forced token."""
    draw = torch.Generator().manual_seed(5)
    prompts = torch.zeros(4, max(PROMPTS), dtype=torch.long)
    completions = torch.zeros(4, 24, dtype=torch.long)
    masks = torch.zeros_like(prompts), torch.zeros_like(completions)
    for row, (before, after) in enumerate(zip(PROMPTS, COMPLETIONS, strict=True)):
        prompts[row, -before:] = torch.randint(20, 400, (before,), generator=draw)
        completions[row, :after] = torch.randint(20, 400, (after,), generator=draw)
        masks[0][row, -before:], masks[1][row, :after] = 1, 1
    own = masks[1].clone()
    own[2, 3] = 0
    return {
        "prompt_ids": prompts,
        "prompt_mask": masks[0],
        "completion_ids": completions,
        "completion_mask": masks[1],
        "tool_mask": own,
        "advantages": torch.tensor(advantages),
        "num_items_in_batch": own.sum(),
    }


def gradients(trainer: Any, loss_of: Any, inputs: dict[str, Any]) -> dict[str, torch.Tensor]:
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train().zero_grad()
    loss_of(trainer.model, inputs).backward()
    return {name: weight.grad.clone() for name, weight in trainer.model.named_parameters()}


@pytest.mark.parametrize("loss", ["dapo", "cispo"])
def test_the_gradient_is_that_of_all_rows(made: Any, loss: str) -> None:
    from alignment.training.rl.zero_advantage import telling

    trainer, inputs = made(f"stages.reasoning_rl.trainer.loss_type={loss}"), batch([0.0, 1.5, -0.5, 0.0])
    assert telling(inputs)["completion_ids"].shape == (2, 20)
    assert telling(inputs)["prompt_ids"].shape == (2, 9)
    whole, ours = gradients(trainer, trainer._compute_loss, inputs), gradients(trainer, trainer.compute_loss, inputs)
    assert any(float(gradient.abs().max()) > 1e-3 for gradient in whole.values())
    for name, gradient in whole.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max()), msg=name)


def test_a_micro_batch_without_signal_keeps_its_shortest_row_and_gives_no_gradient(made: Any) -> None:
    from alignment.training.rl.zero_advantage import telling

    trainer, inputs = made(), batch([0.0] * 4)
    assert telling(inputs)["prompt_ids"].tolist() == [inputs["prompt_ids"][1].tolist()]
    assert all(
        float(gradient.abs().max()) == 0 for gradient in gradients(trainer, trainer.compute_loss, inputs).values()
    )


@pytest.mark.parametrize(
    "setting", ["beta=0.02", "loss_type=grpo", "loss_type=dr_grpo", "top_entropy_quantile=0.2", "entropy_coef=0.01"]
)
def test_where_more_than_the_advantage_carries_a_gradient_no_row_is_left_out(made: Any, setting: str) -> None:
    from alignment.training.rl.zero_advantage import drops_zero_advantage_rows

    trainer = made(f"stages.reasoning_rl.trainer.{setting}")
    assert not drops_zero_advantage_rows(trainer)
    assert trainer.compute_loss.__func__ is type(trainer).compute_loss
