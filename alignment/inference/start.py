"""Starts engines on a policy, and wraps them in a Sampler.

Neighbours: engine.py (the protocol), sampler.py (text and a minimum of thinking), recipe/blocks/engine.py (which
engines there are).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alignment.core.errors import EngineError
from alignment.core.machine import visible_gpus
from alignment.data.chat.turn_end import end_ids, turn_end_id
from alignment.inference.engine import Engine, EngineSettings
from alignment.inference.pool import EnginePool
from alignment.inference.sampler import Sampler
from alignment.inference.thinking_budget import ThinkTokens
from alignment.recipe.blocks.engine import EngineOptions, engine_kind

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Fractions of a GPU's memory for an engine that has the GPU alone, and for one beside a trainer.
WHOLE_DEVICE, BESIDE_TRAINER = 0.85, 0.35


@dataclass(frozen=True)
class Serving:
    """How a policy is served. Lengths are in tokens."""

    engine: EngineOptions
    max_prompt_tokens: int
    max_completion_tokens: int
    stop_text: str  # forced when a thinking budget is spent
    gpu_memory_fraction: float = WHOLE_DEVICE  # unless the engine's options set it
    every_device: bool = False  # a worker on each, unless the options set how many; for weights that do not change
    trust_remote_code: bool = False
    weights_change: bool = False  # a trainer sends new ones
    adapter: Any = None  # as in EngineSettings
    base: str | None = None  # what the engine loads in place of the policy: the model under the adapter


def serve(policy: str, serving: Serving, processes: int = 1) -> Sampler:
    """Start an engine on a model folder or hub id and wrap it in a Sampler. Raises EngineError."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(policy, trust_remote_code=serving.trust_remote_code)
    thinking = ThinkTokens.of(tokenizer, serving.stop_text)
    stop_ids = end_tokens(policy, tokenizer, trust_remote_code=serving.trust_remote_code)
    settings = EngineSettings(
        model=serving.base or policy,
        max_length=serving.max_prompt_tokens + serving.max_completion_tokens,
        stop_ids=stop_ids,
        # Padding is masked, so any token will do for a tokenizer without a pad token.
        pad_id=stop_ids[0] if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
        options=serving.engine,
        gpu_memory_fraction=serving.gpu_memory_fraction,
        trust_remote_code=serving.trust_remote_code,
        thinking=thinking,
        processes=processes,
        weights_change=serving.weights_change,
        adapter=serving.adapter,
    )
    workers = (serving.engine.workers or max(1, len(visible_gpus()))) if serving.every_device else 1
    return Sampler(start_engine(settings, workers), tokenizer, thinking)


def start_engine(settings: EngineSettings, workers: int = 1) -> Engine:
    """Start the engine that the options name, here or in several workers. Raises EngineError if it cannot run here."""
    kind = engine_kind(settings.options.type)
    fault = kind.fault(settings.processes)
    if fault:
        raise EngineError(
            f"engine {kind.name} cannot run here: {fault}. Write `engine: transformers` or `engine: auto`."
        )
    if workers > 1 and not kind.has_workers:
        return EnginePool(settings, workers)
    engine: Engine = kind.start(settings)
    return engine


def end_tokens(
    policy: str, tokenizer: "PreTrainedTokenizerBase", *, trust_remote_code: bool = False
) -> tuple[int, ...]:
    """Ids of the tokens that end a completion: eos, those of the model's generation_config, and the template's end of turn.

    Llama's `<|eot_id|>`, Gemma's `<end_of_turn>` and Phi's `<|end|>` need not be the tokenizer's eos token; the end of turn of
    a template that a base model was given may stand in no list. Raises EngineError if there is none.
    """
    from transformers import GenerationConfig

    try:
        listed = GenerationConfig.from_pretrained(policy, trust_remote_code=trust_remote_code).eos_token_id
    except OSError:  # without the file, the tokenizer's eos token is all
        listed = None
    own = [tokenizer.eos_token_id, None if tokenizer.chat_template is None else turn_end_id(tokenizer)]
    stops = tuple(end_ids(own, listed))
    if not stops:
        raise EngineError(
            f"{policy}: neither tokenizer nor generation_config.json has an end-of-text token; add eos_token"
        )
    return stops
