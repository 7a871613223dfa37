"""vLLM in this process, on a CPU or a GPU.

So new weights are passed as tensors, without a server, port or file between trainer and engine. On a CPU the backend
re-packs weights after loading, so they are loaded with vLLM's own reload, which unpacks first; a GPU uses the same path.
Neighbours: ../engine.py (the protocol), run/process_environment.py (sets the environment that vLLM needs).
"""

import contextlib
import os
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig

from alignment.inference.engine import (
    EngineSettings,
    Generation,
    GenerationRequest,
    SamplingSettings,
    as_generation,
)
from alignment.inference.thinking_budget import OPEN
from alignment.inference.vllm.prefix_cache import keeps_prefixes
from alignment.inference.vllm.seeded import sample_by_inversion
from alignment.inference.vllm.served_model import ServedModel
from alignment.inference.vllm.weights.adapter_only import LoraRequests
from alignment.inference.vllm.weights.in_process import VllmReload
from alignment.inference.weights.transfer import WeightTransfer, transferred

# For a stage started by hand; run/process_environment.py sets these, and those that must be set before the process starts.
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")


def runs_by_transformers(settings: EngineSettings) -> bool:
    """Whether vLLM runs a model by transformers' implementation, whose classes it then decorates for all their models."""
    from vllm import ModelRegistry

    config = AutoConfig.from_pretrained(settings.model, trust_remote_code=settings.trust_remote_code)
    known = [ModelRegistry.models.get(name) for name in config.architectures or ()]
    modules = [str(getattr(one, "module_name", "")) for one in known if one is not None]
    return not modules or all(module.endswith(".transformers") for module in modules)


