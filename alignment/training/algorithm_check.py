"""What cannot work about an algorithm: functions of the user's own that are not there, a correction that would be wrong.

Imports nothing heavy but what the user's own module does. Neighbours: recipe/blocks/algorithm.py (the presets),
training/kinds/grpo.py (whose check this is).
"""

from collections.abc import Iterator, Mapping

from alignment.core.errors import RecipeError
from alignment.recipe.blocks.algorithm import ADVANTAGES, PROCESS_ADVANTAGES, AlgorithmFields
from alignment.recipe.blocks.engine import engine_kind
from alignment.recipe.blocks.sampling import Rollout
from alignment.recipe.issue import Issue, Place
from alignment.recipe.own.function import named_function


def check_algorithm(chosen: AlgorithmFields, rollout: Rollout, place: Place) -> Iterator[Issue]:
    """Functions an algorithm names can be imported and called, and importance weights compare like with like.

    place: where the algorithm stands in the recipe.
    """
    if chosen.advantages not in (*ADVANTAGES, *PROCESS_ADVANTAGES):
        yield from _callable((*place, "advantages"), chosen.advantages, ("rewards_NG", "mask_NGT"))
    if chosen.loss is not None:
        yield from _callable((*place, "loss"), chosen.loss, ("tokens", "algorithm"))
    if chosen.aggregation == "normalise_then_sum" and chosen.advantages != "group_normalised":
        told = f"normalises each reward within its group, and `advantages: {chosen.advantages}` of the sum would not be used; leave one of them out"
        yield Issue((*place, "aggregation"), told)
    if chosen.importance_cap is not None and (rollout.temperature, rollout.top_p, rollout.top_k) != (1, 1, 0):
        yield Issue(
            (*place, "importance_cap"),
            "compares the trainer's probabilities with the engine's, which are of the whole distribution at temperature "
            "1: write temperature 1, top_p 1 and top_k 0 under `rollout`, or leave importance_cap out",
        )


def check_staleness(chosen: AlgorithmFields, rollout: Rollout, place: Place) -> Iterator[Issue]:
    """Completions of older weights come from an engine beside the trainer, and the loss corrects for them.

    place: where the stage stands in the recipe.
    """
    if not rollout.max_staleness:
        return
    here: Place = (*place, "rollout", "max_staleness")
    if not engine_kind(rollout.engine.type).has_workers:
        yield Issue(
            here, f"engine {rollout.engine.type} samples in the trainer's process; write type vllm_server, or 0"
        )
    if chosen.importance_cap is None:
        told = "weights that are a step older sample from another policy; write `importance_cap: 2` under `algorithm`, or 0"
        yield Issue(here, told)
    if chosen.iterations > 1:
        told = f"algorithm.iterations {chosen.iterations} trains on rows that would be older still; write 1 there, or 0 here"
        yield Issue(here, told)


def check_interrupted_adapter(rollout: Rollout, *, trains_adapter: bool, place: Place) -> Iterator[Issue]:
    """Completions that go on over changes of weights are of whole weights: vLLM 0.31 cannot score and sample through an adapter
    at the same time.

    place: where the stage stands in the recipe.
    """
    way = getattr(rollout.engine, "weight_transfer", None)
    if trains_adapter and rollout.max_staleness > 1 and way in ("auto", "lora"):
        told = f"sends an adapter alone, which cannot change while completions go on (max_staleness {rollout.max_staleness}); write shm, tcp, or max_staleness 1"
        yield Issue((*place, "rollout", "engine", "weight_transfer"), told)


def check_order(rollout: Rollout, trainer: Mapping[str, object], place: Place) -> Iterator[Issue]:
    """What decides which problems a step asks for has an effect.

    trainer: the stage's keys for TRL. place: where the stage stands in the recipe.
    """
    order = rollout.order
    if order.by == "epoch" and "explore" in order.model_fields_set:
        told = "is the fraction that `by: reward_variance` and `task_variance` do not draw by variance; write one of them, or leave it out"
        yield Issue((*place, "rollout", "order", "explore"), told)
    if order.by != "epoch" and "shuffle_dataset" in trainer:
        told = f"changes nothing: `rollout.order` is by {order.by}; leave one of them out"
        yield Issue((*place, "trainer", "shuffle_dataset"), told)


def _callable(place: Place, name: str, parameters: tuple[str, ...]) -> Iterator[Issue]:
    try:
        named_function(name, parameters)
    except RecipeError as error:
        yield Issue(place, str(error))
