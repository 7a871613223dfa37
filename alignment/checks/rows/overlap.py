"""Check that no stage trains on the problems that the evaluations measure with: by what the rows say, not by file names.

Only local files are compared; procedural sources are kept apart by their splits (splits.py). Neighbours: ../recipe.py
(runs the checks), recipe/blocks/data.py (sources that are reserved for evaluation by name).
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from alignment.core.errors import DataError
from alignment.data.generators.families import problem_key
from alignment.data.parts import local_table, placed_parts
from alignment.data.rows import Preference, Problem
from alignment.data.sources.declared import Table
from alignment.data.sources.rows import table_places
from alignment.data.tables.files import last_change
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.issue import Issue
from alignment.recipe.schema import Recipe

_BESIDE_SIGNS = re.compile(r" ?([^\w ]) ?")
_FORMULA = re.compile(r"\$|\\[()\[\]]")  # the marks around a formula
_LABEL = re.compile(r"^(question|problem|q|task|user|human|input) ?:", re.IGNORECASE)
_LINES = 2  # at either end of a question that may be a prompt's own words, such as `Think step by step.`
MAX_FRACTION = 0.01  # of a task's problems that may stand in training rows by chance, such as a common question


def trained_on_the_test(recipe: Recipe) -> Iterator[Issue]:
    """No training file holds more than a trace of the problems of an evaluation file."""
    tasks = {
        name: keys
        for name in recipe.evaluations.after_each_stage
        if (keys := question_keys(recipe, MixturePart(source=name)))
    }
    if not tasks:
        return
    for index, _ in enumerate(recipe.stages):
        for place, part in placed_parts(recipe, index):
            trained = question_keys(recipe, part, worded=True) if part.source is not None else frozenset()
            for task, keys in tasks.items():
                common = trained & keys
                if len(common) > MAX_FRACTION * len(keys):
                    yield Issue(
                        place,
                        f"{len(common)} of the {len(keys)} problems of the task `{task}` are among the rows of "
                        f"`{part.source}`, so the evaluation would measure memory; remove them from the training file, or "
                        "measure on another",
                    )


def question_keys(recipe: Recipe, part: MixturePart, *, worded: bool = False) -> frozenset[str]:
    """Hashes of the questions of a local table; empty for any other source, and for one that cannot be read.

    worded: also of each question without the lines at its ends, which may be a prompt's own words around a test's question.
    """
    found = local_table(recipe, part)
    if found is None:
        return frozenset()
    source, path = found
    return _keys(source.model_dump_json(), path, last_change(path), worded)


@lru_cache(maxsize=64)
def _keys(declaration: str, path: Path, changed: int, worded: bool) -> frozenset[str]:
    """A table is read once, however many stages train on it. changed: when it was written, in nanoseconds."""
    source = Table.model_validate_json(declaration)
    try:
        asked = _questions(source, path)
        return frozenset(asked_key(text) for one in asked for text in (_without_words(one) if worded else (one,)))
    except DataError:
        return frozenset()  # the checks of references and of conversations say what is wrong with the rows


def asked_key(question: str) -> str:
    """A hash of what a question asks: without case, white space beside signs, marks of formulas, the last mark, and in one form of each character."""
    text = _FORMULA.sub("", unicodedata.normalize("NFKC", question)).casefold()
    return problem_key(_BESIDE_SIGNS.sub(r"\1", " ".join(text.split())).rstrip(" .?!:;,"))


def _without_words(question: str) -> Iterator[str]:
    """A question, and what is left of it without a few lines at its ends and the label before it."""
    lines = [line for line in question.splitlines() if line.strip()]
    for first in range(min(_LINES + 1, len(lines))):
        for last in range(len(lines), max(first, len(lines) - _LINES - 1), -1):
            text = "\n".join(lines[first:last]).strip()
            yield text
            if _LABEL.match(text):
                yield _LABEL.sub("", text, count=1)


def _questions(source: Table, path: Path) -> Iterator[str]:
    """The text of each user turn of each row and of all together, without the source's own instruction."""
    for _, row in table_places(source, path):
        if isinstance(row, Problem):
            yield row.question.removesuffix(source.instruction)
        elif not isinstance(row, DataError):
            asked = row.prompt if isinstance(row, Preference) else row.messages
            turns = [str(turn.get("content")) for turn in asked if turn.get("role") == "user"]
            yield from dict.fromkeys((*turns, "\n".join(turns)))
