"""The seam between whoever needs completions and whatever samples them.

An engine turns requests into generations and yields each as it finishes. It knows tokens and think blocks, not chats:
it ends a think block that has come to its budget (thinking_budget.py). What a minimum of thinking is, and the text,
sampler.py puts on top, alike for all engines. Two stand behind the seam: transformers/engine.py and vllm/in_process.py.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from alignment.core.vocabulary import Mode
from alignment.inference.thinking_budget import ThinkTokens, forced_tokens
from alignment.recipe.engine import EngineOptions
from alignment.recipe.sampling import ThinkingBudget

if TYPE_CHECKING:
    import torch

StopReason = Literal["end", "length"]


@dataclass(frozen=True)
class SamplingSettings:
    """How tokens are sampled. temperature 0 is greedy; top_k 0 is off. `logprobs=False` skips computing them; zeros are
    returned."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    logprobs: bool = True


@dataclass(frozen=True)
class GenerationRequest:
    """One completion to sample: a rendered prompt, the mode it asks for, and how long it may get, in tokens.

    The budget counts in thinking mode alone. The seed is the request's own: what is sampled for it depends on nothing
    that shares its batch.
    """

    prompt_ids: list[int]
    mode: Mode
    budget: ThinkingBudget | None = None
    max_tokens: int = 1024
    seed: int = 0

    @property
    def most_thinking(self) -> int | None:
        """Thinking tokens after which an engine ends the thinking, or None."""
        return None if self.budget is None or self.mode != "thinking" else self.budget.most

    @property
    def least_thinking(self) -> int:
        """Thinking tokens before which a think block is not closed."""
        return 0 if self.budget is None or self.mode != "thinking" else self.budget.least


@dataclass(frozen=True)
class Generation:
    """What was sampled for a request: token ids, and the log-prob of each under the policy, at temperature 1 (nats).

    forced marks tokens that were written in the policy's place; their log-probs are 0 and mean nothing. stop_reason is
    `end` where the policy ended itself. Engines leave text and thinking_tokens to sampler.py.
    """

    request: GenerationRequest
    token_ids: list[int]
    logprobs: list[float]
    forced: list[bool]
    stop_reason: StopReason
    text: str = ""
    thinking_tokens: int = 0

    @property
    def forced_tokens(self) -> int:
        """How many tokens were written in the policy's place."""
        return sum(self.forced)


@dataclass(frozen=True)
class EngineSettings:
    """What an engine needs to start."""

    model: str
    max_length: int  # tokens of prompt and completion together
    stop_ids: tuple[int, ...]
    pad_id: int
    options: EngineOptions  # what the recipe says
    gpu_memory_fraction: float = 0.35  # where the options leave it out
    trust_remote_code: bool = False
    thinking: ThinkTokens | None = None  # None for an engine that is given no budgets
    processes: int = 1  # training processes on this machine, each with an engine of its own


class Engine(Protocol):
    """Samples from a policy and takes new weights for it."""

    name: str
    weight_version: int  # 0 for the weights it was started with

    def generate(
        self, requests: Sequence[GenerationRequest], settings: SamplingSettings
    ) -> Iterator[tuple[int, Generation]]:
        """`(index of the request, its generation)`, each as it finishes, in any order.

        The same weights, request and settings give the same generation on the same machine, whatever else is asked.
        """
        ...

    def logprobs(self, sequences: Sequence[list[int]]) -> list[list[float]]:
        """The log-prob of every token but the first, given those before it; temperature plays no part."""
        ...

    def load_weights(self, weights: "Iterable[tuple[str, torch.Tensor]]") -> int:
        """Take new weights under their checkpoint names, by a WeightTransfer (weights/transfer.py); returns their version.
        Everything cached from the old ones is dropped."""
        ...

    def close(self) -> None:
        """End the engine and free what it holds."""
        ...


def in_order(generations: Iterable[tuple[int, Generation]]) -> list[Generation]:
    """All generations in the order of their requests, for those who need them together."""
    return [made for _, made in sorted(generations, key=lambda pair: pair[0])]


def request_seed(*parts: object) -> int:
    """A seed that is the same for the same parts in every process, and unrelated for others."""
    return int.from_bytes(hashlib.sha256(":".join(map(str, parts)).encode()).digest()[:8], "big") >> 1


def as_generation(
    request: GenerationRequest, ids: list[int], logprobs: list[float], tokens: ThinkTokens | None, *, ended: bool
) -> Generation:
    """What an engine sampled, with the tokens marked that its budget wrote."""
    if tokens is None or request.most_thinking is None:
        forced = [False] * len(ids)
    else:
        forced = forced_tokens(request.prompt_ids, ids, request.most_thinking, tokens)
        logprobs = [0.0 if written else found for found, written in zip(logprobs, forced, strict=True)]
    return Generation(request, ids, logprobs, forced, "end" if ended else "length")