class LocalVllm:
    """Engine on vLLM's offline interface."""

    name = "vllm"

    def __init__(self, settings: EngineSettings) -> None:
        from vllm import LLM

        on_cpu = not torch.cuda.is_available()
        if on_cpu:  # even in eager mode vLLM compiles a part, which takes most of a minute and a C++ compiler
            torch._dynamo.config.disable = True  # noqa: SLF001  as TORCHDYNAMO_DISABLE, but not too late
        options = settings.options
        self._stop_ids, self._max_length = list(settings.stop_ids), settings.max_length
        self._thinking = settings.thinking
        self._sleeps, self._resting = not on_cpu and settings.weights_change and settings.adapter is None, False
        self._model = ServedModel.of(settings)
        with generators_kept():
            self._llm = LLM(
                model=self._model.path,
                dtype=options.resolved_dtype(on_gpu=not on_cpu),
                skip_tokenizer_init=settings.thinking is None,  # vLLM takes the stop text as text
                enforce_eager=on_cpu,
                # A prompt in pieces makes vLLM 0.31 turn a row's generator back, which one on a CPU cannot.
                enable_chunked_prefill=not on_cpu,
                max_model_len=settings.max_length,
                max_num_seqs=options.max_sequences,
                gpu_memory_utilization=getattr(options, "gpu_memory_fraction", None) or settings.gpu_memory_fraction,
                enable_prefix_caching=keeps_prefixes(self._model.path, settings),
                trust_remote_code=settings.trust_remote_code,
                disable_log_stats=True,
                enable_sleep_mode=self._sleeps,
                **_budgets(settings),
                **self._model.lora_options(),
                **({} if on_cpu or not torch.distributed.is_initialized() else beside_other_ranks()),
            )
        if on_cpu:
            self._llm.collective_rpc(sample_by_inversion)
        self.weight_version = 0
        self._adapter = None if settings.adapter is None else LoraRequests(self._llm.llm_engine, settings.adapter)
        self._transfer: WeightTransfer = VllmReload(self._llm) if self._adapter is None else self._adapter

    def generate(
        self, requests: Sequence[GenerationRequest], settings: SamplingSettings
    ) -> Iterator[tuple[int, Generation]]:
        """Sample with continuous batching; see Engine.generate."""
        from vllm import SamplingParams

        shared: dict[str, Any] = {
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "top_k": settings.top_k or -1,
            "logprobs": 0 if settings.logprobs else None,  # 0: the sampled token's own
            "detokenize": False,
        }
        # In a mixed batch, vLLM 0.31 applies stale budget state to rows without a budget. So if one row has a budget, the
        # others get one that they cannot reach.
        unbounded = self._max_length if any(one.most_thinking is not None for one in requests) else None
        budgets = [unbounded if one.most_thinking is None else one.most_thinking for one in requests]
        parameters = [
            SamplingParams(
                max_tokens=one.max_tokens,
                seed=one.seed,
                thinking_token_budget=budget,
                stop_token_ids=[*self._stop_ids, *one.stop_after],
                **shared,
            )
            for one, budget in zip(requests, budgets, strict=True)
        ]
        for index, output in self._run([one.prompt_ids for one in requests], parameters):
            yield index, self._as_generation(requests[index], output.outputs[0])

    def logprobs(self, sequences: Sequence[list[int]]) -> list[list[float]]:
        """Log-probs by vLLM's prompt_logprobs; see Engine.logprobs."""
        from vllm import SamplingParams

        scoring = SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False)
        found: dict[int, list[float]] = {}
        for index, output in self._run(sequences, [scoring] * len(sequences)):
            places = zip(sequences[index][1:], output.prompt_logprobs[1:], strict=True)
            found[index] = [at[token].logprob for token, at in places]
        return [found[index] for index in range(len(sequences))]

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> int:
        """Replace the weights by vLLM's reload; see Engine.load_weights."""
        if self._resting:
            self._llm.wake_up(["weights"])  # memory without contents: every weight has to come
        self.weight_version = transferred(self._transfer, weights, self.weight_version + 1)
        if self._resting:
            self._llm.wake_up(["kv_cache", "scheduling"])
            self._resting = False
        return self.weight_version

    def rest(self) -> None:
        """Give a trainer's GPU back what weights and cache take (vLLM's sleep, level 2). Nothing on a CPU.

        Nothing either where an adapter comes alone: the weights under it would not come again.
        """
        if self._sleeps and not self._resting:
            self._llm.sleep(level=2)
            self._resting = True

    def close(self) -> None:
        """Shut down vLLM's engine core."""
        self._llm.llm_engine.engine_core.shutdown()
        self._model.close()
        if self._adapter is not None:
            self._adapter.close()

    def _run(self, prompts: Sequence[list[int]], parameters: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yield `(index of the prompt, vLLM's output)` as each finishes; the rest is aborted if the iterator is closed.

        vLLM also draws from the global random generators, so their state is restored after it runs.
        """
        engine = self._llm.llm_engine
        with generators_kept():
            asked = [{"prompt_token_ids": ids} for ids in prompts]
            names = self._llm.enqueue(asked, list(parameters), self._lora(), use_tqdm=False)
        going = {name.partition("-")[0]: (index, name) for index, name in enumerate(names)}
        try:
            while going:
                with generators_kept():
                    while not (finished := [output for output in engine.step() if output.finished]):
                        pass
                for output in finished:
                    yield going.pop(output.request_id)[0], output
        finally:
            if going:
                engine.abort_request([name for _, name in going.values()], internal=True)

    def _lora(self) -> Any:
        """The LoRARequest of what is sampled from: the trainer's last adapter, or that of the served policy."""
        return self._model.request() if self._adapter is None else self._adapter.request

    def _as_generation(self, request: GenerationRequest, output: Any) -> Generation:
        ids = list(output.token_ids)
        logprobs = [0.0] * len(ids)
        if output.logprobs is not None:
            logprobs = [at[token].logprob for token, at in zip(ids, output.logprobs, strict=True)]
        return as_generation(request, ids, logprobs, self._thinking, ended=output.finish_reason == "stop")


def _budgets(settings: EngineSettings) -> dict[str, Any]:
    """vLLM's settings for thinking_token_budget: the text that opens thinking, and the stop text."""
    if settings.thinking is None:
        return {}
    from vllm.config import ReasoningConfig

    stop_text = settings.thinking.stop_text
    return {"reasoning_config": ReasoningConfig(reasoning_start_str=OPEN, reasoning_end_str=stop_text)}


@contextlib.contextmanager
def generators_kept() -> Iterator[None]:
    """Restore the state of all random generators afterwards, since vLLM seeds them when it starts.

    A resumed stage starts its engine at another step than an uninterrupted one, and must draw the same numbers.
    """
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)


def beside_other_ranks() -> dict[str, Any]:
    """Settings for one engine per rank, each a group of its own inside the trainer's process group."""
    os.environ.setdefault("LOCAL_RANK", "0")
    return {
        "distributed_executor_backend": "external_launcher",
        "tensor_parallel_size": 1,
        "seed": torch.distributed.get_rank(),
    }
