"""Whether a model has positions for the lengths that a recipe asks for, where its config can be read here.

A prompt and a completion together, or a row to train on, that are longer than the model's positions end a stage when an
engine refuses them, or train on positions that the model has never seen. Of a hub model nothing is known before it is
fetched. Neighbours: model_files.py (whether the model can be loaded), plan.py (how much memory it takes).
"""

import json
from collections.abc import Iterator
from pathlib import Path

from alignment.core.resources import resource
from alignment.recipe.evaluation import Evaluations
from alignment.recipe.issue import Issue, Place
from alignment.recipe.sampling import Sampling
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import max_length_of, rollout_of


def sequence_lengths(recipe: Recipe) -> Iterator[Issue]:
    """No stage or evaluation asks for sequences longer than the model has positions for."""
    limit = positions(resource("data/base") if recipe.model == "embedded" else Path(recipe.model))
    if limit is None:
        return
    for index, stage in enumerate(recipe.stages):
        place: Place = ("stages", index)
        rollout, longest = rollout_of(stage), max_length_of(stage)
        if rollout is not None:
            yield from _sampled(rollout, (*place, "rollout"), limit)
        if longest is not None and longest > limit:
            message = f"found {longest}, and {_known(limit)}; write at most {limit}"
            yield Issue((*place, "max_length"), message)
    if recipe.evaluations.after_each_stage:
        yield from _sampled(recipe.evaluations, ("evaluations",), limit)


def _sampled(settings: Sampling | Evaluations, place: Place, limit: int) -> Iterator[Issue]:
    prompt, completion = settings.max_prompt_tokens, settings.max_completion_tokens
    if prompt + completion <= limit:
        return
    left = limit - completion
    advice = f"max_prompt_tokens {left} or less" if left > 0 else f"a max_completion_tokens well below {limit}"
    key = "max_prompt_tokens" if left > 0 else "max_completion_tokens"
    yield Issue(
        (*place, key),
        f"max_prompt_tokens {prompt} and max_completion_tokens {completion} are {prompt + completion} tokens, and "
        f"{_known(limit)}; write {advice}",
    )


def _known(limit: int) -> str:
    return f"the model has positions for {limit} (max_position_embeddings in its config.json)"


def positions(folder: Path) -> int | None:
    """How many positions a local model has; None where its config does not say, or is not here.

    Scaled rotary embeddings reach beyond `max_position_embeddings` where the config keeps the unscaled number there.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        text = config.get("text_config") or config  # of a model that reads images too
        rotary = text.get("rope_scaling") or text.get("rope_parameters") or {}
        own = int(text["max_position_embeddings"])
        scaled = float(rotary.get("factor") or 1) * int(rotary.get("original_max_position_embeddings") or own)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return max(own, int(scaled))
