r"""Splits problems by a hash of their text, so that no stage sees another stage's or the evaluation's problems.

Seeds alone do not keep small problems apart: two seeds both draw `2 + 3`. The hash is of the problem's own text,
without a source's instruction ("... in \boxed{}"), so two sources have the same problem in the same split. Neighbour:
rows.py.
"""

from collections.abc import Collection, Iterable, Iterator

from alignment.core.vocabulary import SPLITS, Split
from alignment.data.generators.families import problem_key
from alignment.data.rows import Problem


def split_of(text: str) -> Split:
    """The split of a problem's text, by its hash; all splits have the same size."""
    return SPLITS[int(problem_key(text), 16) % len(SPLITS)]


def only(splits: Collection[Split], problems: Iterable[Problem]) -> Iterator[Problem]:
    """Filter problems by split, in order. Questions must be bare, without a source's instruction."""
    return (problem for problem in problems if split_of(problem.text) in splits)
