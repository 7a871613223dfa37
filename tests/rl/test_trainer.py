"""The trainer's gradient is TRL's own for the same algorithm, with rows packed and those without an advantage left out."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.utils import DistributedType

from alignment.core.errors import RecipeError
from alignment.core.resources import resource
from alignment.inference.transformers.engine import TransformersEngine
from grpo_trainer import grpo_trainer

PROMPTS, COMPLETIONS, LONGEST = (5, 9, 3, 7), (12, 4, 20, 9), 192
Make = Callable[..., Any]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A function from recipe settings to the trainer of a grpo stage on the embedded model."""
    return lambda *settings: grpo_trainer(resource("data/base"), tmp_path, monkeypatch, *settings)


def batch(advantages: list[float], off_policy: float = 0.0) -> Any:
    """Four rows, one forced token; where off_policy, old log-probs that differ from the policy's by so much noise."""
    from alignment.training.rl.batch import Row, StepBatch, as_tensors

    draw = torch.Generator().manual_seed(5)
    rows = []
    for number, (before, after) in enumerate(zip(PROMPTS, COMPLETIONS, strict=True)):
        prompt, completion = (torch.randint(20, 400, (length,), generator=draw).tolist() for length in (before, after))
        sampled = [not (number == 2 and token == 3) for token in range(after)]
        rows.append(Row(prompt, completion, [-1.0] * after, sampled, truncated=False))
    columns = as_tensors(rows, pad_id=0, mask_truncated=False, device=torch.device("cpu")).columns()
    columns["advantages_BC"] = torch.tensor(advantages)[:, None].expand(4, max(COMPLETIONS)).contiguous()
    if off_policy:
        columns["old_BC"] = -2.5 + off_policy * torch.randn(4, max(COMPLETIONS), generator=draw)
    return StepBatch(**columns)


def gradients(trainer: Any, compute_loss: Callable[..., torch.Tensor], inputs: Any) -> dict[str, torch.Tensor]:
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train().zero_grad()
    compute_loss(trainer.model, inputs).backward()
    return {name: weight.grad.clone() for name, weight in trainer.model.named_parameters()}


def ours(trainer: Any, inputs: Any) -> dict[str, torch.Tensor]:
    trainer.args.gradient_accumulation_steps, trainer.args.per_device_train_batch_size = 1, 4
    return gradients(trainer, trainer.compute_loss, inputs.columns())


