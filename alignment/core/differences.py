"""Compares two recorded identities field by field, for the error that says why a stage is not reused.

Neighbours: run/plan.py (compares a stage with its manifest), evaluation/ (compares a recorded evaluation).
"""

from collections.abc import Iterator, Mapping
from typing import Any


def differences(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Yield each field in which two identities differ, as `path: old → new`.

    Args:
        old, new: JSON values: objects are compared key by key, lists of equal length item by item.
        place: the dotted path of these values, to stand before the names inside them.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from differences(old.get(key), new.get(key), f"{place}.{key}" if place else key)
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{place}[{index}]")
    elif old != new:
        yield f"{place}: {_short(old)} → {_short(new)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
