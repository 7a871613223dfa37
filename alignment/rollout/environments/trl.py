"""A class in the shape of TRL's `environment_factory`: its methods are tools, and it may score the rollout itself.

    environment: {kind: "my_env.py:Counter", max_turns: 6}

`reset(**row)` returns None or a text that is appended to the last message; every other public method is a tool, whose schema
comes from its type hints and docstring; `get_reward()`, where there is one, is what the reward `environment` reads. (TRL 1.16,
trl/trainer/grpo_trainer.py; transformers' get_json_schema.) Methods may be coroutines. An instance serves one rollout at a
time and is used again, as in TRL. Neighbours: own.py (finds the class), tools.py (answers the calls), own_faults.py.
"""

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from alignment.core.errors import RecipeError
from alignment.data.rows import Message, Problem, ToolSchema
from alignment.rollout.environments.executors import ToolError
from alignment.rollout.environments.own_faults import guarded, reached_nobody
from alignment.rollout.environments.protocol import EnvironmentFault, Opening
from alignment.rollout.environments.tools import ToolConversation
from rewards.own.loading import own_name

RESET, REWARD = "reset", "get_reward"
RESULT_CHARACTERS = 4000  # of one call; more is cut


def is_trl_shape(found: object) -> bool:
    """Whether a class is of TRL's shape and not of this project's: tools or a reward beside `reset`."""
    if not isinstance(found, type):
        return callable(found)
    has_step = callable(getattr(found, "step", None))
    return hasattr(found, RESET) and (hasattr(found, REWARD) or (not has_step and bool(tool_names(found))))


def tool_names(of: type) -> list[str]:
    """The methods of a class that are tools."""
    functions = (name for name, _ in inspect.getmembers(of, predicate=inspect.isfunction))
    return [name for name in functions if not name.startswith("_") and name not in (RESET, REWARD)]


class TrlEnvironments:
    """Instances of one class: as many as there are rollouts at one time. Implements Environments."""

    def __init__(self, name: str, factory: Callable[..., Any], /, **options: Any) -> None:
        self._name, self._factory = name, partial(factory, **options)
        self._idle: list[Any] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._schemas: dict[str, ToolSchema] | None = None

    def new(self) -> "TrlConversation":
        """A rollout with an instance of its own."""
        with self._lock:
            instance = self._idle.pop() if self._idle else None
        if instance is None:
            instance = guarded(self._name, "its constructor", self._factory)
        return TrlConversation(self._name, self, instance)

    def take_back(self, instance: Any) -> None:
        """An instance whose rollout has ended; the next one resets it."""
        with self._lock:
            self._idle.append(instance)

    def schemas(self, instance: Any) -> dict[str, ToolSchema]:
        """The tools of the class by name. Raises RecipeError for a method whose schema cannot be told."""
        if self._schemas is None:
            self._schemas = {name: self._schema(instance, name) for name in tool_names(type(instance))}
        return self._schemas

    def call(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        """What a method returns; a coroutine is run on one event loop of all rollouts."""
        found = function(**arguments)
        return self._awaited(found) if inspect.iscoroutine(found) else found

    def close(self) -> None:
        """Forget the instances, and end the event loop."""
        with self._lock:
            self._idle.clear()
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def _schema(self, instance: Any, name: str) -> ToolSchema:
        from transformers.utils.chat_template_utils import (
            DocstringParsingException,
            TypeHintParsingException,
            get_json_schema,
        )

        try:
            return dict(get_json_schema(getattr(instance, name)))
        except (DocstringParsingException, TypeHintParsingException) as error:
            raise RecipeError(
                f"{own_name(self._name).short}: the method {name} cannot be offered as a tool: {error}; write type hints, and a "
                "docstring with a line for each argument under `Args:`, or begin its name with an underscore"
            ) from error

    def _awaited(self, waiting: Coroutine[Any, Any, Any]) -> Any:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="environments", daemon=True).start()
            loop = self._loop
        return asyncio.run_coroutine_threadsafe(waiting, loop).result()


class Method:
    """One tool: a method of an instance. Implements Executor."""

    def __init__(self, name: str, schema: ToolSchema, owner: TrlEnvironments, instance: Any) -> None:
        self.name, self.schema, self._owner, self._instance = name, schema, owner, instance

    def call(self, arguments: Mapping[str, Any]) -> str:
        """Its result as text. What it raises is shown to the policy, as in TRL, but for a server that cannot be reached."""
        try:
            return str(self._owner.call(getattr(self._instance, self.name), arguments))
        except Exception as error:
            if isinstance(error, EnvironmentFault) or reached_nobody(error):
                told = f"the tool {self.name} reached nobody ({type(error).__name__}: {error})"
                raise EnvironmentFault(told) from error
            raise ToolError(str(error) or type(error).__name__) from error


class TrlConversation:
    """One rollout with an instance of the class. Implements Environment, ScoringEnvironment and HoldingEnvironment."""

    def __init__(self, name: str, owner: TrlEnvironments, instance: Any) -> None:
        self._name, self._owner, self._instance = name, owner, instance
        self._failed = False
        if not callable(getattr(instance, RESET, None)):
            raise RecipeError(f"{own_name(name).short} made a {type(instance).__name__}, which has no `reset`")
        methods = {name: Method(name, schema, owner, instance) for name, schema in owner.schemas(instance).items()}
        self._tools = ToolConversation(methods, RESULT_CHARACTERS)

    def reset(self, problem: Problem) -> Opening:
        """Reset with the problem's columns; what it returns is appended to the last message."""
        row = _taken(self._instance.reset, {**problem.columns, "answer": problem.answer, "prompt": problem.messages})
        said = self._guarded(RESET, lambda: self._owner.call(self._instance.reset, row))
        if said is not None and not isinstance(said, str):
            raise RecipeError(
                f"{own_name(self._name).short}: reset returned a {type(said).__name__}; it has to return None, or a text that is "
                "appended to the last message"
            )
        *before, last = problem.messages
        messages = [*before, {**last, "content": f"{last.get('content') or ''}{said or ''}"}]
        return self._tools.reset(replace(problem, messages=messages))

    def step(self, turn: Message) -> list[Message]:
        """The results of a turn's calls; nothing where it makes none."""
        try:
            return self._tools.step(turn)
        except EnvironmentFault as error:
            self._failed = True
            raise EnvironmentFault(f"{own_name(self._name).short}: {error}") from error

    def score(self) -> float | None:
        """What `get_reward` returns; None without one. Raises RecipeError for what is no number."""
        if not callable(getattr(self._instance, REWARD, None)):
            return None
        given = self._guarded(REWARD, lambda: self._owner.call(self._instance.get_reward, {}))
        try:
            return None if given is None else float(given)
        except (TypeError, ValueError) as error:
            told = f"{own_name(self._name).short}: get_reward returned {given!r:.80}; it has to return a number or None"
            raise RecipeError(told) from error

    def release(self) -> None:
        """Give the instance back, unless it failed."""
        if not self._failed:
            self._owner.take_back(self._instance)

    def _guarded(self, what: str, call: Callable[[], Any]) -> Any:
        try:
            return guarded(self._name, what, call)
        except EnvironmentFault:
            self._failed = True
            raise


def _taken(reset: Callable[..., Any], row: dict[str, Any]) -> dict[str, Any]:
    """What of a row a reset takes: all of it, or the parameters that it names."""
    parameters = inspect.signature(reset).parameters.values()
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return row
    names = {one.name for one in parameters}
    return {name: value for name, value in row.items() if name in names}
