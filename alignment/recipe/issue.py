"""Issue: one error in a recipe, with its place, what was found, and what to write instead.

Neighbours: recipe/reading/explain.py (pydantic's errors as issues), recipe/reading/load.py (finds the line of a place),
checks/ (all other issues).
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Issue:
    """One error in a recipe: the path of keys and indices to it, and what was found and what to write instead."""

    place: Place
    message: str


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean X?` if one name is close, else the list of known names."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else f"write one of: {', '.join(names) or 'nothing is allowed here'}"
