"""The execution state of each step of programs: the values of their names, from a run in the sandbox.

A program is run once and whole, in one process of a jail, statement by statement of its top level (rewards/sandbox/).
The state of a step is that after the last statement that ends in it. Neighbours: data/steps/definition.py (steps),
judge.py (is shown them).
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from alignment.data.steps.definition import Program, Step
from alignment.recipe.blocks.rewards import Reward
from rewards.kinds.python_tests.rows import UnreadableTests, read_row
from rewards.sandbox import Examination, Limits, Sandbox, StandardStreams, States

Completions = Sequence[tuple[str, Sequence[Step], Any]]  # text, its steps, and the `tests` of its problem


class StepStates:
    """Runs programs for the states of their steps, under the limits of the stage's `python_tests`. Use `close` when done."""

    def __init__(self, reward: Reward) -> None:
        chosen = reward.model_extra or {}
        limits = {name: chosen[name] for name in ("timeout_seconds", "memory_mib") if name in chosen}
        self._sandbox = Sandbox(chosen.get("isolation", "auto"), chosen.get("workers", 0), Limits(**limits))

    def of(self, completions: Completions) -> list[list[str | None]]:
        """For each completion one text for each step, `total = 3, rows = [1, 2]`; None for a step that did not end.

        Raises IsolationUnavailable where nothing here can isolate a program.
        """
        programs = [Program.of(text) for text, _, _ in completions]
        ends = [one.ends for one in programs]
        asked = [place for place, found in enumerate(ends) if found]
        work = (
            Examination((programs[place].code,), States(len(ends[place]), _input(completions[place][2])))
            for place in asked
        )
        found: list[list[str | None]] = [[None] * len(steps) for _, steps, _ in completions]
        for place, finding in zip(asked, self._sandbox.examine_all(work), strict=True):
            starts = [step.start for step in completions[place][1]]
            for end, state in zip(ends[place], finding.states, strict=False):  # a program may stop earlier
                if step := bisect_left(starts, end):
                    found[place][step - 1] = written(state)
        return found

    def close(self) -> None:
        """End the jails."""
        self._sandbox.close()


def written(state: Mapping[str, str]) -> str:
    """A state as text."""
    return ", ".join(f"{name} = {value}" for name, value in state.items())


def _input(tests: Any) -> str:
    """The standard input of a problem's first test; nothing where its tests call functions."""
    try:
        row = read_row(tests)
    except UnreadableTests:
        return ""
    return row.tests.inputs[0] if isinstance(row.tests, StandardStreams) else ""
