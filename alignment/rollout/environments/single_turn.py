"""Environment `single_turn`: the policy answers once, and is done. The default.

A problem's own tools are offered, and a call of one is judged as it stands (reward `tool_call`): nothing executes it.
Neighbours: protocol.py, tools.py (which does execute).
"""

from alignment.data.rows import Message, Problem
from alignment.rollout.environments.protocol import Environment, EnvironmentKind, EnvironmentOptions, Opening


class NoOptions(EnvironmentOptions):
    """Nothing beside `kind` and `max_turns`."""


class SingleTurn:
    """One answer. Without state, so that one instance is every rollout's."""

    def reset(self, problem: Problem) -> Opening:
        """The problem's messages and tools."""
        return Opening(problem.messages, problem.tools)

    def step(self, turn: Message) -> list[Message]:
        """Done."""
        return []

    def new(self) -> Environment:
        """Itself."""
        return self

    def close(self) -> None:
        """Nothing to end."""


KIND = EnvironmentKind("single_turn", NoOptions, lambda options: SingleTurn())
