"""Checks that the engine samples from the weights that the trainer holds.

A weight sync that does nothing leaves no other trace: the loss looks healthy while the sampled policy never changes.
Two checks: at a stage's start, changed weights must change the engine's log-probs, and the true ones must restore them; at
every step, the log-probs of fresh rollouts must agree with the trainer's. Neighbour: transfer.py (loads the weights).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from alignment.core.errors import WeightsNotSynchronised
from alignment.inference.engine import Engine

Weights = Callable[[], Iterator[tuple[str, torch.Tensor]]]
Change = Callable[[torch.Tensor], torch.Tensor]
ADAPTER_CHANGE = 0.1  # added to a matrix of an adapter that begins at zero
MIN_CHANGE = 1e-3  # nats: smallest difference that a changed matrix must make
# Mean differences over the tokens of a few rollouts, in nats. In float32 an engine differs from the trainer by 1e-6, and a
# single matrix that is one step behind makes 3e-4. In bfloat16, rounding alone makes 1e-2.
EXACT_GAP, COARSE_GAP = 2e-4, 0.05
MAX_RETURN = 1e-3  # nats: largest difference after restoring the true weights
_INNER = re.compile(
    r"\.(mlp|feed_forward|block_sparse_moe|shared_mlp|ffn)\."
)  # and not a router, which may choose the same experts
_ROUTER = re.compile(r"\.(gate|router)\.weight$|router\.")
_HEAD, _EMBEDDING = (
    re.compile(r"(^|\.)(lm_head|embed_out)\.weight$"),
    re.compile(r"(embed_tokens|wte|embed_in)\.weight$"),
)


def check_weight_sync(engine: Engine, weights: Weights, probe: list[int], *, same_start: bool = True) -> None:
    """Load the true weights, changed ones, and the true ones again, and compare log-probs.

    Two matrices are changed, one at a time: an inner one (of an MLP or of experts), and the output head. probe: token ids of
    a prompt. same_start: the engine was started from these weights, so that loading them must change nothing; False if
    training resumes from a checkpoint. Leaves the engine with the true weights. Collective for sharded weights. Raises
    WeightsNotSynchronised.
    """
    started = engine.logprobs([probe])[0]
    shapes: dict[str, int] = {}
    engine.load_weights(_noted(weights(), shapes))
    true = engine.logprobs([probe])[0]
    moved = _mean_distance(started, true) if same_start else 0.0
    changes: dict[str, float] = {}
    for name, change in _to_change(shapes):
        engine.load_weights(_with_changed(weights(), name, change))
        changes[name] = _mean_distance(true, engine.logprobs([probe])[0])
    engine.load_weights(weights())
    returned = _mean_distance(true, engine.logprobs([probe])[0])
    if moved > MAX_RETURN:
        raise WeightsNotSynchronised(
            f"engine {engine.name} loads weights wrongly: loading those that it was started from moved its log-probs by "
            f"{moved:.2e} nats (at most {MAX_RETURN}). Write `engine: transformers`, and compare the versions in "
            "constraints.txt with `alignment doctor`"
        )
    if not changes or min(changes.values()) < MIN_CHANGE or returned > MAX_RETURN:
        moves = ", ".join(f"{name} by {change:.2e}" for name, change in changes.items()) or "no weight was loaded"
        raise WeightsNotSynchronised(
            f"engine {engine.name} does not take new weights: changed ones moved its log-probs, in nats: {moves} (at "
            f"least {MIN_CHANGE} expected), and the true weights left them {returned:.2e} away (at most "
            f"{MAX_RETURN}). Training would continue while the sampled policy never changes. Write `engine: transformers`, "
            "and compare the versions in constraints.txt with `alignment doctor`"
        )


def largest_gap(allowed: float | None, *, exact: bool) -> float:
    """The allowed log-prob gap in nats: the recipe's, or a default. exact: trainer and engine compute in float32."""
    return allowed if allowed is not None else EXACT_GAP if exact else COARSE_GAP


@dataclass(frozen=True)
class Gap:
    """The mean distance in nats between the engine's log-probs and the trainer's, and what its cause is told from.

    plain: the same with each row alone under plain attention. dtypes: what the engine and the trainer compute in.
    """

    nats: float
    plain: float
    dtypes: tuple[str, str]

    def cause(self, largest: float) -> str:
        """What explains the gap, and what to write."""
        engine, trainer = self.dtypes
        if self.plain <= largest:
            return (
                f"Rows alone under plain attention are {self.plain:.4f} nats away: packed rows are computed otherwise, for "
                "an attention that inference/attention/packed.py does not know. Report the model's config; sft and dpo pad "
                "its rows"
            )
        if engine != trainer:
            return (
                f"The engine computes in {engine} and the trainer in {trainer}: write `engine: {{dtype: {trainer}}}` under "
                "`rollout`"
            )
        return (
            f"Both compute in {engine}, so the engine holds other weights, or computes this architecture otherwise "
            "(windows, caps, experts): write `engine: transformers`, and compare versions with `alignment doctor`"
        )


def refuse_gap(gap: Gap, largest: float, step: int) -> None:
    """Raise WeightsNotSynchronised if the gap between trainer and engine is above `largest` nats."""
    if gap.nats > largest:
        raise WeightsNotSynchronised(
            f"step {step}: the engine's log-probs are {gap.nats:.4f} nats from the trainer's on average, above "
            f"rollout.max_logprob_gap {largest:g}. {gap.cause(largest)}"
        )


def _noted(weights: Iterator[tuple[str, torch.Tensor]], shapes: dict[str, int]) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the weights unchanged; the number of dimensions of each goes into `shapes`."""
    for name, tensor in weights:
        shapes[name] = tensor.dim()
        yield name, tensor


def _to_change(shapes: dict[str, int]) -> Iterator[tuple[str, Change]]:
    """Names of the weights to change, each with how: an inner matrix, negated, and the head, halved.

    Negating changes log-probs however little a layer contributes; a negated head tied to the embedding would cancel out. Of
    an adapter, which begins with a product of zero, the second matrix of an inner layer is moved away from zero.
    """
    # Experts' biases are matrices too (GPT-OSS), and may be zero, which no factor changes.
    matrices = [name for name, dimensions in shapes.items() if dimensions >= 2 and not name.endswith("bias")]
    heads = [name for name in matrices if _HEAD.search(name)] or [name for name in matrices if _EMBEDDING.search(name)]
    plain = [name for name in matrices if not _HEAD.search(name) and not _EMBEDDING.search(name)]
    adapters = [name for name in plain if ".lora_B." in name]
    inner = (
        [name for name in adapters or plain if _INNER.search(name) and not _ROUTER.search(name)] or adapters or plain
    )
    yield from ((name, _moved if adapters else torch.neg) for name in inner[-1:])
    yield from ((name, _halved) for name in heads[:1] if not adapters)


def _moved(tensor: torch.Tensor) -> torch.Tensor:
    return tensor + ADAPTER_CHANGE


def _halved(tensor: torch.Tensor) -> torch.Tensor:
    return tensor * 0.5


def _with_changed(
    weights: Iterator[tuple[str, torch.Tensor]], changed: str, change: Change
) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in weights:
        yield name, change(tensor.detach()) if name == changed else tensor


def _mean_distance(one: list[float], other: list[float]) -> float:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)
