"""Weights into engines: experts arrive as they are sent, and the check sees what does not arrive or arrives damaged."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import torch
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

from alignment.core.errors import EngineError, WeightsNotSynchronised
from alignment.inference.engine import Engine, EngineSettings
from alignment.inference.start import start_engine
from alignment.inference.transformers.engine import TransformersEngine
from alignment.inference.vllm.kind import vllm_fault
from alignment.inference.weights.sync_check import check_weight_sync
from alignment.recipe.blocks.engine import engine_options

PROBE = [5, 9, 33, 100, 7, 8, 200, 301, 77, 12] * 3
needs_vllm = pytest.mark.skipif(bool(vllm_fault()), reason=str(vllm_fault()))
Weights = Iterable[tuple[str, torch.Tensor]]


def moe(folder: Path, expert_size: int = 32) -> torch.nn.Module:
    """A random mixture of four experts, with weights large enough that each of them is felt."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "moe_intermediate_size": expert_size}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 32, "num_hidden_layers": 2}
    routing = {"num_experts": 4, "num_experts_per_tok": 2, "norm_topk_prob": True}
    config = Qwen3MoeConfig(**sizes, **heads, **routing, max_position_embeddings=256, initializer_range=0.2)
    model = Qwen3MoeForCausalLM(config).eval()
    model.save_pretrained(folder)
    return model


def started(name: str, folder: Path) -> Engine:
    return start_engine(EngineSettings(str(folder), 128, (2,), 0, engine_options(name, dtype="float32")))


def distance(engine: Engine, model: torch.nn.Module) -> float:
    """Mean distance of the engine's log-probs of the probe from the model's, in nats."""
    with torch.no_grad():
        logprobs_TV = model(input_ids=torch.tensor([PROBE])).logits[0, :-1].log_softmax(-1)
    own_T = logprobs_TV.gather(-1, torch.tensor(PROBE[1:])[:, None])[:, 0]
    return float((torch.tensor(engine.logprobs([PROBE])[0]) - own_T).abs().mean())


@pytest.mark.parametrize("name", ["transformers", pytest.param("vllm", marks=needs_vllm)])
def test_experts_arrive_whole_however_often_they_are_sent(tmp_path: Path, name: str) -> None:
    """On a CPU vLLM holds experts packed, and its reload puts unpacked ones in their place."""
    model = moe(tmp_path)
    engine = started(name, tmp_path)
    assert distance(engine, model) < 1e-4
    check_weight_sync(engine, lambda: iter(model.named_parameters()), PROBE)
    assert distance(engine, model) < 1e-4
    assert engine.load_weights(iter(())) == engine.weight_version == 5
    assert distance(engine, model) < 1e-4, "experts for which nothing came are not packed a second time"
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + 0.05 * torch.randn_like(parameter))
    assert distance(engine, model) > 0.01
    engine.load_weights(iter(model.named_parameters()))
    assert distance(engine, model) < 1e-4
    engine.close()


@needs_vllm
def test_experts_that_vllm_pads_on_a_cpu_are_refused_in_words(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("only the CPU backend pads them")
    model = moe(tmp_path, expert_size=48)
    engine = started("vllm", tmp_path)
    with pytest.raises(EngineError, match="pads experts of 48 to 64"):
        engine.load_weights(iter(model.named_parameters()))
    engine.close()


class Forgetful(TransformersEngine):
    """Loses some of the weights that it is sent."""

    lost = ""

    def load_weights(self, weights: Weights) -> int:
        return super().load_weights((name, tensor) for name, tensor in weights if self.lost not in name)


class Damaging(TransformersEngine):
    """Takes every weight, and damages experts the same way each time, so that a reload equals the one before."""

    def load_weights(self, weights: Weights) -> int:
        return super().load_weights(
            (name, tensor * 0.9 if "experts.down_proj" in name else tensor) for name, tensor in weights
        )


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.nn.Module]:
    folder = tmp_path_factory.mktemp("moe")
    return folder, moe(folder)


@pytest.mark.parametrize("lost", ["experts", "lm_head"])
def test_weights_that_do_not_arrive_are_seen_and_named(small: tuple[Path, torch.nn.Module], lost: str) -> None:
    folder, model = small
    engine = Forgetful(EngineSettings(str(folder), 128, (2,), 0, engine_options("transformers")))
    engine.lost = lost
    with pytest.raises(WeightsNotSynchronised, match=rf"{lost}\S* by 0.00e\+00.*never changes"):
        check_weight_sync(engine, lambda: iter(model.named_parameters()), PROBE)


def test_weights_that_every_load_damages_alike_are_seen_at_a_stages_start(
    small: tuple[Path, torch.nn.Module],
) -> None:
    folder, model = small
    engine = Damaging(EngineSettings(str(folder), 128, (2,), 0, engine_options("transformers")))
    with pytest.raises(WeightsNotSynchronised, match="loads weights wrongly"):
        check_weight_sync(engine, lambda: iter(model.named_parameters()), PROBE)


def test_a_resumed_stage_may_hold_other_weights_than_its_engine_started_with(
    small: tuple[Path, torch.nn.Module],
) -> None:
    folder, model = small
    engine = started("transformers", folder)

    def trained() -> Iterator[tuple[str, torch.Tensor]]:
        return ((name, tensor * 1.1) for name, tensor in model.named_parameters())

    with pytest.raises(WeightsNotSynchronised, match="loads weights wrongly"):
        check_weight_sync(engine, trained, PROBE)
    check_weight_sync(engine, trained, PROBE, same_start=False)


def test_a_weight_of_another_architecture_is_refused_by_name(small: tuple[Path, torch.nn.Module]) -> None:
    engine = started("transformers", small[0])
    with pytest.raises(EngineError, match="has no weight `model.nothing`"):
        engine.load_weights(iter([("model.nothing", torch.zeros(2))]))
