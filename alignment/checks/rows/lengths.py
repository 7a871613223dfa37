"""Checks that sequences fit into the model's context, if its config can be read here.

An engine refuses longer sequences hours later, and training would use positions that the model has never seen. A hub
model's context is not known before it is downloaded. Neighbours: ../model/files.py (whether the model can be loaded),
../plan.py (how much memory it needs).
"""

from collections.abc import Iterator

from alignment.checks.model.folder import ModelFolder
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.recipe.blocks.sampling import Sampling
from alignment.recipe.issue import Issue, Place
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import max_length_of, rollout_of


def sequence_lengths(recipe: Recipe) -> Iterator[Issue]:
    """No stage or evaluation has sequences longer than the model's context."""
    limit = ModelFolder.of(recipe.model).positions
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
