"""Engine, the protocol of whatever samples completions, with GenerationRequest and Generation.

An engine turns requests into generations and yields each as it finishes. It works on tokens, not messages, and enforces
the upper limit of a thinking budget (thinking_budget.py). sampler.py adds text and the lower limit, the same for all
engines. Neighbours: transformers/engine.py and vllm/in_process.py (the engines), start.py (starts one).
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from alignment.core.vocabulary import Mode
from alignment.inference.thinking_budget import ThinkTokens, forced_tokens
from alignment.recipe.blocks.engine import EngineOptions
from alignment.recipe.blocks.sampling import ThinkingBudget

if TYPE_CHECKING:
    import torch

StopReason = Literal["end", "length"]
Spans = tuple[tuple[int, int], ...]  # (first token, a number that holds until the next span)


@dataclass(frozen=True)
class SamplingSettings:
    """How tokens are sampled. Temperature 0 is greedy; top_k 0 is off.

    `logprobs=False` skips computing them; zeros are returned.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    logprobs: bool = True


@dataclass(frozen=True)
class GenerationRequest:
    """One completion to sample: prompt tokens, mode, thinking budget, and maximum length in tokens.

    The budget applies in thinking mode only. The seed belongs to the request: its generation does not depend on the other
    requests of its batch. stop_after: tokens after which it is handed back, as if its length were reached there: the search
    that asked looks at it and asks for more.
    """

    prompt_ids: list[int]
    mode: Mode
    budget: ThinkingBudget | None = None
    max_tokens: int = 1024
    seed: int = 0
    stop_after: tuple[int, ...] = ()

    @property
    def most_thinking(self) -> int | None:
        """Maximum number of thinking tokens, or None."""
        return None if self.budget is None or self.mode != "thinking" else self.budget.most

    @property
    def least_thinking(self) -> int:
        """Minimum number of thinking tokens."""
        return 0 if self.budget is None or self.mode != "thinking" else self.budget.least


@dataclass(frozen=True)
class Generation:
    """A sampled completion of T tokens.

    token_ids, logprobs, forced: (T,). Log-probs are in nats under the policy at temperature 1. forced marks tokens that the
    engine wrote in place of the policy; their log-probs are 0. stop_reason is `end` if the policy ended its turn. Engines
    leave text and thinking_tokens empty; sampler.py fills them in. versions: `(first token, weight_version)` of each span of
    tokens, from engines on which a completion may go on over a change of weights; empty from others.
    """

    request: GenerationRequest
    token_ids: list[int]
    logprobs: list[float]
    forced: list[bool]
    stop_reason: StopReason
    text: str = ""
    thinking_tokens: int = 0
    versions: Spans = ()

    @property
    def forced_tokens(self) -> int:
        """Number of forced tokens."""
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
    thinking: ThinkTokens | None = None  # None for an engine without thinking budgets
    processes: int = 1  # training processes on this machine, each with an engine of its own
    weights_change: bool = False  # a trainer sends new weights; else the model is served as it is
    adapter: Any = None  # PEFT's LoraConfig of the adapter whose weights are sent in place of the model's


class Engine(Protocol):
    """Samples from a policy whose weights can be replaced."""

    name: str
    weight_version: int  # 0 for the weights it was started with

    def generate(
        self, requests: Sequence[GenerationRequest], settings: SamplingSettings
    ) -> Iterator[tuple[int, Generation]]:
        """Yield `(index of the request, its generation)`, each as it finishes, in any order.

        The same weights, request and settings give the same generation on the same machine, whatever the other requests.
        """
        ...

    def logprobs(self, sequences: Sequence[list[int]]) -> list[list[float]]:
        """Log-probs (nats, temperature 1) of every token but the first, given those before it."""
        ...

    def load_weights(self, weights: "Iterable[tuple[str, torch.Tensor]]") -> int:
        """Replace the weights by those of the iterator, under their checkpoint names; returns the new weight_version.

        An engine that was started with an adapter takes the adapter's weights alone, under PEFT's names.
        Everything cached from the old ones is dropped. Raises what its WeightTransfer raises (weights/transfer.py).
        """
        ...

    def rest(self) -> None:
        """Free what it holds on a trainer's device, if it can. It samples again once weights are loaded."""
        ...

    def close(self) -> None:
        """End the engine and free what it holds."""
        ...


def in_order(generations: Iterable[tuple[int, Generation]]) -> list[Generation]:
    """All generations in the order of their requests."""
    return [made for _, made in sorted(generations, key=lambda pair: pair[0])]


def spans_joined(first: Spans, tokens: int, more: Spans) -> Spans:
    """Spans of `tokens` tokens and of those after them as one; a span that goes on is one span."""
    moved = tuple((start + tokens, value) for start, value in more)
    return (*first, *(moved[1:] if first and moved and first[-1][1] == moved[0][1] else moved))


def request_seed(*parts: object) -> int:
    """A seed (63 bits) that is the same for the same parts in every process, and unrelated for others."""
    return int.from_bytes(hashlib.sha256(":".join(map(str, parts)).encode()).digest()[:8], "big") >> 1


def as_generation(
    request: GenerationRequest, ids: list[int], logprobs: list[float], tokens: ThinkTokens | None, *, ended: bool
) -> Generation:
    """The generation of a request from an engine's tokens, with the forced ones marked. ended: a stop token came last."""
    ended = ended and (not ids or ids[-1] not in request.stop_after)
    if tokens is None or request.most_thinking is None:
        forced = [False] * len(ids)
    else:
        forced = forced_tokens(request.prompt_ids, ids, request.most_thinking, tokens)
        logprobs = [0.0 if written else found for found, written in zip(logprobs, forced, strict=True)]
    return Generation(request, ids, logprobs, forced, "end" if ended else "length")
