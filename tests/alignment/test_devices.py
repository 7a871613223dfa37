"""The transformers engine where model and bookkeeping are on two devices, and where the trainer uses ZeRO-3."""

from pathlib import Path

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM
from transformers.integrations import deepspeed

from alignment.core.resources import resource
from alignment.inference.engine import EngineSettings, GenerationRequest, SamplingSettings, in_order
from alignment.inference.thinking_budget import ThinkTokens
from alignment.inference.transformers.engine import TransformersEngine
from alignment.recipe.blocks.engine import engine_options
from alignment.recipe.blocks.sampling import ThinkingBudget
from device_guard import DeviceGuard, MixedDevices

BASE = str(resource("data/base"))
TOKENS = ThinkTokens(open_id=20, close_id=21, stop_text="", stop_ids=(30, 21, 31))


def sliding_window(folder: Path) -> str:
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = MistralConfig(vocab_size=512, sliding_window=8, num_key_value_heads=1, **shape)
    MistralForCausalLM(config).save_pretrained(folder)
    return str(folder)


def requests() -> list[GenerationRequest]:
    prompts = [[5, 6, 7], [5, 6, 7], [8, 20, 9, 10], [11] * 9, [12, 13]]
    budgets = [None, None, ThinkingBudget(most=3), ThinkingBudget(most=0), None]
    return [
        GenerationRequest(prompt, "thinking", budget, max_tokens=4 + 3 * number, seed=number)
        for number, (prompt, budget) in enumerate(zip(prompts, budgets, strict=True))
    ]


@pytest.mark.parametrize("way", ["slots", "generate"])
def test_no_operation_mixes_the_model_with_what_is_kept_on_the_host(tmp_path: Path, way: str) -> None:
    """Ragged rows, equal prompts, budgets, rows that join and leave, every kind of sampling; then log-probs."""
    folder = BASE if way == "slots" else sliding_window(tmp_path)
    options = engine_options("transformers", max_sequences=3)
    engine = TransformersEngine(EngineSettings(folder, 64, (2,), 0, options, thinking=TOKENS))
    sampling = SamplingSettings(temperature=1.3, top_p=0.9, top_k=40)
    expected = [one.token_ids for one in in_order(engine.generate(requests(), sampling))]
    scores = engine.logprobs([one.prompt_ids for one in requests()])
    with DeviceGuard(engine._model) as guard:
        assert engine._model.device == torch.device("cpu", 0)
        made = in_order(engine.generate(requests(), sampling))
        greedy = in_order(engine.generate(requests()[:2], SamplingSettings(temperature=0.0)))
        again = engine.logprobs([one.prompt_ids for one in requests()])
    assert [one.token_ids for one in made] == expected and again == scores
    assert len(greedy) == 2 and guard.moved > 50


def test_the_guard_sees_what_a_gpu_would_refuse() -> None:
    model = torch.nn.Linear(3, 3)
    with DeviceGuard(model):
        rows = model(torch.ones(2, 3).to(model.weight.device))
        with pytest.raises(MixedDevices, match="repeat_interleave"):
            rows.repeat_interleave(torch.tensor([1, 2]), dim=0)
        with pytest.raises(MixedDevices):
            torch.cat([rows, torch.ones(2, 3)])
        assert torch.cat([rows.cpu(), torch.ones(2, 3)]).shape == (4, 3)


def test_an_engine_beside_a_zero3_trainer_holds_the_whole_model() -> None:
    """transformers partitions whatever is loaded while the trainer's DeepSpeed config is alive."""
    pytest.importorskip("deepspeed")
    zero3 = {"train_micro_batch_size_per_gpu": 1, "zero_optimization": {"stage": 3}}
    trainers = deepspeed.HfDeepSpeedConfig(zero3)
    try:
        assert deepspeed.is_deepspeed_zero3_enabled()
        engine = TransformersEngine(EngineSettings(BASE, 64, (2,), 0, engine_options("transformers")))
        assert deepspeed.is_deepspeed_zero3_enabled(), "the trainer's own model is still partitioned"
        assert all(parameter.numel() for parameter in engine._model.parameters())
        assert not any(hasattr(parameter, "ds_id") for parameter in engine._model.parameters())
        (made,) = in_order(engine.generate(requests()[:1], SamplingSettings()))
        assert made.token_ids
    finally:
        del trainers
    assert not deepspeed.is_deepspeed_zero3_enabled()
