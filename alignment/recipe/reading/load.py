"""Loads a Recipe from a YAML file and `--set` overrides, with file, line and path of every error.

Neighbours: recipe/schema.py (the fields), explain.py (its errors in words), checks/ (errors that need more than the
document).
"""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from alignment.core.errors import RecipeError
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.own.code import short_name, with_own_code
from alignment.recipe.own.paths import with_own_paths
from alignment.recipe.reading.explain import beside_the_point, explain
from alignment.recipe.schema import Recipe

_YAML = "tag:yaml.org,2002:"


class Document:
    """A recipe file as values with line numbers, and overrides applied.

    Raises RecipeError at construction if the file is missing or is not YAML.
    """

    def __init__(self, path: Path, overrides: list[str] | None = None) -> None:
        self.path = path
        self._lines: dict[Place, int] = {(): 1}
        self._overridden: dict[Place, str] = {}
        self._duplicates: list[Issue] = []
        self._open: set[int] = set()  # nodes being read, to find one that contains itself
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path}: cannot be read as text ({error})") from error
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            self.values: Any = {} if root is None else self._value(root, ())
        except yaml.YAMLError as error:
            raise RecipeError(f"{path}:{_yaml_fault(error, text)}") from error
        if not isinstance(self.values, dict):
            raise RecipeError(
                f"{path}:1: a recipe is a mapping with name, model and stages; found {_kind(self.values)}"
            )
        refused = []
        for override in overrides or []:
            try:
                self._override(override)
            except RecipeError as error:
                refused.append(str(error))
        if refused:
            raise RecipeError("\n".join(refused))
        with_own_paths(self.values, path.parent)
        with_own_code(self.values, path.parent)

    def _value(self, node: yaml.Node, place: Place) -> Any:
        self._lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            try:
                return yaml.SafeLoader("").construct_object(node)
            except ValueError as error:  # a scalar that looks like a date or carries a tag, and is not one
                raise _refusal(node, str(error)) from error
        if id(node) in self._open:
            raise _refusal(node, "this part contains itself")
        if node.tag not in (_YAML + "map", _YAML + "seq"):
            raise _refusal(node, f"the tag {node.tag} is not allowed in a recipe")
        self._open.add(id(node))
        found = self._mapping(node, place) if isinstance(node, yaml.MappingNode) else self._items(node, place)
        self._open.discard(id(node))
        return found

    def _items(self, node: yaml.Node, place: Place) -> list[Any]:
        return [self._value(item, (*place, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        """A mapping; what it merges (`<<: *name`) comes first, so that its own keys win, and their lines too."""
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _YAML + "merge":
                sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for source in reversed(sources):
                    if not isinstance(source, yaml.MappingNode):
                        raise _refusal(source, "`<<` merges a mapping or a list of mappings")
                    mapping |= self._value(source, place)
        own: dict[str, int] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _YAML + "merge":
                continue
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in own:
                message = f"`{key}` is twice in the same mapping, first in line {own[key]}; write it once"
                self._duplicates.append(Issue((*place, key), message))
            own[key] = line
            self._forget((*place, key))
            self._lines[(*place, key)] = line
            mapping[key] = self._value(value_node, (*place, key))
        return mapping

    def _forget(self, place: Place) -> None:
        """Drop the line numbers of a value that is replaced."""
        self._lines = {known: line for known, line in self._lines.items() if known[: len(place)] != place}

    def _override(self, text: str) -> None:
        name, equals, raw = text.partition("=")
        if not equals or not name:
            raise RecipeError(f"--set {text}: write it as path.by.name=value")
        try:
            value = yaml.safe_load(raw)
        except (yaml.YAMLError, ValueError) as error:
            raise RecipeError(f"--set {text}: the value is not valid YAML; put text in quotes") from error
        place: Place = ()
        target = self.values
        parts = name.split(".")
        for depth, part in enumerate(parts):
            key: str | int = part
            if isinstance(target, list):
                index = _find_named(target, part)
                if index is None:
                    hint = nearest(part, _names(target)) if target else "it is empty"
                    raise RecipeError(f"--set {text}: `{part}` is not in {'.'.join(parts[:depth])}; {hint}")
                key = index
            elif not isinstance(target, dict):
                raise RecipeError(f"--set {text}: {'.'.join(parts[:depth])} is {_kind(target)} and has no parts")
            place = (*place, key)
            if depth == len(parts) - 1:
                target[key] = value
            elif key not in target and isinstance(target, dict):
                target[key] = {}
                self._overridden[place] = text
            target = target[key]
        self._forget(place)
        self._overridden[place] = text

    def recipe(self) -> tuple[Recipe | None, list[Issue]]:
        """The recipe, or None if it is invalid, and every issue that the schema finds."""
        try:
            recipe = Recipe.model_validate(self.values)
        except ValidationError as error:
            details = [detail for detail in error.errors(include_url=False) if not beside_the_point(detail)]
            return None, self._duplicates + [explain(detail, self.values) for detail in details]
        return recipe, list(self._duplicates)

    def locate(self, place: Place) -> str:
        """`file:line` of a place, or the override that set it."""
        nearest_written = self._written(place)
        if nearest_written in self._overridden:
            return f"--set {self._overridden[nearest_written]}"
        return f"{self.path}:{self._lines[nearest_written]}"

    def in_order(self, issues: list[Issue]) -> list[Issue]:
        """Sort issues by their line in the file; those from overrides come last."""
        last = max(self._lines.values()) + 1
        return sorted(issues, key=lambda issue: self._lines.get(self._written(issue.place), last))

    def _written(self, place: Place) -> Place:
        """The place, or the nearest enclosing one that was written in the file or by an override."""
        while place and place not in self._overridden and place not in self._lines:
            place = place[:-1]
        return place

    def describe(self, issue: Issue) -> str:
        """`file:line: path: message`, with list items by name."""
        return f"{self.locate(issue.place)}: {self._path(issue.place)}: {issue.message}"

    def _path(self, place: Place) -> str:
        target, parts = self.values, []
        for key in place:
            try:
                target = target[key]
            except (KeyError, IndexError, TypeError):
                target = None
            name = target.get("name", target.get("kind")) if isinstance(key, int) and isinstance(target, dict) else None
            parts.append(str(name if name is not None else key))
        return ".".join(parts) or "the recipe"


def _yaml_fault(error: yaml.YAMLError, text: str) -> str:
    """`line: what is wrong` of a file that is not YAML."""
    says = "this is not valid YAML:"
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"{line}: {says} the character {text[error.position]!r} is not allowed"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"1: {says} {error}"
    line, opened = error.problem_mark.line + 1, error.context_mark.line + 1 if error.context_mark else 1
    if str(error.context).startswith("while parsing a flow") and opened != line:
        return f"{opened}: {says} the bracket opened here is not closed: {error.problem} in line {line}"
    hint = "; indent with spaces, not with tabs" if "'\\t'" in str(error.problem) else ""
    return f"{line}: {says} {error.problem}{hint}"


def _refusal(node: yaml.Node, problem: str) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _find_named(items: list[Any], name: str) -> int | None:
    for index, item in enumerate(items):
        if isinstance(item, dict) and name in [*(item.get(key) for key in _NAMING), short_name(item.get("kind"))]:
            return index
    return int(name) if name.isdecimal() and int(name) < len(items) else None


def _names(items: list[Any]) -> list[str]:
    """The names of list items in `--set`: by name, kind, source or stage, else by index."""
    found = []
    for index, item in enumerate(items):
        names = [item[key] for key in _NAMING if item.get(key) is not None] if isinstance(item, dict) else []
        found.append(str(names[0] if names else index))
    return found


_NAMING = ("name", "kind", "source", "stage")


def _kind(value: Any) -> str:
    return {dict: "a mapping", list: "a list", str: "text", type(None): "nothing"}.get(type(value), "a number")
