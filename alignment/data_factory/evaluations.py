"""The problems that a recipe is measured on, as texts that training rows are compared with.

Neighbours: overlap.py (compares), evaluation/task.py (asks the same problems), checks/rows/overlap.py (the same
question in `check`, by equal questions and of local files alone).
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alignment.core.errors import DataError
from alignment.core.vocabulary import Split
from alignment.data.rows import Preference, Problem
from alignment.data.sources.declared import Procedural
from alignment.data.sources.named import load_source
from alignment.data.sources.rows import source_problems, table_places
from alignment.data_factory.overlap import TestIndex
from alignment.recipe.own.code import LM_EVAL
from alignment.recipe.schema import Recipe

HELD_OUT: tuple[Split, ...] = ("evaluation",)


@dataclass(frozen=True)
class Tests:
    """An index of evaluation problems, and the names of those evaluations that could not be read."""

    __test__ = False  # no test for pytest

    index: TestIndex
    not_read: tuple[str, ...]


def evaluation_tests(recipe: Recipe, names: Sequence[str]) -> Tests:
    """The problems of these sources; of the recipe's evaluations where none are named.

    A table gives all its rows. A procedural source gives the problems that the evaluations draw, which are found only where
    all of one is repeated: two problems of a family share its template, and are other problems by a number. Tasks of
    lm-evaluation-harness are not read. Raises DataError for a table that cannot be read.
    """
    asked = list(names) or recipe.evaluations.after_each_stage
    readable = [name for name in asked if not name.startswith(LM_EVAL)]
    made = [name for name in readable if isinstance(load_source(name), Procedural)]
    tables = [pair for name in readable if name not in made for pair in _texts(recipe, name)]
    drawn = [pair for name in made for pair in _texts(recipe, name)]
    return Tests(TestIndex.of(tables, whole=drawn), tuple(name for name in asked if name.startswith(LM_EVAL)))


def _texts(recipe: Recipe, name: str) -> Iterator[tuple[str, str]]:
    """`(name, question)` of each problem of a source, without the source's instruction."""
    source, settings = load_source(name), recipe.evaluations
    if isinstance(source, Procedural):
        drawn = source_problems(
            source,
            seed=settings.seed,
            parameters=settings.parameters.get(name, {}),
            path=None,
            splits=HELD_OUT,
        )
        for problem in itertools.islice(drawn, settings.count):
            yield problem.id, problem.question.removesuffix(source.instruction)
        return
    for place, row in table_places(source, recipe.data.path_of(name)):
        if isinstance(row, Problem):
            yield place, row.question.removesuffix(source.instruction)
        elif not isinstance(row, DataError):
            turns = row.prompt if isinstance(row, Preference) else row.messages
            asked = [str(turn.get("content") or "") for turn in turns if turn.get("role") == "user"]
            yield from ((place, text) for text in asked)
