"""Proof that the engine samples from the weights that the trainer holds.

Weights that never arrive are the costliest silent failure of RL on language models: the loss looks healthy and the
policy that is sampled stands still. Two checks: at a stage's start a changed weight must change the engine's log-probs
and the true ones must bring them back; at every step the log-probs of fresh rollouts must agree with the trainer's.
"""

from collections.abc import Callable, Iterator

import torch

from alignment.core.errors import WeightsNotSynchronised
from alignment.inference.engine import Engine

Weights = Callable[[], Iterator[tuple[str, torch.Tensor]]]
SMALLEST_CHANGE = 1e-3  # nats: what scaling one norm by a half must do at least
# Means over the tokens of a few rollouts, in nats. In float32 an engine differs from the trainer by 1e-6, and one matrix
# that is a step behind is enough for 3e-4. In bfloat16 rounding alone makes 1e-2.
EXACT_GAP, COARSE_GAP = 2e-4, 0.05
LARGEST_RETURN = 1e-3  # nats: how far the true weights may land from where they were


def check_weight_sync(engine: Engine, weights: Weights, probe: list[int]) -> None:
    """Deliver changed weights, then the true ones, and compare log-probs. Raises WeightsNotSynchronised.

    probe: token ids of some prompt. Leaves the engine with the true weights. Collective where weights are sharded.
    """
    engine.load_weights(weights())
    before = engine.logprobs([probe])[0]
    engine.load_weights(_with_halved_norm(weights()))
    changed = _mean_distance(before, engine.logprobs([probe])[0])
    engine.load_weights(weights())
    returned = _mean_distance(before, engine.logprobs([probe])[0])
    if changed < SMALLEST_CHANGE or returned > LARGEST_RETURN:
        raise WeightsNotSynchronised(
            f"engine {engine.name} does not take new weights: a halved norm moved its log-probs by {changed:.2e} nats "
            f"(at least {SMALLEST_CHANGE} expected), and the true weights left them {returned:.2e} away (at most "
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


def _with_halved_norm(weights: Iterator[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in weights:
        yield name, tensor * 0.5 if name.endswith("layers.0.input_layernorm.weight") else tensor


def _mean_distance(one: list[float], other: list[float]) -> float:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)
