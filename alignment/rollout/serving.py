"""A policy in an engine, with modes and budgets on top: the one place where engines are started.

Neighbours: engine.py (the seam), thinking.py (modes and budgets).
"""

from dataclasses import dataclass

from alignment.rollout.budget import ThinkTokens
from alignment.rollout.engine import EngineName, EngineSettings, start_engine
from alignment.rollout.thinking import WAIT_TEXT, Sampler

WHOLE_DEVICE = 0.85  # of a GPU's memory; the rest is the runtime's own


@dataclass(frozen=True)
class Serving:
    """How a policy is served. Lengths are in tokens."""

    engine: EngineName
    max_prompt_tokens: int
    max_completion_tokens: int
    budget_stop_text: str
    wait_text: str = WAIT_TEXT
    dtype: str = "auto"
    gpu_memory_share: float = WHOLE_DEVICE
    trust_remote_code: bool = False


def serve(policy: str, serving: Serving, processes: int = 1) -> Sampler:
    """Start an engine on a model folder or hub id and put modes and budgets on top. Raises EngineError."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(policy, trust_remote_code=serving.trust_remote_code)
    thinking = ThinkTokens.of(tokenizer, serving.budget_stop_text)
    settings = EngineSettings(
        model=policy,
        max_length=serving.max_prompt_tokens + serving.max_completion_tokens,
        stop_ids=(tokenizer.eos_token_id,),
        # What pads is masked; a tokenizer without a token for it can lend any other.
        pad_id=tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
        dtype=serving.dtype,
        gpu_memory_share=serving.gpu_memory_share,
        trust_remote_code=serving.trust_remote_code,
        thinking=thinking,
    )
    engine = start_engine(serving.engine, settings, processes)
    return Sampler(engine, tokenizer, serving.max_completion_tokens, thinking, serving.wait_text)
