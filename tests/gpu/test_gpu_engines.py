"""vLLM beside a trainer on a GPU: what it holds while it sleeps, and servers on GPUs. Skipped, with a reason, elsewhere."""

import os
from collections.abc import Iterator

import pytest
import torch
from transformers import AutoModelForCausalLM

from alignment.core.machine import visible_gpus
from alignment.core.resources import resource
from alignment.inference.engine import Engine, EngineSettings, GenerationRequest, SamplingSettings, in_order
from alignment.inference.start import start_engine
from alignment.inference.weights.sync_check import check_weight_sync
from alignment.recipe.blocks.engine import engine_options

HIDDEN = not visible_gpus() or not os.environ.get("ALIGNMENT_TEST_GPU")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(HIDDEN, reason="needs a GPU, and ALIGNMENT_TEST_GPU=1")]
BASE, PROBE = str(resource("data/base")), [5, 20, 9, 33, 100, 7, 8, 12]


def weights() -> Iterator[tuple[str, torch.Tensor]]:
    return iter(AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32).named_parameters())


def sampled(engine: Engine) -> list[list[int]]:
    requests = [GenerationRequest([5 + number, 20, 9], "thinking", max_tokens=24, seed=number) for number in range(16)]
    return [made.token_ids for made in in_order(engine.generate(requests, SamplingSettings()))]


def test_a_sleeping_engine_gives_its_memory_back_and_wakes_with_the_weights_that_come() -> None:
    options = engine_options("vllm", dtype="float32", gpu_memory_fraction=0.3)
    engine = start_engine(EngineSettings(BASE, 256, (2,), 0, options, weights_change=True))
    engine.load_weights(weights())
    before = sampled(engine)
    for _ in range(2):
        free, total = torch.cuda.mem_get_info()
        engine.rest()
        assert torch.cuda.mem_get_info()[0] - free > 0.2 * total
        engine.load_weights(weights())
        assert sampled(engine) == before
    engine.close()


def test_a_server_on_a_gpu_takes_weights_through_shared_memory() -> None:
    options = engine_options("vllm_server", dtype="float32", workers=1, gpu_memory_fraction=0.3)
    engine = start_engine(EngineSettings(BASE, 256, (2,), 0, options))
    check_weight_sync(engine, weights, PROBE)
    assert sampled(engine) == sampled(engine)
    engine.close()
