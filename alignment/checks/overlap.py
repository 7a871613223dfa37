"""Check that no stage trains on the problems that the evaluations measure with: by what the rows say, not by file names.

Only local files are compared; procedural sources are kept apart by their splits (splits.py). Neighbours: recipe.py (runs
the checks), data.py (sources that are reserved for evaluation by name).
"""

from collections.abc import Iterator
from pathlib import Path

from alignment.core.errors import DataError
from alignment.data.generators.families import problem_key
from alignment.data.parts import placed_parts
from alignment.data.sources import (
    Table,
    has_messages,
    has_pairs,
    is_source,
    local_path,
    source_conversations,
    source_of,
    source_pairs,
    source_problems,
)
from alignment.recipe.data import MixturePart
from alignment.recipe.issue import Issue
from alignment.recipe.schema import Recipe

MAX_FRACTION = 0.01  # of a task's problems that may stand in training rows by chance, such as a common question


def trained_on_the_test(recipe: Recipe) -> Iterator[Issue]:
    """No training file holds more than a trace of the problems of an evaluation file."""
    tasks = {
        name: keys for name in recipe.evaluations.after_each_stage if (keys := _keys(recipe, MixturePart(source=name)))
    }
    if not tasks:
        return
    for index, _ in enumerate(recipe.stages):
        for place, part in placed_parts(recipe, index):
            trained = _keys(recipe, part) if part.source is not None else frozenset()
            for task, keys in tasks.items():
                common = trained & keys
                if len(common) > MAX_FRACTION * len(keys):
                    yield Issue(
                        place,
                        f"{len(common)} of the {len(keys)} problems of the task `{task}` are among the rows of "
                        f"`{part.source}`, so the evaluation would measure memory; remove them from the training file, or "
                        "measure on another",
                    )


def _keys(recipe: Recipe, part: MixturePart) -> frozenset[str]:
    """Hashes of the questions of a local table; empty for any other source, and for one that cannot be read."""
    source = source_of(part) if is_source(part.source) else None
    if not isinstance(source, Table):
        return frozenset()
    override = recipe.data.sources.get(str(part.source))
    path = local_path(source, override.path if override else None)
    if path is None or not path.exists():
        return frozenset()
    try:
        return frozenset(problem_key(question) for question in _questions(source, path))
    except DataError:
        return frozenset()  # the checks of references and of conversations say what is wrong with the rows


def _questions(source: Table, path: Path) -> Iterator[str]:
    """The text of each row's user turns, without the source's own instruction."""
    if not has_messages(source) and not has_pairs(source):
        for problem in source_problems(source, seed=None, parameters={}, path=path, left_out=[]):
            yield problem.question.removesuffix(source.instruction)
        return
    if has_pairs(source):
        asked = [pair.prompt for pair in source_pairs(source, seed=None, path=path, left_out=[])]
    else:
        asked = [row.messages for row in source_conversations(source, seed=None, path=path, left_out=[])]
    for messages in asked:
        yield "\n".join(str(turn.get("content")) for turn in messages if turn.get("role") == "user")
