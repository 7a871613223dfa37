"""A policy that nothing else shares the device with, ready to answer: for evaluation and for chat.

A training stage samples beside its trainer, under the `rollout` settings of its recipe (stages/context.py); here the
engine has the machine to itself. Neighbours: engine.py (the seam), thinking.py (modes and budgets on top).
"""

from dataclasses import dataclass

from alignment.rollout.engine import EngineName, EngineSettings, start_engine
from alignment.rollout.thinking import Sampler

DEVICE_SHARE = 0.85  # of a GPU's memory; the rest is the runtime's own


@dataclass(frozen=True)
class Serving:
    """How a policy is served. Lengths are in tokens."""

    engine: EngineName
    max_prompt_tokens: int
    max_completion_tokens: int
    budget_stop_text: str
    dtype: str = "auto"
    trust_remote_code: bool = False


def serve(policy: str, serving: Serving) -> Sampler:
    """Start an engine on a model folder or hub id and put modes and budgets on top. Raises EngineError."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(policy, trust_remote_code=serving.trust_remote_code)
    engine = start_engine(
        serving.engine,
        EngineSettings(
            model=policy,
            max_length=serving.max_prompt_tokens + serving.max_completion_tokens,
            stop_ids=(tokenizer.eos_token_id,),
            # What pads is masked; a tokenizer without a token for it can lend any other.
            pad_id=tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
            dtype=serving.dtype,
            gpu_memory_share=DEVICE_SHARE,
            trust_remote_code=serving.trust_remote_code,
        ),
    )
    return Sampler(engine, tokenizer, serving.max_completion_tokens, serving.budget_stop_text)
