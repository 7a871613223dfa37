"""One thing that cannot work about a recipe: where it stands, what was found, and what to write instead.

Neighbours: explain.py (pydantic's errors as issues), load.py (finds the line of a place), checks/ (finds the rest).
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Issue:
    """One thing that cannot work: where in the document, what was found, and what to write instead."""

    place: Place
    message: str


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean X?` where one is close, else the list of what there is."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else f"write one of: {', '.join(names) or 'nothing is allowed here'}"
