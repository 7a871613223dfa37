"""Experts are balanced over the global batch: counts of all ranks and micro-batches, probabilities of each rank's own tokens."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM
from transformers.models.mixtral import modeling_mixtral
from transformers.models.qwen3_moe import modeling_qwen3_moe

from alignment.training.load_balance import ExpertLoad, balanced_steps

TOKENS = {"first": (5, 9), "second": (7, 3)}  # of each rank: ragged rows without padding
RANKS = Path(__file__).with_name("expert_load.py")
formula = modeling_mixtral.load_balancing_loss_func  # transformers' own, of one batch


def logits(tokens: int, seed: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(tokens, 4, generator=draw) * 2


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two ranks computed of two micro-batches."""
    folder = tmp_path_factory.mktemp("load")
    for rank in (0, 1):
        held = {
            f"{micro}.{layer}": logits(counts[rank], 10 * rank + layer + 100 * (micro == "second"))
            for micro, counts in TOKENS.items()
            for layer in (0, 1)
        }
        save_file(held, folder / f"{rank}.safetensors")
    subprocess.run([sys.executable, RANKS, "2", str(folder)], check=True, timeout=120)
    return folder


def gathered(folder: Path, micro: str) -> tuple[torch.Tensor, ...]:
    """The logits of both ranks in one batch, with gradients."""
    held = [load_file(folder / f"{rank}.safetensors") for rank in (0, 1)]
    return tuple(torch.cat([one[f"{micro}.{layer}"] for one in held]).requires_grad_() for layer in (0, 1))


def test_the_mean_over_ranks_is_the_formula_on_the_gathered_batch(ranks: Path) -> None:
    whole = gathered(ranks, "first")
    expected = formula(whole, 4, 2)
    expected.backward()
    found = [load_file(ranks / f"found-{rank}.safetensors") for rank in (0, 1)]
    mean = sum(one["first.loss"] for one in found) / 2
    assert abs(float(mean - expected)) < 1e-6
    for layer, logits_TE in enumerate(whole):
        gradients = torch.cat([one[f"first.{layer}"] for one in found]) / 2
        assert float((gradients - logits_TE.grad).abs().max()) < 1e-6


def test_a_later_micro_batch_counts_what_the_step_has_selected_so_far(ranks: Path) -> None:
    both = [gathered(ranks, micro) for micro in TOKENS]
    everything = tuple(torch.cat([first, second]) for first, second in zip(*both, strict=True))
    selected = sum(torch.bincount(one.topk(2).indices.flatten(), minlength=4) for one in everything)
    fractions = selected / sum(len(one) for one in everything)
    probabilities = torch.cat(both[1]).softmax(dim=-1).mean(dim=0)
    found = [load_file(ranks / f"found-{rank}.safetensors")["second.loss"] for rank in (0, 1)]
    assert abs(float(sum(found) / 2 - 4 * (fractions * probabilities).sum())) < 1e-6


def test_on_one_rank_a_step_of_one_batch_has_transformers_loss_with_and_without_padding() -> None:
    layers, mask = tuple(logits(12, seed) for seed in (1, 2)), torch.tensor([[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0]])
    for given in (None, mask):
        load = ExpertLoad()
        for _ in range(2):
            load.begin_step()
            assert float(load.loss(layers, 4, 2, given)) == pytest.approx(float(formula(layers, 4, 2, given)), abs=1e-6)


def test_a_model_of_experts_takes_the_loss_of_the_global_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (modeling_qwen3_moe, modeling_mixtral):
        monkeypatch.setattr(module, "load_balancing_loss_func", module.load_balancing_loss_func)
    torch.manual_seed(0)
    model = Qwen3MoeForCausalLM(
        Qwen3MoeConfig(
            vocab_size=64, hidden_size=16, intermediate_size=32, moe_intermediate_size=8, num_hidden_layers=2,
            num_attention_heads=2, num_key_value_heads=1, head_dim=8, num_experts=4, num_experts_per_tok=2,
        )
    )  # fmt: skip
    steps = balanced_steps(model)
    assert steps is not None
    ids = [torch.randint(64, (1, 12), generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]

    def loss(one: torch.Tensor) -> float:
        return float(model(one, output_router_logits=True).aux_loss)

    alone = loss(ids[1])
    steps._load.begin_step()
    loss(ids[0])
    assert loss(ids[1]) != pytest.approx(alone, abs=1e-6), "the second micro-batch counts the first one's selections"
    steps._load.begin_step()
    assert loss(ids[1]) == pytest.approx(alone, abs=1e-6)
