"""Tables of paired prompts: questions between two answers, in which order and role of the answers can be swapped.

One JSON object a line: `prompt` with {first} and {second} in it, the answers `a` and `b`, and if wanted `opposite` (the
same question for the opposite: "What do you like less, ..."), `group` and `language`, by which figures are averaged.
Neighbours: evaluation/measures/paired_prompts.py (log-odds under a policy), data/paired_prompts/ (what ships).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from alignment.core.errors import DataError
from alignment.core.resources import resource
from alignment.data.tables.files import read_table

SHIPPED = "data/paired_prompts"
PLACES = ("{first}", "{second}")
_NEEDED, _KNOWN = ("prompt", "a", "b"), ("prompt", "a", "b", "opposite", "group", "language", "topic")


@dataclass(frozen=True)
class PairedPrompt:
    """One question between the answers `a` and `b`; opposite is empty where there is none."""

    prompt: str
    a: str
    b: str
    opposite: str = ""
    group: str = ""
    language: str = ""

    @property
    def askings(self) -> list[tuple[str, int, int]]:
        """Every way to ask: the text, 1 or -1 where the question asks for the opposite, 1 where `a` stands first or -1."""
        roles = [(self.prompt, 1), *([(self.opposite, -1)] if self.opposite else [])]
        orders = [(self.a, self.b, 1), (self.b, self.a, -1)]
        return [
            (text.replace("{first}", first).replace("{second}", second), role, order)
            for text, role in roles
            for first, second, order in orders
        ]


def table_names() -> list[str]:
    """Names of the tables that ship."""
    return sorted(path.stem for path in resource(SHIPPED).glob("*.jsonl"))


def table_path(name: str) -> Path:
    """The file of a table: one that ships, or one of the user's own by its absolute path. Raises DataError."""
    path = Path(name) if Path(name).is_absolute() else resource(SHIPPED) / f"{name}.jsonl"
    if not path.is_file():
        raise DataError(
            f"there is no table of paired prompts {name}; write a file's path, or one of: {', '.join(table_names())}"
        )
    return path


def paired_prompts(name: str) -> list[PairedPrompt]:
    """The rows of a table. Raises DataError with the place of a row that cannot be asked, and for a table without any."""
    path = table_path(name)
    found = [_read(f"{path.name}:{row.index + 1}", row.value) for row in read_table(path)]
    if not found:
        raise DataError(f"{path} has no paired prompts; write at least one line with {', '.join(_NEEDED)}")
    return found


def _read(place: str, value: object) -> PairedPrompt:
    fault = next(_faults(value), None)
    if fault is not None or not isinstance(value, Mapping):
        raise DataError(f"{place}: {fault}")
    return PairedPrompt(**{name: str(value[name]) for name in _KNOWN if name in value and name != "topic"})


def _faults(value: object) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"a paired prompt is an object with {', '.join(_NEEDED)}; found {type(value).__name__}"
        return
    yield from (
        f"has no text in `{name}`; write it"
        for name in _NEEDED
        if not isinstance(value.get(name), str) or not value[name]
    )
    yield from (f"unknown key `{name}`; write some of: {', '.join(_KNOWN)}" for name in value if name not in _KNOWN)
    for name in ("prompt", "opposite"):
        missing = [one for one in PLACES if name in value and one not in str(value[name])]
        if missing:
            yield f"`{name}` has no {missing[0]}, so the answers cannot be swapped in it; write both {' and '.join(PLACES)}"
    if value.get("a") == value.get("b"):
        yield "`a` and `b` are the same answer; write two"
