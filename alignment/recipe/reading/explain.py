"""Rewrites pydantic's errors as issues: what was found in the recipe, and what to write instead.

Neighbours: recipe/issue.py (Issue), load.py (finds the line of an issue), recipe/schema.py (the fields).
"""

import re
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from alignment.recipe.blocks.algorithm import ALGORITHM_NAMES, ALGORITHMS
from alignment.recipe.blocks.engine import EngineOptions, find_engine
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.kinds import find_kind
from alignment.recipe.reading.renamed import renamed
from alignment.recipe.schema import Recipe


def explain(detail: Any, document: Any) -> Issue:
    """One pydantic error as an issue.

    Args:
        detail: an item of `ValidationError.errors()`.
        document: the values of the recipe, from which the kind of a stage is read.
    """
    kind, found, message = detail["type"], detail.get("input"), detail["msg"]
    place, model = _walk(detail["loc"], document, ends_in_key=kind in ("extra_forbidden", "missing"))
    if kind == "extra_forbidden":
        key, fields = str(place[-1]), sorted(model.model_fields) if model else []
        return Issue(place, (model and renamed(key, model)) or f"unknown key; {nearest(key, fields)}")
    if kind == "missing":
        field = model.model_fields.get(str(place[-1])) if model else None
        return Issue(place, f"is missing: {field.description if field else 'it is required'}")
    if kind == "stage_kind":
        return Issue((*place, "kind"), message)
    if kind == "union_tag_invalid" and place[-1] == "algorithm":
        given = str(detail["ctx"]["tag"])
        return Issue(place, f"there is no algorithm {given!r}; {nearest(given, ALGORITHM_NAMES)}")
    if kind == "union_tag_not_found" and place[-1] == "algorithm":
        return Issue(place, f"has no `type`; write one of: {', '.join(ALGORITHM_NAMES)}")

    if kind == "engine_type":
        return Issue((*place, "type") if isinstance(found, dict) else place, message)
    if kind == "value_error":
        return Issue(place, message.removeprefix("Value error, "))
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", message)
        return Issue(place, f"found {_show(found)}; {nearest(str(found), allowed)}")
    if kind == "string_pattern_mismatch":
        fitting = re.sub(r"[^a-z0-9_]+", "_", str(found).lower()).strip("_")
        return Issue(
            place,
            f"found {_show(found)}: a name has only lower-case letters, digits and _; write `{fitting or 'a_name'}`",
        )
    return Issue(place, f"found {_show(found)}{_NEEDED.get(kind, f': {message[0].lower()}{message[1:]}')}")


_NEEDED = {
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), ", and a mapping is needed: `key: value`"),
    "list_type": ", and a list is needed: write `- ` before each item, or [one, two]",
    "string_type": ", and text is needed; put a number or a date in quotes",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), ", and a whole number is needed"),
    **dict.fromkeys(("float_type", "float_parsing"), ", and a number is needed"),
    **dict.fromkeys(("bool_type", "bool_parsing"), ", and true or false is needed"),
}


def beside_the_point(detail: Any) -> bool:
    """Whether an error is about the branch of a `text or list` union that the user did not write."""
    branch, found = str(detail["loc"][-1]), detail.get("input")
    if branch == "str" and detail["type"] == "string_type":
        return isinstance(found, (list, dict))
    return branch.startswith("list[") and detail["type"] == "list_type" and not isinstance(found, dict)


def _walk(location: Place, document: Any, *, ends_in_key: bool) -> tuple[Place, type[BaseModel] | None]:
    """Remove pydantic's union markers from a location, and find the model that has its last key."""
    place: list[str | int] = []
    model: type[BaseModel] | None = Recipe
    holder, names_an_entry = model, False
    for number, key in enumerate(location, 1):
        written = ends_in_key and number == len(location)
        if place[-1:] == ["algorithm"] and key in ALGORITHM_NAMES and not written:
            model = holder = ALGORITHMS[ALGORITHM_NAMES.index(str(key))]
            continue
        if isinstance(key, str) and not written and (key in ("str", "[key]") or key.startswith("list[")):
            continue
        place.append(key)
        holder = model
        if names_an_entry or isinstance(key, int):  # inside a mapping or list, the model stays the same
            names_an_entry = False
        elif model is not None:
            field = model.model_fields.get(key)
            model = _model_inside(field.annotation) if field else None
            names_an_entry = field is not None and get_origin(field.annotation) is dict
        if len(place) == 2 and place[0] == "stages":
            model = _stage_model(document, place[1])
        if model is EngineOptions:
            model = _engine_model(document, place)
    return tuple(place), holder


def _stage_model(document: Any, index: str | int) -> type[BaseModel] | None:
    """The fields of the kind of a stage in the document."""
    stage = document["stages"][index]
    kind = find_kind(str(stage.get("kind"))) if isinstance(stage, dict) else None
    return None if kind is None else kind.fields


def _engine_model(document: Any, place: list[str | int]) -> type[BaseModel]:
    """The block of the engine that the document names at a place."""
    for key in place:
        document = document[key]
    kind = find_engine(str(document.get("type", "auto"))) if isinstance(document, dict) else None
    return EngineOptions if kind is None else kind.options


def _model_inside(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [_model_inside(argument) for argument in get_args(annotation)]
    return next((model for model in found if model is not None), None)


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
