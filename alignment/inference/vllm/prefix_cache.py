"""Which models let vLLM keep the key-value cache of prefixes that requests share, and how it is dropped with the weights.

Completions of one problem, and of one prefix of a solution, then read what they share once (vLLM's automatic prefix caching). A
load of weights empties the cache: in this process by `emptied`, on a server by vLLM's own pause, without which none is loaded.
Neighbours: in_process.py and server/launch.py (ask), ../weights/ (the loads).
"""

from typing import Any

from transformers import AutoConfig

from alignment.core.errors import EngineError
from alignment.core.vocabulary import ATTENTION_LAYERS
from alignment.inference.engine import EngineSettings

STATE_SPACE = ("mamba_", "ssm_")  # how settings of layers are called that carry a state along a row


def keeps_prefixes(model: str, settings: EngineSettings) -> bool:
    """Whether a model, a folder or hub id, has attention alone. A state along a row is no cache by token.

    vLLM 0.31 keeps such states at the ends of blocks, and reads prompts in pieces for them, which it cannot on a CPU.
    """
    config = AutoConfig.from_pretrained(model, trust_remote_code=settings.trust_remote_code).get_text_config()
    kinds = getattr(config, "layer_types", None) or getattr(config, "layers_block_type", None) or ()
    named = any(name.startswith(STATE_SPACE) for name in config.to_dict())
    return not named and set(kinds) <= {*ATTENTION_LAYERS, "attention"}


def emptied(engine: Any) -> None:
    """Empty the cache of an LLM or LLMEngine, after its weights changed. Raises EngineError where a request still holds a part."""
    if not engine.reset_prefix_cache():
        raise EngineError(
            "vLLM keeps key-value pairs that the old weights computed, because a completion is still under way; load weights "
            "when none is"
        )
