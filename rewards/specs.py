"""What a person writes, read: specs, their options, what is wrong with them, and the reward function they describe.

A spec is a mapping with a `kind` (registry.py), how it enters the total (`name`, `weight`, `gate`, `clip`), the tasks
whose rows it is for (`tasks`) and the kind's own options. `row_fault` and `is_row_of` ask a kind about a dataset's rows, so that nobody has to know kinds by name.
"""

import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, Protocol, get_args, get_origin, get_type_hints, runtime_checkable

from rewards.compose import Component, ComposedReward
from rewards.contract import SAMPLED_COLUMNS, Verdict
from rewards.errors import KindUnavailable, RewardsError
from rewards.kind import Option
from rewards.own.loading import is_own
from rewards.own.verifier import short_name
from rewards.registry import KINDS, VERIFIERS

_COMMON = ("kind", "name", "weight", "gate", "clip", "columns", "tasks")


class RewardSpecError(RewardsError, ValueError):
    """Specs that cannot work. `faults` has every one of them."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(faults))


@runtime_checkable
class ChecksMachine(Protocol):
    """A verifier that a machine may lack something for."""

    def fault_here(self) -> str | None:
        """Why this machine cannot judge, or None. Starts what that needs."""
        ...


def verifier_options(kind: str) -> dict[str, Option]:
    """A kind's own options by name. Instantiates nothing; one of the user's own is imported, in another process.

    Raises RewardSpecError for an unknown kind, and for one that another package registers and that cannot be loaded.
    """
    try:
        known = KINDS[kind]
    except KeyError:
        raise RewardSpecError([f"there is no reward kind {kind!r}{_nearest(kind, VERIFIERS)}"]) from None
    except KindUnavailable as error:
        raise RewardSpecError([str(error)]) from error
    if known.options is not None:
        return dict(known.options)
    start = getattr(known.verifier, "Options", known.verifier).__init__  # many options are a class of their own
    hints = get_type_hints(start)
    own = {
        name: one.default for name, one in inspect.signature(start).parameters.items() if one.kind is one.KEYWORD_ONLY
    }
    if is_dataclass(of := getattr(known.verifier, "Options", None)):
        own |= {one.name: one.default_factory() for one in fields(of) if one.default_factory is not MISSING}
    return {name: Option(hints[name], default) for name, default in own.items()}


def spec_faults(specs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Everything that is wrong with specs, in words for the person who wrote them. Instantiates nothing."""
    if not specs:
        return ['there are no rewards; write at least one, such as {"kind": "math_answer"}']
    faults = [f"reward {number}: {fault}" for number, spec in enumerate(specs, 1) for fault in _faults(spec)]
    names = [_name(spec) for spec in specs]
    for name in sorted({name for name in names if names.count(name) > 1}):
        faults.append(f"{names.count(name)} rewards are called {name!r}; give each its own `name`")
    return faults


def machine_fault(spec: Mapping[str, Any]) -> str | None:
    """Why this machine cannot judge with a spec that is right in itself. Starts what that needs, and ends it."""
    if spec_faults([spec]) or not hasattr(VERIFIERS[spec["kind"]], "fault_here"):
        return None
    with reward_function([spec]) as reward:
        verifier = reward.components[0].verifier
        return verifier.fault_here() if isinstance(verifier, ChecksMachine) else None