def of_trl(tmp_path: Path, inputs: Any, **settings: Any) -> dict[str, torch.Tensor]:
    """What TRL's own trainer computes for the same batch on the same weights, padded, every row."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(resource("data/base"), dtype=torch.float32),
        args=GRPOConfig(
            str(tmp_path / "trl"), per_device_train_batch_size=4, num_generations=4, report_to="none", bf16=False,
            gradient_checkpointing=False, use_cpu=True, max_completion_length=LONGEST, **settings,
        ),
        train_dataset=Dataset.from_dict({"prompt": ["1 + 1"] * 8}),
        processing_class=AutoTokenizer.from_pretrained(resource("data/base")),
        reward_funcs=[lambda completions, **_: [0.0] * len(completions)],
    )  # fmt: skip
    named = {
        "prompt_ids": inputs.prompt_ids_BP,
        "prompt_mask": inputs.prompt_mask_BP,
        "completion_ids": inputs.completion_ids_BC,
        "completion_mask": inputs.completion_mask_BC,
        "tool_mask": inputs.loss_mask_BC,
        "advantages": inputs.advantages_BC[:, 0],
        "num_items_in_batch": inputs.step_tokens,
    }
    if inputs.old_BC is not None:
        named["old_per_token_logps"] = inputs.old_BC
    return gradients(trainer, trainer.compute_loss, named)


def assert_same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert max(float(gradient.abs().max()) for gradient in wanted.values()) > 1e-5
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max()), msg=name)


TRL = {
    "{type: grpo, beta: 0}": {"loss_type": "grpo"},
    "dapo": {"loss_type": "dapo", "epsilon_high": 0.28},
    "dr_grpo": {"loss_type": "dr_grpo"},
    "gspo": {
        "loss_type": "grpo",
        "importance_sampling_level": "sequence",
        "epsilon": 3e-4,
        "epsilon_high": 4e-4,
    },
    "cispo": {"loss_type": "cispo", "epsilon_high": 5.0},
}


@pytest.mark.parametrize("algorithm", TRL)
def test_the_gradient_is_trls_own(made: Make, tmp_path: Path, algorithm: str) -> None:
    inputs = batch([0.0, 1.5, -0.5, 0.0], off_policy=0.5)
    trainer = made(f"stages.reasoning_rl.algorithm={algorithm}")
    assert trainer.drops_zero_advantage_rows
    assert_same(ours(trainer, inputs), of_trl(tmp_path, inputs, **TRL[algorithm]))


def test_rows_without_an_advantage_are_not_computed_and_change_nothing(made: Make) -> None:
    inputs = batch([0.0, 1.5, -0.5, 0.0])
    assert inputs.rows_with_gradient(advantage_alone=True).tolist() == [1, 2]
    left_out = made("stages.reasoning_rl.algorithm=gspo")
    computed = made("stages.reasoning_rl.algorithm={type: gspo, drop_zero_advantage_rows: false}")
    assert not computed.drops_zero_advantage_rows
    assert_same(ours(left_out, inputs), ours(computed, inputs))


def test_a_row_is_kept_once_however_many_of_its_tokens_have_an_advantage(made: Make) -> None:
    columns = batch([0.0, 1.5, -0.5, 0.0]).columns()
    columns["advantages_BC"][3, 2] = 0.7
    columns["advantages_BC"][0, 15] = 0.7  # past the end of its completion
    inputs = type(batch([0.0] * 4))(**columns)
    assert inputs.rows_with_gradient(advantage_alone=True).tolist() == [1, 2, 3]
    computed = made("stages.reasoning_rl.algorithm={type: dapo, drop_zero_advantage_rows: false}")
    assert_same(ours(made(), inputs), ours(computed, inputs))


def test_a_micro_batch_without_signal_keeps_its_shortest_row_and_gives_no_gradient(made: Make) -> None:
    inputs = batch([0.0] * 4)
    assert inputs.rows_with_gradient(advantage_alone=True).tolist() == [1]
    assert all(float(gradient.abs().max()) == 0 for gradient in ours(made(), inputs).values())


def test_one_process_passes_over_a_micro_batch_without_signal(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the optimizer finds what it finds where such rows are computed: a gradient of zeros, which lets its moments decay."""
    trainer = made()
    forward, passes = trainer.model.forward, []
    monkeypatch.setattr(
        trainer.model, "forward", lambda *given, **named: (passes.append(1), forward(*given, **named))[1]
    )
    silent = ours(trainer, batch([0.0] * 4))
    assert passes == []
    assert all(float(gradient.abs().max()) == 0 for gradient in silent.values())
    ours(trainer, batch([0.0, 1.5, -0.5, 0.0]))
    assert passes == [1]


