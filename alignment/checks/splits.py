"""Whether stages draw from splits of their own, so that none meets an earlier one's problems and measures its memory.

Neighbours: check.py (runs this with the other checks), data/splits.py (what a split is).
"""

from collections.abc import Iterator

from alignment.data.parts import placed_parts
from alignment.data.sources import Procedural, load_source, source_names
from alignment.recipe.issue import Issue
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields


def split_overlap(recipe: Recipe) -> Iterator[Issue]:
    """Stages that train on a procedural family draw from splits of their own, whatever their sources are called.

    One may meet problems again: a sample stage those of an earlier sft stage, as Qwen3 samples the thinking half of its
    fusion on the queries of its cold start. What it writes is the policy's own, and is judged.
    """
    users: dict[tuple[str, str], tuple[str, str]] = {}
    for index, stage in enumerate(recipe.stages):
        parts = list(placed_parts(recipe, index))
        own = {stage.name, *(part.stage for _, part in parts)}  # a sample stage and what is trained on its rows are one
        for place, part in parts:
            if part.source is None or part.split is None:
                continue
            first, name = users.setdefault((_problem_space(part.source), part.split), (stage.name, part.source))
            if first not in own and not _asks_again(recipe, stage, first):
                same = "" if name == part.source else f", as `{name}` with the same problems,"
                yield Issue(
                    (*place, "split"),
                    f"`{part.split}` of `{part.source}`{same} is drawn from by {first} already; a stage that meets an "
                    "earlier one's problems again measures its memory; choose another split",
                )


def _asks_again(recipe: Recipe, stage: StageFields, first: str) -> bool:
    """Whether a stage lets the policy answer what an earlier one has only shown it."""
    shown = kind_of(recipe.stage(first))
    return kind_of(stage).policy_writes and shown.leaves_policy and not shown.explores


def _problem_space(name: str) -> str:
    """What a source's problems are drawn from: its family, which other sources may share, or the source itself."""
    source = load_source(name) if name in source_names() else None
    return f"family {source.family}" if isinstance(source, Procedural) else name
