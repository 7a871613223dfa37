"""A mixture of experts, tiny and random, is trained with its router's loss, and what is saved decodes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoTokenizer, Qwen3MoeConfig, Qwen3MoeForCausalLM

from alignment.core.resources import resource
from alignment.inference.engine import EngineSettings
from alignment.inference.start import start_engine
from alignment.recipe.blocks.engine import engine_options
from alignment.run.plan import RunPlan
from grpo_trainer import grpo_trainer

BASE = resource("data/base")
STEPS = "trainer={max_steps: 2, learning_rate: 1.0e-3, router_aux_loss_coef: 0.01"


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Qwen3-MoE of two layers and four experts, and the embedded model's tokenizer."""
    folder = tmp_path_factory.mktemp("mixture")
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    config = Qwen3MoeConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, moe_intermediate_size=16, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, num_experts=4, num_experts_per_tok=2,
        max_position_embeddings=1024, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    Qwen3MoeForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def saved(context: Any, trainer: Any) -> Path:
    from alignment.training.policy import save_policy

    trainer.train()
    assert all(torch.isfinite(torch.tensor(line["loss"])) for line in trainer.state.log_history if "loss" in line)
    save_policy(context, trainer, context.folder.output)
    return context.folder.output


def assert_decodes(output: Path) -> None:
    assert AutoConfig.from_pretrained(output).output_router_logits is False
    tokenizer = AutoTokenizer.from_pretrained(output)
    options = engine_options("transformers")
    engine = start_engine(EngineSettings(str(output), 64, (tokenizer.eos_token_id,), tokenizer.pad_token_id, options))
    assert len(engine.logprobs([[20, 21, 22, 23]])[0]) == 3
    engine.close()


def test_supervised_training_leaves_a_mixture_that_decodes(
    mixture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    from alignment.training.context import StageContext
    from alignment.training.stages import sft

    chosen = [f"model={mixture}", f"stages.cold_start.{STEPS}, per_device_train_batch_size: 4}}"]
    plan = RunPlan.load(resource("recipes/tiny-thinking.yaml"), chosen, tmp_path)
    stage, folder = plan.recipe.stage("cold_start"), plan.folder("cold_start")
    folder.path.mkdir(parents=True)
    context = StageContext(plan.recipe, stage, plan.run, folder, str(mixture))
    trainer, _ = sft.build(context)
    assert_decodes(saved(context, trainer))


def test_rl_takes_the_router_loss_of_rows_without_padding(
    mixture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = "stages.reasoning_rl.rollout"
    settings = [f"model={mixture}", f"stages.reasoning_rl.{STEPS}}}", "stages.reasoning_rl.micro_batch=8"]
    settings += [f"{rollout}.problems_per_step=2", f"{rollout}.max_completion_tokens=16"]
    trainer = grpo_trainer(mixture, tmp_path, monkeypatch, *settings)
    assert trainer.aux_loss_enabled and not trainer.drops_zero_advantage_rows
    routers = {name: weight.clone() for name, weight in trainer.model.named_parameters() if ".gate." in name}
    trainer.train()
    after = dict(trainer.model.named_parameters())
    assert routers and all(not after[name].equal(weight) for name, weight in routers.items())