@pytest.mark.parametrize("kind", ["DEEPSPEED", "FSDP"])
def test_a_rank_of_a_sharded_model_takes_part_without_a_signal(
    made: Make, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    trainer = made()
    monkeypatch.setattr(trainer.accelerator.state, "distributed_type", getattr(DistributedType, kind))
    assert not trainer._passes_over(batch([0.0] * 4))


def test_ranks_of_ddp_take_part_without_a_signal_where_they_meet(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, silent = made(), batch([0.0] * 4)
    monkeypatch.setattr(trainer.accelerator.state, "distributed_type", DistributedType.MULTI_CPU)
    for meet in (True, False):
        trainer.accelerator.gradient_state._set_sync_gradients(meet)
        assert trainer._passes_over(silent) is not meet


@pytest.mark.parametrize("setting", ["{type: dapo, beta: 0.02}", "{type: dapo, entropy_bonus: 0.01}", "grpo"])
def test_where_more_than_the_advantage_carries_a_gradient_every_row_is_computed(made: Make, setting: str) -> None:
    trainer = made(f"stages.reasoning_rl.algorithm={setting}")
    assert not trainer.drops_zero_advantage_rows
    assert batch([0.0, 1.5, -0.5, 0.0]).rows_with_gradient(advantage_alone=False).tolist() == [0, 1, 2, 3]


def test_truncated_completions_carry_no_loss_where_the_recipe_says_so() -> None:
    from alignment.training.rl.batch import Row, as_tensors

    rows = [Row([1], [2, 3], [-1.0, -1.0], [True, True], truncated) for truncated in (True, False)]
    for masked, expected in ((True, [[0, 0], [1, 1]]), (False, [[1, 1], [1, 1]])):
        found = as_tensors(rows, pad_id=0, mask_truncated=masked, device=torch.device("cpu"))
        assert found.loss_mask_BC.tolist() == expected
        assert found.step_tokens == sum(map(sum, expected))


def test_functions_of_your_own_are_found_by_name(made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_rl.py").write_text(
        "def first_token_alone(rewards_NG, mask_NGT):\n"
        "    advantages_NGT = 0 * mask_NGT\n"
        "    advantages_NGT[..., 0] = rewards_NG - rewards_NG.mean()\n"
        "    return advantages_NGT\n"
        "def twice(tokens, algorithm):\n"
        "    return -2 * tokens.advantages_BT * tokens.logprobs_BT\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    from alignment.training.rl.batch import RolledOut

    own = made("stages.reasoning_rl.algorithm={type: rloo, loss: my_rl:twice, advantages: my_rl:first_token_alone}")
    rewards_B, mask_BC = torch.arange(8.0).double(), torch.ones(8, 3)
    found = own._advantages(rewards_B, mask_BC, RolledOut([], [], {}))
    assert found[:, 0].tolist() == [value - 3.5 for value in range(8)] and found[:, 1:].eq(0).all()
    inputs = batch([0.0, 1.5, -0.5, 0.0])
    plain = ours(made("stages.reasoning_rl.algorithm=rloo"), inputs)
    assert_same(ours(own, inputs), {name: 2 * gradient for name, gradient in plain.items()})


def test_each_reward_counts_by_its_weight_and_not_by_its_scale(made: Make) -> None:
    """normalise_then_sum through the trainer: advantages are of the parts, and a row without a total has none."""
    from alignment.training.rl.batch import RewardParts, RolledOut

    trainer = made("stages.reasoning_rl.algorithm={type: dapo, aggregation: normalise_then_sum}")
    size = trainer.num_generations
    scores = [[float(row % 2), 0.001 * float(row < size // 2)] for row in range(2 * size)]
    rewards_B = torch.tensor([sum(one) for one in scores]).double()
    rewards_B[3] = torch.nan
    rolled = RolledOut([], [], {}, parts=RewardParts(scores, [1.0, 1.0]))
    found = trainer._advantages(rewards_B, torch.ones(2 * size, 3), rolled)[:, 0]
    assert found[3] == 0 and found[1] == found[:size].max(), "both scores, of which one is a thousandth of the other"
    assert found[size - 2] == found[:size].min()
    with pytest.raises(RecipeError, match="parts of their rewards"):
        trainer._advantages(rewards_B, torch.ones(2 * size, 3), RolledOut([], [], {}))


def test_several_steps_on_the_same_rollouts_and_a_tempered_policy(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the second step on ratios are not 1; the gap is measured at temperature 1, as the engine reports it."""
    rollout = {"problems_per_step": 2, "max_completion_tokens": 16, "temperature": 0.7}
    settings = [f"stages.reasoning_rl.rollout.{key}={value}" for key, value in rollout.items()]
    settings += ["stages.reasoning_rl.algorithm={type: gspo, iterations: 2}", "stages.reasoning_rl.micro_batch=8"]
    trainer = made(*settings, "stages.reasoning_rl.trainer={max_steps: 4, learning_rate: 1.0e-3}")
    asked: list[int] = []
    roll_out = trainer._rollouts.roll_out

    def counted(problem_ids: list[str], step: int, *given: Any) -> Any:
        asked.append(step)
        return roll_out(problem_ids, step, *given)

    trainer._rollouts.roll_out = counted
    events: list[str] = []
    for name in ("generate", "rest", "load_weights"):
        method = getattr(TransformersEngine, name)
        noted = lambda *given, name=name, method=method: (events.append(name), method(*given))[1]  # noqa: E731
        monkeypatch.setattr(TransformersEngine, name, noted)
    trainer.train()
    assert asked == [0, 2]
    drawn = "".join({"generate": "g", "rest": "r", "load_weights": "l"}[name] for name in events)
    assert re.fullmatch(r"l+g+rlg+r", drawn), "the engine rests while the policy trains, and wakes with new weights"
    assert all(line["logprob_gap"] < 1e-5 for line in trainer.state.log_history if "logprob_gap" in line)
