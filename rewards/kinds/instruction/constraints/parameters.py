"""The types that a constraint's parameters may have, and why a row's values cannot be used.

A constraint's check is a function of a text and keyword-only parameters of these types; its signature is the schema. Values
come from data sets, which spell a parameter that an instruction does not have as None.
"""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NewType, get_args, get_type_hints

from rewards.detection import LANGUAGES

Relation = Literal["less than", "at least"]
Count = NewType("Count", int)
Words = NewType("Words", list[str])
Phrase = NewType("Phrase", str)
Character = NewType("Character", str)
Language = NewType("Language", str)

Demand = Literal["planning", "precision"]  # explained in the docstring of this package
DEMANDS: tuple[Demand, ...] = get_args(Demand)
Check = Callable[..., bool]  # (text, *, its parameters) -> whether the text follows it


@dataclass(frozen=True)
class Constraint:
    """One type of constraint: how a text is checked, and what following it demands of whoever writes the text."""

    check: Check
    demand: Demand


def holds(count: int, relation: Relation, bound: int) -> bool:
    """Whether a count stands in a relation to a bound."""
    return count < bound if relation == "less than" else count >= bound


def _is_phrase(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_words(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and bool(value) and all(map(_is_phrase, value))


# What a value has to be, in words, and whether it is.
_TYPES: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    Relation: ("'less than' or 'at least'", lambda value: value in ("less than", "at least")),
    Count: ("a whole number from 0", lambda value: type(value) is int and value >= 0),
    Words: ("a list of words", _is_words),
    Phrase: ("words", _is_phrase),
    Character: ("one character", lambda value: _is_phrase(value) and len(value) == 1),
    Language: (f"one of the codes {' '.join(sorted(LANGUAGES))}", lambda value: value in LANGUAGES),
}


@cache
def parameters_of(check: Check) -> Mapping[str, Any]:
    """A constraint's parameters and their types, in order."""
    hints = get_type_hints(check)
    signature = inspect.signature(check).parameters
    return {name: hints[name] for name, one in signature.items() if one.kind is one.KEYWORD_ONLY}


def given(kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """A row's values as they were before a table held them: without None and NaN, whole floats as whole numbers."""
    values = {name: _counted(name, _plain(value)) for name, value in (kwargs or {}).items()}
    return {name: value for name, value in values.items() if value is not None and value == value}


def _counted(name: str, value: Any) -> Any:
    """A number that a data set holds as text, such as `num_words: "5"`, as a number."""
    is_count = name.startswith("num_") or name in ("nth_paragraph", "frequency", "let_frequency", "capital_frequency")
    return int(value) if is_count and isinstance(value, str) and value.isdecimal() and len(value) < 10 else value


def _plain(value: Any) -> Any:
    """A value without its numpy type; 5.0 as 5, which is what a table makes of a column with missing values."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return int(value) if isinstance(value, float) and value.is_integer() else value


def listed(value: Any) -> Any:
    """A column that holds a list, given as JSON text or as an array too; anything else as it is."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except ValueError:
            return value
    if isinstance(value, list) and any(isinstance(one, str) and one.lstrip()[:1] == "{" for one in value):
        return [listed(one) if isinstance(one, str) else one for one in value]
    return value


def parameter_fault(constraint: Constraint, kwargs: Any) -> str | None:
    """Why a constraint cannot be judged with these values, or None when it can."""
    if kwargs is not None and not isinstance(kwargs, Mapping):
        return f"its kwargs are {kwargs!r}, and have to be a mapping"
    values, known = given(kwargs), parameters_of(constraint.check)
    for name, kind in known.items():
        wanted, fits = _TYPES[kind]
        if name not in values:
            return f"it has no {name}, which is {wanted}"
        if not fits(values[name]):
            return f"its {name} is {values[name]!r}, and has to be {wanted}"
    extra = [name for name in values if name not in known]
    return f"it has no parameter {extra[0]!r}; it has: {', '.join(known) or 'none'}" if extra else None
