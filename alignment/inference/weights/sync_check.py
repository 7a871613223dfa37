"""Proof that the engine samples from the weights that the trainer holds.

Weights that never arrive are the costliest silent failure of RL on language models: the loss looks healthy and the
policy that is sampled stands still. Two checks: at a stage's start changed weights must change the engine's log-probs
and the true ones must bring them back; at every step the log-probs of fresh rollouts must agree with the trainer's.
"""

import re
from collections.abc import Callable, Iterator

import torch

from alignment.core.errors import WeightsNotSynchronised
from alignment.inference.engine import Engine

Weights = Callable[[], Iterator[tuple[str, torch.Tensor]]]
SMALLEST_CHANGE = 1e-3  # nats: what a changed matrix must do at least
# Means over the tokens of a few rollouts, in nats. In float32 an engine differs from the trainer by 1e-6, and one matrix
# that is a step behind is enough for 3e-4. In bfloat16 rounding alone makes 1e-2.
EXACT_GAP, COARSE_GAP = 2e-4, 0.05
LARGEST_RETURN = 1e-3  # nats: how far the true weights may land from where they were
_INNER = re.compile(
    r"\.(mlp|feed_forward|block_sparse_moe|ffn)\."
)  # and not a router, which may choose the same experts
_ROUTER = re.compile(r"\.(gate|router)\.weight$|router\.")
_HEAD, _EMBEDDING = (
    re.compile(r"(^|\.)(lm_head|embed_out)\.weight$"),
    re.compile(r"(embed_tokens|wte|embed_in)\.weight$"),
)


def check_weight_sync(engine: Engine, weights: Weights, probe: list[int], *, same_start: bool = True) -> None:
    """Deliver the true weights, changed ones, and the true ones again, and compare log-probs.

    Changed are an inner matrix (of an MLP or of experts) and the output head, each alone. probe: token ids of some
    prompt. same_start: the engine was started from these very weights, so that they must change nothing; false where
    training resumes from a checkpoint. Leaves the engine with the true weights. Collective where weights are sharded.
    Raises WeightsNotSynchronised.
    """
    started = engine.logprobs([probe])[0]
    shapes: dict[str, int] = {}
    engine.load_weights(_noted(weights(), shapes))
    true = engine.logprobs([probe])[0]
    moved = _mean_distance(started, true) if same_start else 0.0
    changes: dict[str, float] = {}
    for name, factor in _to_change(shapes):
        engine.load_weights(_with_scaled(weights(), name, factor))
        changes[name] = _mean_distance(true, engine.logprobs([probe])[0])
    engine.load_weights(weights())
    returned = _mean_distance(true, engine.logprobs([probe])[0])
    if moved > LARGEST_RETURN:
        raise WeightsNotSynchronised(
            f"engine {engine.name} is damaged by new weights: the ones it was started from moved its log-probs by "
            f"{moved:.2e} nats (at most {LARGEST_RETURN}). Write `engine: transformers`, and compare the versions in "
            "constraints.txt with `alignment doctor`"
        )
    if not changes or min(changes.values()) < SMALLEST_CHANGE or returned > LARGEST_RETURN:
        told = ", ".join(f"{name} by {change:.2e}" for name, change in changes.items()) or "no weight was delivered"
        raise WeightsNotSynchronised(
            f"engine {engine.name} does not take new weights: changed ones moved its log-probs, in nats: {told} (at "
            f"least {SMALLEST_CHANGE} expected), and the true weights left them {returned:.2e} away (at most "
            f"{LARGEST_RETURN}). Training would go on against a policy that stands still. Write `engine: transformers`, "
            "and compare the versions in constraints.txt with `alignment doctor`"
        )


def largest_gap(allowed: float | None, *, exact: bool) -> float:
    """What a recipe allows, or what its silence means. exact: trainer and engine both compute in float32."""
    return allowed if allowed is not None else EXACT_GAP if exact else COARSE_GAP


def refuse_gap(gap: float, largest: float, step: int) -> None:
    """Raise WeightsNotSynchronised when trainer and engine have drifted apart."""
    if gap > largest:
        raise WeightsNotSynchronised(
            f"step {step}: the engine's log-probs are {gap:.4f} nats from the trainer's on average, above "
            f"rollout.max_logprob_gap {largest:g}. Either the engine holds other weights, or it computes in a coarser "
            "dtype than the trainer: compare rollout.engine.dtype with the trainer's bf16"
        )


def _noted(weights: Iterator[tuple[str, torch.Tensor]], shapes: dict[str, int]) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights as they are; the number of dimensions of each goes into `shapes`."""
    for name, tensor in weights:
        shapes[name] = tensor.dim()
        yield name, tensor


def _to_change(shapes: dict[str, int]) -> Iterator[tuple[str, float]]:
    """The weights that are changed, and by which factor: an inner matrix, negated, and the head, halved.

    Negating is felt however small a layer's part is; a negated head that is tied to the embedding would cancel out.
    """
    matrices = [name for name, dimensions in shapes.items() if dimensions >= 2]
    heads = [name for name in matrices if _HEAD.search(name)] or [name for name in matrices if _EMBEDDING.search(name)]
    plain = [name for name in matrices if not _HEAD.search(name) and not _EMBEDDING.search(name)]
    inner = [name for name in plain if _INNER.search(name) and not _ROUTER.search(name)] or plain
    yield from ((name, -1.0) for name in inner[-1:])
    yield from ((name, 0.5) for name in heads[:1])


def _with_scaled(
    weights: Iterator[tuple[str, torch.Tensor]], changed: str, factor: float
) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in weights:
        yield name, tensor * factor if name == changed else tensor


def _mean_distance(one: list[float], other: list[float]) -> float:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)
