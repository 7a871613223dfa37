"""The seam between whoever needs completions and whatever samples them.

An engine knows tokens, not chats: it draws, and ends a think block that has come to its budget (budget.py). What a mode
is, and everything else about thinking, thinking.py puts on top, so that both engines treat it alike. Two engines stand behind it: vllm_local.py and transformers_engine.py. A third would be one more file and one line in
start.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import torch

    from alignment.inference.thinking_budget import ThinkTokens

EngineName = Literal["auto", "vllm", "transformers"]


@dataclass(frozen=True)
class SamplingSettings:
    """How tokens are drawn. temperature 0 is greedy; top_k 0 is off. Who needs no log-probs may spare vLLM the work."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    logprobs: bool = True  # where false, they may be zeros


@dataclass(frozen=True)
class Ask:
    """What an engine is to draw: a prompt, the most tokens after it, and the most tokens of a think block, or None."""

    prompt: list[int]
    most_tokens: int
    budget: int | None = None


@dataclass(frozen=True)
class Draw:
    """What an engine drew for one prompt: token ids, the log-prob of each under the policy, and whether it ended itself.

    The log-probs of tokens that a budget wrote mean nothing (budget.py tells which they are).
    """

    token_ids: list[int]
    logprobs: list[float]
    ended: bool


@dataclass(frozen=True)
class EngineSettings:
    """What an engine needs to start."""

    model: str
    max_length: int  # tokens of prompt and completion together
    stop_ids: tuple[int, ...]
    pad_id: int
    dtype: str = "auto"  # float32 or bfloat16; auto is float32 on a CPU and bfloat16 on a GPU
    gpu_memory_fraction: float = 0.35
    max_sequences: int = 256
    trust_remote_code: bool = False
    thinking: "ThinkTokens | None" = None  # None for an engine that is given no budgets


class Engine(Protocol):
    """Draws tokens from a policy and takes new weights for it."""

    name: str

    def draw(self, asked: "Sequence[Ask]", settings: SamplingSettings, seed: int) -> list[Draw]:
        """One draw for each. The same weights, asks and seed give the same draws on the same machine."""
        ...

    def logprobs(self, sequences: Sequence[list[int]]) -> list[list[float]]:
        """The log-prob of every token but the first, given those before it; temperature plays no part."""
        ...

    def load_weights(self, weights: "Iterable[tuple[str, torch.Tensor]]") -> None:
        """Take new weights under their checkpoint names; everything cached from the old ones is dropped."""
        ...

    def close(self) -> None: ...
