"""The other side of a rollout: what a policy is asked, and what comes back after each of its turns.

An Environment is one rollout's and keeps its state; a kind opens what its rollouts share (a sandbox) and makes them.
`single_turn.py` and `tools.py` are kinds; registry.py finds them and those of other packages. sampler.py drives them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from alignment.core.errors import AlignmentError
from alignment.data.rows import Message, Problem, ToolSchema


class EnvironmentFault(AlignmentError):
    """An environment failed in a rollout, such as a server that died. Not the policy's doing: the rollout is not judged."""


class EnvironmentsFull(EnvironmentFault):
    """There is no room for another rollout now; it is begun when one that is under way has ended."""


class EnvironmentOptions(BaseModel):
    """What a recipe may write for a kind beside `kind` and `max_turns`: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


@dataclass(frozen=True)
class Opening:
    """The first messages of a rollout, and the tools that its prompt offers."""

    messages: list[Message]
    tools: list[ToolSchema]


class Environment(Protocol):
    """One rollout's other side. It may be stepped in any thread, but never in two at once."""

    def reset(self, problem: Problem) -> Opening:
        """Begin with a problem; called once, before any step."""
        ...

    def step(self, turn: Message) -> list[Message]:
        """What is said after a turn of the policy, or an empty list where the rollout is done.

        The turn is in the template's form: `content`, `reasoning_content`, and `tool_calls` where every call in it is
        well formed. What a policy does wrong is answered in words; only a fault of the environment's own raises: an
        EnvironmentFault ends this rollout without a verdict, anything else the stage.
        """
        ...


@runtime_checkable
class ScoringEnvironment(Protocol):
    """An environment that scores its rollout itself, which the reward `environment` reads."""

    def score(self) -> float | None:
        """Called once, after the rollout has ended for whatever reason; None where there is none.

        Raises EnvironmentFault where there should have been one.
        """
        ...


@runtime_checkable
class HoldingEnvironment(Protocol):
    """An environment that holds something for its rollout, such as a session of a server."""

    def release(self) -> None:
        """Let go of it. Called once, after the score; never raises."""
        ...


class Environments(Protocol):
    """What the rollouts of one kind share, as long as a stage samples."""

    def new(self) -> Environment:
        """A fresh environment for one rollout."""
        ...

    def close(self) -> None:
        """End whatever was started. It may be used again afterwards."""
        ...


@runtime_checkable
class BoundedEnvironments(Protocol):
    """Environments of which only so many may be under way at once, such as sessions of a server.

    Their rollouts are begun side by side, in threads.
    """

    at_once: int


@dataclass(frozen=True)
class EnvironmentKind:
    """A kind of environment: its name, what a recipe may write for it, and how it is opened.

    `options` is a pydantic model; `fault_here` says why this machine cannot run it, or None, and may start what
    that takes.
    """

    name: str
    options: type[EnvironmentOptions]
    open: Callable[[Any], Environments]
    fault_here: Callable[[Any], str | None] = lambda options: None
