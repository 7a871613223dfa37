"""Environment `tools`: the policy calls tools, an executor answers, until it answers without a call.

    environment: {kind: tools, tools: [calculator, python, store], max_turns: 6}

Every call of a turn gets one tool message, in order. A call that is malformed, names no tool or does not fit its schema
is answered with an error in words, so that the policy can try again. A call of a tool that the problem declares and
nobody here executes ends the rollout: it is judged as it stands. Neighbours: executors.py (the tools), calls.py.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from pydantic import Field

from alignment.data.rows import Message, Problem
from alignment.rollout.environments.calls import NO_CALL, calls_in, shortened
from alignment.rollout.environments.executors import Calculator, Executor, Python, Store, ToolError
from alignment.rollout.environments.protocol import EnvironmentKind, EnvironmentOptions, Opening
from rewards import machine_fault
from rewards.kinds.tool_call.schema import Misfit, read_tools
from rewards.kinds.tool_call.verifier import Call
from rewards.sandbox import Limits, Sandbox

ToolName = Literal["calculator", "python", "store"]
MOST_CALLS = 8  # of one turn; what is beyond is answered with an error


class ToolsOptions(EnvironmentOptions):
    """What a recipe may write beside `kind: tools`."""

    tools: list[ToolName] = Field(["calculator"], min_length=1, description="Tools that the policy may call.")
    offered: Literal["always", "declared"] = Field(
        "always",
        description="To which problems: to all, or to those alone that declare a tool of that name, as in a mixture of tasks.",
    )
    result_characters: int = Field(2000, ge=1, description="Longest result of a call; more is cut.")
    timeout_seconds: float = Field(8.0, gt=0, description="Longest run of one program of the python tool.")


class ToolConversation:
    """One rollout with tools: what its store holds is its own."""

    def __init__(
        self, executors: Mapping[str, Executor], result_characters: int, *, declared_only: bool = False
    ) -> None:
        self._executors, self._most, self._declared_only = executors, result_characters, declared_only
        self._schemas = read_tools([one.schema for one in executors.values()]) or {}
        self._declared: frozenset[str] = frozenset()

    def reset(self, problem: Problem) -> Opening:
        """The problem's messages, its own tools and those that are executed; of one name, the problem's is shown."""
        own = read_tools(problem.tools) or {}
        if self._declared_only:
            self._executors = {name: one for name, one in self._executors.items() if name in own}
        tools = [*problem.tools, *(one.schema for name, one in self._executors.items() if name not in own)]
        self._declared = frozenset(own)
        return Opening(problem.messages, tools)

    def step(self, turn: Message) -> list[Message]:
        """One result for each call of a turn; nothing where it makes none, or calls what nobody executes."""
        if not self._executors:
            return []
        calls = calls_in(turn)
        if any(call.name in self._declared and call.name not in self._executors for call in calls):
            return []
        said = [self._answer(call) if place < MOST_CALLS else _TOO_MANY for place, call in enumerate(calls)]
        return [{"role": "tool", "content": shortened(text, self._most)} for text in said]

    def _answer(self, call: Call) -> str:
        """The result of a call, or what is wrong with it."""
        if call.name is None:
            return f"error: {NO_CALL}"
        if call.name not in self._executors:
            return f"error: there is no tool {call.name[:50]!r}; there are: {', '.join(self._executors)}"
        misfits = self._schemas[call.name].misfits(call.arguments)
        if misfits:
            return f"error: {_described(misfits[0])}"
        try:
            return self._executors[call.name].call(call.arguments)
        except ToolError as error:
            return f"error: {error}"


class ToolConversations:
    """What the rollouts share: the sandbox, started when the first program runs."""

    def __init__(self, options: ToolsOptions) -> None:
        self._options = options
        self._sandbox = Sandbox(limits=Limits(timeout_seconds=options.timeout_seconds))
        self._makers: dict[ToolName, Callable[[], list[Executor]]] = {
            "calculator": lambda: [Calculator()],
            "python": lambda: [Python(self._sandbox)],
            "store": Store.tools,
        }

    def new(self) -> ToolConversation:
        """A rollout with an empty store."""
        made = [executor for name in self._options.tools for executor in self._makers[name]()]
        return ToolConversation(
            {one.name: one for one in made},
            self._options.result_characters,
            declared_only=self._options.offered == "declared",
        )

    def close(self) -> None:
        """End the sandbox."""
        self._sandbox.close()


_TOO_MANY = f"error: more than {MOST_CALLS} calls in one turn"


def _described(misfit: Misfit) -> str:
    expected = f", expected {misfit.expected}" if misfit.expected else ""
    return f"{misfit.reason.replace('_', ' ')} {misfit.argument!r}{expected}"


def _fault_here(options: ToolsOptions) -> str | None:
    """Why this machine cannot execute the tools: programs need something that isolates them."""
    if "python" not in options.tools:
        return None
    fault = machine_fault({"kind": "python_tests"})
    return None if fault is None else f"the tool `python` runs the policy's programs; {fault}"


KIND = EnvironmentKind("tools", ToolsOptions, ToolConversations, _fault_here)
