"""An environment of the user's own by name: `maze.py:Maze` beside the recipe, a class with `reset` and `step`.

The class is one rollout's; its constructor's parameters are the options that a recipe may write. `score` and `release` are
its to have or not (protocol.py). A class of TRL's shape (trl.py), one with `new` and `close`, or an EnvironmentKind stands in the
same place. Neighbours: registry.py (asks for it), own_faults.py, rewards/own/loading.py (finds and imports the code).
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, get_type_hints

from pydantic import create_model
from pydantic.errors import PydanticUserError

from alignment.core.errors import RecipeError
from alignment.data.rows import Message, Problem
from alignment.rollout.environments.own_faults import guarded
from alignment.rollout.environments.protocol import (
    Environment,
    EnvironmentKind,
    EnvironmentOptions,
    HoldingEnvironment,
    Opening,
    ScoringEnvironment,
)
from alignment.rollout.environments.trl import TrlEnvironments, is_trl_shape
from rewards.own.loading import OwnCodeError, load, own_name

FORM = "write a class with `reset(problem)` and `step(turn)`, or one of TRL's shape, whose other methods are tools (docs/environments.md)"


def own_environment(name: str) -> EnvironmentKind:
    """The kind that a name of one's own stands for. Raises RecipeError for code that cannot be used."""
    short = own_name(name).short
    try:
        found = load(name)
    except OwnCodeError as error:
        raise RecipeError(f"the environment cannot be used: {error}") from error
    if isinstance(found, EnvironmentKind):
        return found
    if is_trl_shape(found):
        return EnvironmentKind(
            name, _options_of(found, short), lambda options: TrlEnvironments(name, found, **dict(options))
        )
    if not isinstance(found, type):
        raise RecipeError(f"the environment {short} is a {type(found).__name__}; {FORM}")
    shared = [method for method in ("new", "close") if callable(getattr(found, method, None))]
    single = [method for method in ("reset", "step") if callable(getattr(found, method, None))]
    if len(single) < 2 and len(shared) < 2:
        raise RecipeError(f"the environment {short} has no {'`step`' if 'reset' in single else '`reset`'}; {FORM}")
    make = found if len(shared) == 2 else partial(OfOneClass, name, found)
    return EnvironmentKind(name, _options_of(found, short), lambda options: make(**dict(options)))


class OfOneClass:
    """Makes one instance of the user's class for each rollout."""

    def __init__(self, name: str, made_of: Callable[..., Any], /, **options: Any) -> None:
        self._name, self._made_of, self._options = name, made_of, options

    def new(self) -> Environment:
        """A fresh environment for one rollout."""
        return Guarded(self._name, partial(self._made_of, **self._options))

    def close(self) -> None:
        """Nothing that is shared."""


class Guarded:
    """One rollout's environment, whose faults are named and whose answers are looked at."""

    def __init__(self, name: str, make: Callable[[], Any]) -> None:
        self._name = name
        self._environment = guarded(name, "its constructor", make)

    def reset(self, problem: Problem) -> Opening:
        """The opening; a list of messages by itself offers the problem's own tools. Raises RecipeError."""
        opening = guarded(self._name, "reset", lambda: self._environment.reset(problem))
        if isinstance(opening, list):
            opening = Opening(opening, problem.tools)
        if not isinstance(opening, Opening) or not opening.messages or not _are_messages(opening.messages):
            raise RecipeError(
                f"{self._short}: reset returned {_shown(opening)}; it has to return an Opening(messages, tools), or a list of "
                'messages, [{"role": "user", "content": ...}]'
            )
        return opening

    def step(self, turn: Message) -> list[Message]:
        """What is said after a turn. Raises RecipeError for a fault of the code, or for what is no list of messages."""
        said = guarded(self._name, "step", lambda: self._environment.step(turn))
        if not isinstance(said, list) or not _are_messages(said):
            raise RecipeError(
                f"{self._short}: step returned {_shown(said)}; it has to return a list of messages, which is empty where the "
                "rollout is done"
            )
        return said

    def score(self) -> float | None:
        """What its own `score` returns; None without one. Raises RecipeError."""
        if not isinstance(self._environment, ScoringEnvironment):
            return None
        given = guarded(self._name, "score", self._environment.score)
        if given is not None and (isinstance(given, bool) or not isinstance(given, (int, float))):
            raise RecipeError(f"{self._short}: score returned {_shown(given)}; it has to return a number or None")
        return given

    def release(self) -> None:
        """Let it go."""
        if isinstance(self._environment, HoldingEnvironment):
            guarded(self._name, "release", self._environment.release)

    @property
    def _short(self) -> str:
        return own_name(self._name).short


def _options_of(found: Callable[..., Any], short: str) -> type[EnvironmentOptions]:
    """A model of the parameters of a class's constructor."""
    start = vars(found).get("__init__") if isinstance(found, type) else found
    if start is None:
        return create_model("OwnOptions", __base__=EnvironmentOptions)
    try:
        hints = get_type_hints(start)
    except (NameError, TypeError):
        hints = {}
    fields: dict[str, Any] = {}
    for parameter in list(inspect.signature(start).parameters.values())[isinstance(found, type) :]:
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints.get(parameter.name, Any), default)
    try:
        return create_model("OwnOptions", __base__=EnvironmentOptions, **fields)
    except (PydanticUserError, TypeError) as error:
        raise RecipeError(
            f"the environment {short}: its constructor's parameters cannot be options ({error})"
        ) from error


def _are_messages(said: list[Any]) -> bool:
    return all(isinstance(one, dict) and isinstance(one.get("role"), str) for one in said)


def _shown(value: Any) -> str:
    return f"a {type(value).__name__} ({repr(value)[:80]})"
