"""Registry: declarations by name, those built in and those that other people's packages register.

A stage kind, an engine and an environment are each an object in a module that is imported when it is asked for by name.
Another package names its own in its pyproject.toml:

    [project.entry-points."alignment.engines"]
    sglang = "their_package.engine:ENGINE"

`rewards` has one of its own, because it is installed without this package. Neighbours: vocabulary.py, errors.py.
"""

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, Protocol, TypeVar

from alignment.core.errors import RecipeError

# What importing a module that nobody here has read may raise.
_FAULTS = (
    ImportError,
    AttributeError,
    NameError,
    SyntaxError,
    TypeError,
    ValueError,
    LookupError,
    RuntimeError,
    OSError,
)


class Declaration(Protocol):
    """What a registry holds: anything that knows its name."""

    @property
    def name(self) -> str:
        """The name that recipes write."""
        ...


Declared = TypeVar("Declared", bound=Declaration)


@dataclass(frozen=True)
class Registry(Generic[Declared]):
    """Declarations of one type. Names are read without an import; an entry point cannot take a built-in name."""

    noun: str  # what messages call one: stage kind
    declaration: type[Declared]
    attribute: str  # the name of the object in a built-in module: KIND
    group: str  # of the entry points of other packages
    guide: str  # the page that says how to write one
    built_in: Mapping[str, str]  # modules by name, in the order of the documentation

    def names(self) -> list[str]:
        """Every name: built-in ones first, then those of other packages, sorted."""
        return [*self.built_in, *sorted(self._registered())]

    def find(self, name: str) -> Declared | None:
        """The declaration of that name, or None. Raises RecipeError if it cannot be imported or used."""
        if name in self.built_in:
            module = importlib.import_module(self.built_in[name])
            return self._checked(name, getattr(module, self.attribute, None), self.built_in[name])
        points = self._registered().get(name)
        return None if points is None else self._loaded(name, points)

    def _registered(self) -> dict[str, list[EntryPoint]]:
        return {
            name: points for name, points in _read(self.group, tuple(sys.path)).items() if name not in self.built_in
        }

    def _loaded(self, name: str, points: list[EntryPoint]) -> Declared:
        if len(points) > 1:
            packages = " and ".join(_package(one) for one in points)
            raise RecipeError(f"the {self.noun} `{name}` is registered by {packages}; uninstall one of them")
        where = f"{points[0].value} of {_package(points[0])}"
        try:
            found = points[0].load()
        except _FAULTS as error:
            raise RecipeError(
                f"the {self.noun} `{name}` cannot be loaded from {where} ({type(error).__name__}: {error}); "
                "install what it needs, or uninstall it"
            ) from error
        return self._checked(name, found, where)

    def _checked(self, name: str, found: object, where: str) -> Declared:
        if not isinstance(found, self.declaration):
            wanted = self.declaration.__name__
            article = "an" if wanted[0] in "AEIOU" else "a"
            raise RecipeError(
                f"the {self.noun} `{name}`: {where} is not {article} {wanted}; {self.guide} says how to write one"
            )
        if found.name != name:
            raise RecipeError(
                f"the {self.noun} `{name}`: {where} declares `{found.name}`; the names have to be the same"
            )
        return found


@cache
def _read(group: str, path: tuple[str, ...]) -> dict[str, list[EntryPoint]]:
    """Entry points of a group by name. Metadata is read anew where packages are looked for on another path."""
    found: dict[str, list[EntryPoint]] = {}
    for one in entry_points(group=group):
        if one not in found.get(one.name, []):
            found.setdefault(one.name, []).append(one)
    return found


def _package(point: EntryPoint) -> str:
    return f"the package {point.dist.name}" if point.dist else "an unnamed package"
