"""Checks that no two stages use the same split of the same problems.

Neighbours: ../recipe.py (runs the checks), data/sources/splits.py (what a split is).
"""

from collections.abc import Iterator

from alignment.data.parts import placed_parts
from alignment.data.sources.declared import Procedural
from alignment.data.sources.named import is_source, load_source
from alignment.recipe.issue import Issue
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields


def split_overlap(recipe: Recipe) -> Iterator[Issue]:
    """Stages on one procedural family use different splits, whatever their sources are called.

    The exceptions are a sample stage on the problems of an earlier sft stage, since Qwen3 samples the thinking rows of its
    fusion on the queries of its cold start; a step_labels stage on those of an earlier one, since labels train no policy; and
    stages that train policies of which none began as the other, to compare them.
    """
    users: dict[tuple[str, str], dict[str, str]] = {}  # stages and what each calls the source
    for index, stage in enumerate(recipe.stages):
        parts = list(placed_parts(recipe, index))
        own = {stage.name, *(part.stage for _, part in parts)}  # a sample stage and the stages on its rows count as one
        for place, part in parts:
            if part.source is None or part.split is None:
                continue
            before = users.setdefault((_problem_space(part.source), part.split), {})
            clashing = (one for one in before if one not in own and not _may_share(recipe, stage, one))
            if (first := next(clashing, None)) is not None:
                name = before[first]
                same = "" if name == part.source else f", as `{name}` with the same problems,"
                yield Issue(
                    (*place, "split"),
                    f"`{part.split}` of `{part.source}`{same} is already used by {first}; on problems that it was trained on, a policy "
                    "answers from memory; choose another split",
                )
            before.setdefault(stage.name, part.source)


def _may_share(recipe: Recipe, stage: StageFields, first: str) -> bool:
    return _asks_again(recipe, stage, first) or _apart(recipe, stage, first)


def _asks_again(recipe: Recipe, stage: StageFields, first: str) -> bool:
    """Whether a stage samples on problems that an earlier stage used for SFT only, or for labels of steps."""
    shown = kind_of(recipe.stage(first))
    labelled = shown.gives == ("steps",) == kind_of(stage).gives
    return labelled or (kind_of(stage).policy_writes and shown.leaves_policy and not shown.explores)


def _apart(recipe: Recipe, stage: StageFields, first: str) -> bool:
    """Whether both train a policy, and this one's has not been the earlier stage's."""
    policy = recipe.policy_before(stage.name)
    while policy is not None and policy != first:
        policy = recipe.policy_before(policy)
    return policy is None and kind_of(stage).leaves_policy and kind_of(recipe.stage(first)).leaves_policy


def _problem_space(name: str) -> str:
    """The family of a source, which other sources may use too, or the source itself."""
    source = load_source(name) if is_source(name) else None
    return f"family {source.family}" if isinstance(source, Procedural) else name
