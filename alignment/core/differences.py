"""What differs between two recorded identities, field by field, as a person reads it."""

from collections.abc import Iterator
from typing import Any


def differences(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Each field in which two identities differ, as `path: old → new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from differences(old.get(key), new.get(key), f"{place}.{key}" if place else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{place}[{index}]")
    elif old != new:
        yield f"{place}: {_short(old)} → {_short(new)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
