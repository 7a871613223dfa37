"""Reads what a function or verifier class of one's own takes: columns, options, and completions as text or messages.

A function is called as TRL's GRPO trainer calls a reward function: `completions`, `prompts`, `completion_ids` and the
dataset's columns by keyword (trl/trainer/grpo_trainer.py, `_calculate_rewards`). Runs in a worker process (inside.py).
"""

import inspect
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Protocol, get_args, get_origin, get_type_hints, runtime_checkable

from rewards.contract import SAMPLED_COLUMNS, Rollout, Verdict
from rewards.kind import Kind
from rewards.own.loading import OwnCodeError

GIVEN = ("prompts", "completions", "completion_ids")
ALWAYS = frozenset((*SAMPLED_COLUMNS, "completion_text"))  # what every row has, from the sampling
TRAINERS = ("trainer_state", "log_extra", "log_metric", "environments")
RESERVED = (
    "kind", "name", "weight", "gate", "clip", "columns", "tasks", "timeout_seconds", "memory_mib", "workers", "whole_batch",
)  # fmt: skip
OPTION_TYPES = {one.__name__: one for one in (bool, int, float, str, list, dict)}
MESSAGE_KEYS = {"content", "role", "reasoning_content"}


@runtime_checkable
class Judges(Protocol):
    """A verifier, as a class or an instance of one: it has `judge`."""

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout."""
        ...


def describe(found: Any) -> dict[str, Any]:
    """What `description.Described` holds, as JSON. Raises OwnCodeError for what cannot be a reward."""
    if isinstance(found, Kind):
        found = found.verifier
    if isinstance(found, Judges):
        return _verifier(found)
    if isinstance(found, type) or not callable(found):
        held = f"a class without `judge`, {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
        raise OwnCodeError(
            f"it is {held}; a reward is a function with `completions` and `**kwargs`, or a class with `columns`, `judge` and `close`"
        )
    return _function(found)


def _function(found: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(found).parameters
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    written = f"`{getattr(found, '__name__', 'the function')}{inspect.signature(found)}`"
    if "completions" not in parameters and not takes_all:
        raise OwnCodeError(
            f"{written} does not take `completions`, a list with one completion for each row; write "
            "`def reward(completions, **kwargs)` and return a list of numbers"
        )
    named = {name: one for name, one in parameters.items() if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)}
    for name, one in named.items():
        if one.kind is one.POSITIONAL_ONLY:
            raise OwnCodeError(f"{written} takes `{name}` by position alone, and all is given by name; remove the `/`")
        if name in TRAINERS and one.default is one.empty:
            raise OwnCodeError(
                f"{written} needs `{name}`, which is the trainer's own and is not given here, where a reward runs in a "
                f"process of its own; write `{name}=None`, or remove it"
            )
    columns = {name: one for name, one in named.items() if name not in (*GIVEN, *TRAINERS)}
    needs = [name for name, one in columns.items() if one.default is one.empty and name not in ALWAYS]
    hints = _hints(found)
    options = dict(_options(columns, hints, written))
    reads = _reads(found, hints.get("completions"))
    return {"what": "function", "reads": reads, "needs": needs, "options": options, "line": _line(found)}


def _verifier(found: Any) -> dict[str, Any]:
    """A class with `columns`, `judge` and `close`, or an instance of one."""
    missing = [name for name in ("columns", "close") if not hasattr(found, name)]
    if missing:
        raise OwnCodeError(
            f"its class has no {', '.join(missing)}; a verifier has `columns`, `judge(rollouts)` and `close()`"
        )
    options: dict[str, Any] = {}
    if isinstance(found, type):
        start = vars(getattr(found, "Options", found)).get("__init__", object.__init__)
        parameters = {
            name: one for name, one in inspect.signature(start).parameters.items() if one.kind is one.KEYWORD_ONLY
        }
        options = dict(_options(parameters, _hints(start), f"{found.__name__}(...)"))
    needs = [name for name in found.columns if name not in ALWAYS]
    return {"what": "verifier", "reads": "messages", "needs": needs, "options": options, "line": _line(found)}


def _options(
    parameters: dict[str, inspect.Parameter], hints: dict[str, Any], written: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The parameters that a spec may set: those with a default that JSON can hold."""
    for name, one in parameters.items():
        if one.default is one.empty or name in ALWAYS:
            continue
        if name in RESERVED:
            raise OwnCodeError(
                f"{written}: `{name}` is a key of every reward in a recipe; give the parameter another name"
            )
        kind = _type(hints.get(name), one.default)
        if kind is not None:
            yield name, {"type": kind, "default": one.default}


def _type(hint: Any, default: Any) -> str | list[str] | None:
    """The name of an option's type, the words that it may be, or None for a type that YAML does not have."""
    if get_origin(hint) is Literal:
        return [str(word) for word in get_args(hint)]
    if get_origin(hint) is types.UnionType or hint is None or str(get_origin(hint)) == "typing.Union":
        given = [one for one in get_args(hint) if one is not type(None)]
        hint = given[0] if given else type(default)
    name = getattr(get_origin(hint) or hint, "__name__", "")
    return name if name in OPTION_TYPES else None


def _hints(found: Any) -> dict[str, Any]:
    try:
        return get_type_hints(found)
    except (NameError, TypeError, AttributeError):  # annotations of types that are not there, or a partial
        return {}


def _reads(found: Callable[..., Any], hint: Any) -> str:
    """`text` or `messages`: by the annotation of `completions`, else by whether a key of messages is read."""
    inner = (get_args(hint) or (None,))[0]
    if inner is not None:
        return "text" if inner is str else "messages"
    return "messages" if MESSAGE_KEYS & set(_texts(found, set())) else "text"


def _texts(found: Any, seen: set[int]) -> Iterator[str]:
    """The texts that the code of a function holds, and the code of what it calls in turn."""
    function = inspect.unwrap(getattr(found, "func", found))
    if not hasattr(function, "__code__"):
        function = function.__func__ if inspect.ismethod(function) else vars(type(function)).get("__call__")
    if not hasattr(function, "__code__") or id(function.__code__) in seen:
        return
    seen.add(id(function.__code__))
    waiting = [function.__code__]
    while waiting:
        code = waiting.pop()
        yield from (
            text
            for one in code.co_consts
            for text in (one if isinstance(one, tuple) else (one,))
            if isinstance(text, str)
        )
        waiting += [one for one in code.co_consts if isinstance(one, types.CodeType)]
        for name in code.co_names:
            called = function.__globals__.get(name)
            if isinstance(called, types.FunctionType):
                yield from _texts(called, seen)


def _line(found: Any) -> int:
    code = getattr(inspect.unwrap(found), "__code__", None) if not isinstance(found, type) else None
    return int(code.co_firstlineno) if code is not None else 0
