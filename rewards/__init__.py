"""Rewards whose verdicts can be checked: for any GRPO trainer, without torch.

`reward_function([{"kind": "math_answer"}])` is a reward function in TRL's shape; `verdicts` takes the same specs and
gives the judgements one by one. A spec names a kind from VERIFIERS, how it enters the total (`name`, `weight`, `gate`,
`clip`) and the kind's own options. contract.py has the nouns, compose.py the arithmetic; each family is one file.
"""

import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rewards.answer import MathAnswer, check_reference, check_references
from rewards.code import PythonTests, check_tests
from rewards.compose import Component, ComposedReward, VerdictsUnavailable
from rewards.contract import MODES, NOT_APPLICABLE, MissingColumn, Mode, Rollout, Verdict, Verifier, not_applicable
from rewards.format import ThinkFormat, follows_mode, thought
from rewards.instruction import Instruction, instruction_problem
from rewards.judge import Judge
from rewards.language import LanguageConsistency
from rewards.length import Length
from rewards.pool import Outcome, VerificationPool, WorkerUnavailable
from rewards.repetition import Repetition
from rewards.sandbox import IsolationUnavailable
from rewards.tool_call import ToolCall

__all__ = [
    "MODES",
    "NOT_APPLICABLE",
    "VERIFIERS",
    "Component",
    "ComposedReward",
    "IsolationUnavailable",
    "MissingColumn",
    "Mode",
    "Option",
    "Outcome",
    "RewardSpecError",
    "Rollout",
    "Verdict",
    "VerdictsUnavailable",
    "VerificationPool",
    "Verifier",
    "WorkerUnavailable",
    "check_reference",
    "check_references",
    "check_tests",
    "follows_mode",
    "instruction_problem",
    "machine_problem",
    "machine_problems",
    "not_applicable",
    "reward_function",
    "spec_problems",
    "thought",
    "verdicts",
    "verifier_options",
]

VERIFIERS: dict[str, type[Verifier]] = {
    "instruction": Instruction,
    "judge": Judge,
    "language": LanguageConsistency,
    "length": Length,
    "math_answer": MathAnswer,
    "python_tests": PythonTests,
    "repetition": Repetition,
    "think_format": ThinkFormat,
    "tool_call": ToolCall,
}

_COMMON = ("kind", "name", "weight", "gate", "clip")


class RewardSpecError(ValueError):
    """Specs that cannot work. `problems` has every one of them."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


@dataclass(frozen=True)
class Option:
    """One option of a kind: its type (a class, or a Literal of words), and its value when a spec does not give it."""

    type: Any
    default: Any

    @property
    def wanted(self) -> str:
        """What a value has to be, in words."""
        words = get_args(self.type)
        return f"one of {', '.join(map(str, words))}" if words else self.type.__name__


def verifier_options(kind: str) -> dict[str, Option]:
    """A kind's own options by name. Raises RewardSpecError for an unknown kind. Instantiates nothing."""
    if kind not in VERIFIERS:
        raise RewardSpecError([f"there is no reward kind {kind!r}{_nearest(kind, VERIFIERS)}"])
    start = getattr(VERIFIERS[kind], "Options", VERIFIERS[kind]).__init__  # many options are a class of their own
    hints = get_type_hints(start)
    own = [name for name, one in inspect.signature(start).parameters.items() if one.kind is one.KEYWORD_ONLY]
    return {name: Option(hints[name], inspect.signature(start).parameters[name].default) for name in own}


def spec_problems(specs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Everything that is wrong with specs, in words for the person who wrote them. Instantiates nothing."""
    if not specs:
        return ['there are no rewards; write at least one, such as {"kind": "math_answer"}']
    problems = [f"reward {number}: {problem}" for number, spec in enumerate(specs, 1) for problem in _problems(spec)]
    names = [str(spec.get("name", spec.get("kind"))) for spec in specs]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"{names.count(name)} rewards are called {name!r}; give each its own `name`")
    return problems


def machine_problem(spec: Mapping[str, Any]) -> str | None:
    """Why this machine cannot judge with a spec that is right in itself. Starts what that needs, and ends it."""
    if not hasattr(VERIFIERS.get(spec.get("kind", "")), "problem_here") or spec_problems([spec]):
        return None
    with reward_function([spec]) as reward:
        problem: str | None = reward.components[0].verifier.problem_here()  # type: ignore[attr-defined]
    return problem


def machine_problems(specs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why this machine cannot judge with some of the specs, each at its number as `spec_problems` tells them."""
    found = ((number, machine_problem(spec)) for number, spec in enumerate(specs, 1))
    return [f"reward {number}: {problem}" for number, problem in found if problem is not None]


def reward_function(specs: Sequence[Mapping[str, Any]]) -> ComposedReward:
    """The reward function that specs describe. Raises RewardSpecError with every problem found."""
    problems = spec_problems(specs)
    if problems:
        raise RewardSpecError(problems)
    components = []
    for spec in specs:
        options = {name: value for name, value in spec.items() if name not in _COMMON}
        components.append(
            Component(
                name=spec.get("name", spec["kind"]),
                verifier=VERIFIERS[spec["kind"]](**options),
                weight=float(spec.get("weight", 1.0)),
                gate=spec.get("gate", False),
                clip=None if spec.get("clip") is None else (float(spec["clip"][0]), float(spec["clip"][1])),
            )
        )
    return ComposedReward(components)


def verdicts(specs: Sequence[Mapping[str, Any]]) -> Callable[..., list[dict[str, Verdict]]]:
    """A callable with the reward function's arguments that gives each completion's verdicts by name."""
    return reward_function(specs).verdicts


def _problems(spec: Mapping[str, Any]) -> list[str]:
    """What is wrong with one spec."""
    if "kind" not in spec:
        return [f"it has no `kind`; write one of: {', '.join(VERIFIERS)}"]
    try:
        options = verifier_options(spec["kind"])
    except RewardSpecError as error:
        return list(error.problems)
    problems = []
    for name, value in spec.items():
        if name in options:
            if not _fits(value, options[name].type):
                problems.append(f"{name} must be {options[name].wanted}, not {value!r}")
        elif name not in _COMMON:
            nearest = _nearest(name, [*_COMMON, *options])
            problems.append(f"{spec['kind']} has no option {name!r}{nearest}")
    together = getattr(VERIFIERS[spec["kind"]], "option_problem", None)  # of options that fit their types one by one
    if together is not None and not problems:
        found = together(**{name: value for name, value in spec.items() if name in options})
        problems += [found] if found else []
    if not _fits(spec.get("name", ""), str) or not spec.get("name", "x"):
        problems.append(f"name must be words, not {spec['name']!r}")
    if not _fits(spec.get("weight", 1.0), float) or not math.isfinite(spec.get("weight", 1.0)):
        problems.append(f"weight must be a finite number, not {spec['weight']!r}")
    if not _fits(spec.get("gate", False), bool):
        problems.append(f"gate must be true or false, not {spec['gate']!r}")
    if not _is_clip(spec.get("clip")):
        problems.append(f"clip must be [lowest, highest], such as [0.0, 1.0], not {spec['clip']!r}")
    return problems


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value from a recipe has an option's type; a whole number is a float, and true is not a number."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _is_clip(value: Any) -> bool:
    if value is None:
        return True
    pair = isinstance(value, (list, tuple)) and len(value) == 2 and all(_fits(bound, float) for bound in value)
    return pair and value[0] < value[1]


def _nearest(name: Any, known: Iterable[str]) -> str:
    """`; did you mean ...?`, or the list of what there is."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(names)}"
