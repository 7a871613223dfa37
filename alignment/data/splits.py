r"""Which part of the problem space a data set may draw from, so that training can never meet a held-out problem.

Seeds alone do not keep small problems apart: two seeds both meet `2 + 3`. So every problem belongs, by a hash of its
text, to exactly one split, whatever seed or stage it came from. The text is the bare problem's: two sources that ask
the same in other words ("... in \boxed{}") have it in the same split. Neighbour: sources.py, which draws by it.
"""

from collections.abc import Collection, Iterable, Iterator

from alignment.core.vocabulary import SPLITS, Split
from alignment.data.generators.families import problem_key
from alignment.data.rows import Problem


def split_of(text: str) -> Split:
    """The split that a problem belongs to by its text; each takes an equal part of the hash space."""
    return SPLITS[int(problem_key(text), 16) % len(SPLITS)]


def only(splits: Collection[Split], problems: Iterable[Problem]) -> Iterator[Problem]:
    """The problems of some splits, in their order. Their questions have to be bare, without a source's instruction."""
    return (problem for problem in problems if split_of(problem.text) in splits)