def machine_faults(specs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why this machine cannot judge with some of the specs, each at its number as `spec_faults` tells them."""
    found = ((number, machine_fault(spec)) for number, spec in enumerate(specs, 1))
    return [f"reward {number}: {fault}" for number, fault in found if fault is not None]


def reward_function(specs: Sequence[Mapping[str, Any]]) -> ComposedReward:
    """The reward function that specs describe. Raises RewardSpecError with every fault found."""
    faults = spec_faults(specs)
    if faults:
        raise RewardSpecError(faults)
    components = []
    for spec in specs:
        options = {name: value for name, value in spec.items() if name not in _COMMON}
        components.append(
            Component(
                name=_name(spec),
                verifier=VERIFIERS[spec["kind"]](**options),
                weight=float(spec.get("weight", 1.0)),
                gate=spec.get("gate", False),
                clip=None if spec.get("clip") is None else (float(spec["clip"][0]), float(spec["clip"][1])),
                columns=dict(spec.get("columns") or {}),
                tasks=tuple(spec.get("tasks") or ()),
            )
        )
    return ComposedReward(components)


def verdicts(specs: Sequence[Mapping[str, Any]]) -> Callable[..., list[dict[str, Verdict]]]:
    """A callable with the reward function's arguments that gives each completion's verdicts by name."""
    return reward_function(specs).verdicts


def row_columns(kind: str) -> frozenset[str] | None:
    """The columns of a dataset's row that a kind reads, without what comes from the sampling.

    None for an unknown kind, and for another package's that cannot be loaded: `spec_faults` says so where it is named.
    """
    try:
        return frozenset(VERIFIERS[kind].columns) - SAMPLED_COLUMNS
    except (KeyError, KindUnavailable):
        return None


def row_fault(kind: str, columns: Mapping[str, Any]) -> str | None:
    """Why a dataset's row can never be judged by a kind, or None when it can be or is another kind's row.

    For use when data is loaded: quick, starts nothing. What only the kind's grader can tell (a reference that needs a
    computer algebra system) is for `rewards.gold.failures_of_gold`. Raises KeyError for an unknown kind.
    """
    asked = KINDS[kind].row_fault
    return None if asked is None else asked(columns)


def is_row_of(kind: str, columns: Mapping[str, Any]) -> bool:
    """Whether a dataset's row has everything that a kind reads, besides what comes from the sampling.

    None, an empty text and an empty list are nothing, unless the kind says that the list means something.
    Raises KeyError for an unknown kind.
    """
    asked = KINDS[kind]
    needed = set(asked.verifier.columns) - SAMPLED_COLUMNS - set(asked.optional)
    return all(
        columns.get(name) not in (None, "") and (columns[name] != [] or name in asked.may_be_empty) for name in needed
    )


def _name(spec: Mapping[str, Any]) -> str:
    """The name of a reward in metrics: as written, or its kind's; of one of the user's own, the function's."""
    kind = spec.get("kind")
    return str(spec.get("name") or (short_name(str(kind)) if is_own(kind) else kind))


def _faults(spec: Mapping[str, Any]) -> list[str]:
    """What is wrong with one spec."""
    if "kind" not in spec:
        return [f"it has no `kind`; write one of: {', '.join(VERIFIERS)}"]
    try:
        options = verifier_options(spec["kind"])
    except RewardSpecError as error:
        return list(error.faults)
    faults = []
    for name, value in spec.items():
        if name in options:
            if not _fits(value, options[name].type):
                faults.append(f"{name} must be {options[name].wanted}, not {value!r}")
        elif name not in _COMMON:
            nearest = _nearest(name, [*_COMMON, *options])
            faults.append(f"{spec['kind']} has no option {name!r}{nearest}")
    together = getattr(VERIFIERS[spec["kind"]], "option_fault", None)  # of options that fit their types one by one
    if together is not None and not faults:
        found = together(**{name: value for name, value in spec.items() if name in options})
        faults += [found] if found else []
    if not _fits(spec.get("name", ""), str) or not spec.get("name", "x"):
        faults.append(f"name must be words, not {spec['name']!r}")
    if not _fits(spec.get("weight", 1.0), float) or not math.isfinite(spec.get("weight", 1.0)):
        faults.append(f"weight must be a finite number, not {spec['weight']!r}")
    if not _fits(spec.get("gate", False), bool):
        faults.append(f"gate must be true or false, not {spec['gate']!r}")
    if not _is_clip(spec.get("clip")):
        faults.append(f"clip must be [lowest, highest], such as [0.0, 1.0], not {spec['clip']!r}")
    tasks = spec.get("tasks")
    if tasks is not None and not (isinstance(tasks, (list, tuple)) and tasks and all(_fits(one, str) for one in tasks)):
        faults.append(f"tasks must be a list of names, such as [gsm8k-train, general-tasks/*], not {tasks!r}")
    return faults + _column_faults(spec)


def _column_faults(spec: Mapping[str, Any]) -> list[str]:
    """What is wrong with the names under which a spec says that a dataset has its columns."""
    named, read = spec.get("columns") or {}, VERIFIERS[spec["kind"]].columns
    if not isinstance(named, Mapping) or not all(isinstance(name, str) and name for name in named.values()):
        return [f"columns must name dataset columns, such as {{answer: solution}}, not {named!r}"]
    return [f"{spec['kind']} reads no column {own!r}{_nearest(own, read)}" for own in named if own not in read]


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
