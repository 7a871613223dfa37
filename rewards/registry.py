"""Every kind of reward by its name: those in kinds/, and those that other people's packages register.

A new kind here is its file in kinds/ and a line in BUILT_IN. Another package names its own in its pyproject.toml:

    [project.entry-points."alignment.verifiers"]
    rhyme = "their_package.rhyme:KIND"

A name with a colon is a function or verifier of the user's own (own/). A kind is imported when it is first asked for by
name. One that cannot be imported fails then, in words that name its package, and disturbs nobody who does not use it.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from rewards.contract import Verifier
from rewards.errors import KindUnavailable
from rewards.kind import Kind
from rewards.own.loading import OwnCodeError, is_own
from rewards.own.verifier import own_kind

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "alignment.verifiers"
BUILT_IN: dict[str, str] = {
    "abstention": "rewards.kinds.abstention",
    "environment": "rewards.kinds.environment",
    "http_verify": "rewards.kinds.http_verify",
    "instruction": "rewards.kinds.instruction",
    "judge": "rewards.kinds.judge",
    "language": "rewards.kinds.language",
    "length": "rewards.kinds.length",
    "math_answer": "rewards.kinds.math_answer",
    "python_tests": "rewards.kinds.python_tests",
    "refusal": "rewards.kinds.refusal",
    "repetition": "rewards.kinds.repetition",
    "think_format": "rewards.kinds.think_format",
    "tool_call": "rewards.kinds.tool_call",
}
# What importing a module that nobody here has read may raise.
_FAULTS = (
    ImportError, AttributeError, NameError, SyntaxError, TypeError, ValueError, LookupError, ArithmeticError,
    AssertionError, RuntimeError, OSError,
)  # fmt: skip


class Kinds(Mapping[str, Kind]):
    """The kinds by name. Looking one up imports it: raises KeyError for an unknown name, and KindUnavailable."""

    def __init__(self) -> None:
        self._loaded: dict[str, Kind] = {}

    def __getitem__(self, name: str) -> Kind:
        if is_own(name):
            return _own(name)
        if name not in self._loaded:
            if name in BUILT_IN:
                self._loaded[name] = import_module(BUILT_IN[name]).KIND
            else:
                self._loaded[name] = _load(name, registered()[name])
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in BUILT_IN or name in self._loaded or name in registered() or is_own(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*BUILT_IN, *registered(), *self._loaded)))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def add(self, kind: Kind) -> None:
        """Register a kind in this process, over one that has its name."""
        self._loaded[kind.name] = kind

    def remove(self, name: str) -> None:
        """Take back what `add` did. Raises KeyError."""
        del self._loaded[name]


class Verifiers(MutableMapping[str, type[Verifier]]):
    """The verifier classes by the name of their kind: a view of the registry."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds

    def __getitem__(self, name: str) -> type[Verifier]:
        return self._kinds[name].verifier

    def __setitem__(self, name: str, verifier: type[Verifier]) -> None:
        known = self._kinds[name] if name in self._kinds else Kind(name, verifier)
        self._kinds.add(replace(known, verifier=verifier))

    def __delitem__(self, name: str) -> None:
        self._kinds.remove(name)

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


@cache
def registered() -> dict[str, tuple["EntryPoint", ...]]:
    """What installed packages register under ENTRY_POINTS, by name. Reads metadata; imports none of them."""
    from importlib.metadata import entry_points  # reading it takes longer than all of `import rewards`

    found: dict[str, tuple[EntryPoint, ...]] = {}
    for one in entry_points(group=ENTRY_POINTS):
        if one.name not in BUILT_IN and one not in found.get(one.name, ()):
            found[one.name] = (*found.get(one.name, ()), one)
    return found


def _own(name: str) -> Kind:
    """The kind of a function or verifier of the user's own. Raises KindUnavailable."""
    try:
        return own_kind(name)
    except OwnCodeError as error:
        raise KindUnavailable(str(error)) from error


def _load(name: str, found: tuple["EntryPoint", ...]) -> Kind:
    """The kind behind an entry point. Raises KindUnavailable."""
    packages = " and ".join(sorted({_package(one) for one in found}))
    if len(found) > 1:
        raise KindUnavailable(f"the reward kind {name!r} is registered by {packages}; uninstall one of them")
    try:
        kind = found[0].load()
    except _FAULTS as error:
        raise KindUnavailable(
            f"the reward kind {name!r} is registered by {packages} as {found[0].value}, which cannot be imported "
            f"({type(error).__name__}: {error}); install what it needs, or uninstall it"
        ) from error
    if not isinstance(kind, Kind) or kind.name != name:
        held = f"a kind called {kind.name!r}" if isinstance(kind, Kind) else f"a {type(kind).__name__}"
        raise KindUnavailable(
            f"the reward kind {name!r} is registered by {packages} as {found[0].value}, which is {held}; "
            f"it has to be a rewards.Kind whose name is {name!r}"
        )
    return kind


def _package(entry: "EntryPoint") -> str:
    return f"the package {entry.dist.name} {entry.dist.version}" if entry.dist else "an unnamed package"


KINDS = Kinds()
VERIFIERS = Verifiers(KINDS)
