"""Steps of a solution: the one definition that labelling, training, scoring, RL credit and display share.

A step is a piece of a completion with its place in it, so that a prefix that ends with a step can be cut out, and
tokens can be told by step. Think tags belong to no step. Neighbours: data/rows.py (Stepwise), data/tables/step_forms.py
(data sets with step labels).
"""

import ast
import itertools
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from rewards.contract import THINK_CLOSE, THINK_OPEN, answer_start

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SplitBy = Literal["blank_line", "line", "marker", "statement", "block"]
SPLITS_BY: tuple[SplitBy, ...] = get_args(SplitBy)
_PARTS: dict[str, re.Pattern[str]] = {"blank_line": re.compile(r"\n[ \t]*\n\s*"), "line": re.compile(r"\n\s*")}
_TAGS = re.compile(f"{THINK_OPEN}|{THINK_CLOSE}")
_FENCE = re.compile(r"```[\w+-]*\n(.*?)(?:\n```|\Z)", re.DOTALL)


@dataclass(frozen=True)
class StepRule:
    """How a completion is split. marker: a regular expression of what begins a step, for `marker`."""

    by: SplitBy = "blank_line"
    marker: str = r"(?m)^Step \d+[:.]"

    def split(self, completion: str) -> list["Step"]:
        """The steps of a completion, in order and without surrounding white space. Empty pieces are no steps."""
        if self.by in ("statement", "block"):
            return list(_statements(completion, nested=self.by == "statement"))
        spans: list[tuple[int, int]] = []
        for start, end in _outside_tags(completion):
            piece = completion[start:end]
            cuts = [found.start() for found in re.finditer(self.marker, piece)] if self.by == "marker" else None
            spans += [
                (start + a, start + b) for a, b in (_between(piece, self.by) if cuts is None else _at(piece, cuts))
            ]
        return [step for step in (_trimmed(completion, a, b) for a, b in spans) if step is not None]

    def ends(self, written: str) -> bool:
        """Whether what was written holds the line break, or blank line, that ends a piece; for rules by those two."""
        return _PARTS[self.by].search(written.lstrip()) is not None

    def unparsed(self, completion: str) -> bool:
        """Whether a rule by statements or blocks had to split lines, since the program does not parse."""
        return self.by in ("statement", "block") and parsed(Program.of(completion).code) is None


@dataclass(frozen=True)
class Program:
    """The last program in a completion, or the completion itself where nothing is fenced: its text, and where it begins."""

    code: str
    start: int

    @classmethod
    def of(cls, completion: str) -> "Program":
        """The program of a completion."""
        fences = list(_FENCE.finditer(completion))
        return cls(fences[-1][1], fences[-1].start(1)) if fences else cls(completion, 0)

    @property
    def ends(self) -> list[int]:
        """Where in the completion each statement of the top level ends; empty for a program that does not parse."""
        rows = [*_line_starts(self.code), len(self.code) + 1]
        return [self.start + rows[one.end_lineno or one.lineno] - 1 for one in parsed(self.code) or ()]


@dataclass(frozen=True)
class Step:
    """One step: `completion[start:end]`."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class StepFaults:
    """What is odd about the steps of a solution: indices of those without text, and of those that repeat an earlier one."""

    empty: tuple[int, ...]
    duplicate: tuple[int, ...]

    def __bool__(self) -> bool:
        return bool(self.empty or self.duplicate)


def faults_of(steps: Sequence[str]) -> StepFaults:
    """Empty steps, and steps that say what an earlier one said, but for case and white space."""
    seen: set[str] = set()
    empty, duplicate = [], []
    for place, text in enumerate(steps):
        plain = " ".join(text.split()).casefold()
        if not plain:
            empty.append(place)
        elif plain in seen:
            duplicate.append(place)
        seen.add(plain)
    return StepFaults(tuple(empty), tuple(duplicate))


def thinking_steps(completion: str, steps: Sequence[Step]) -> int:
    """How many of a completion's steps are in its think block: those before its answer, or all if it has none."""
    answer = answer_start(completion)
    return len(steps) if answer is None else sum(step.start < answer for step in steps)


def token_ends(tokenizer: "PreTrainedTokenizerBase", token_ids: Sequence[int], ends: Sequence[int]) -> list[int]:
    """For each character position, the number of leading tokens whose text reaches it: a prefix of whole tokens.

    A token that holds a step's last character and what separates it from the next belongs to the step. ends have to be
    ascending. Decoding a prefix again for each position is quick enough, since positions are found by bisection.
    """

    def length(count: int) -> int:
        text = tokenizer.decode(list(token_ids[:count]), skip_special_tokens=False)
        return len(text.rstrip("\ufffd"))  # of a character whose bytes are not all there yet

    found: list[int] = []
    for end in ends:
        low = found[-1] if found else 0
        found.append(bisect_left(range(len(token_ids) + 1), end, lo=low, key=length))
    return [min(one, len(token_ids)) for one in found]


def _outside_tags(text: str) -> Iterator[tuple[int, int]]:
    """The stretches of a text between think tags."""
    start = 0
    for tag in _TAGS.finditer(text):
        yield start, tag.start()
        start = tag.end()
    yield start, len(text)


def _between(text: str, by: str) -> Iterator[tuple[int, int]]:
    start = 0
    for gap in _PARTS[by].finditer(text):
        yield start, gap.start()
        start = gap.end()
    yield start, len(text)


def _at(text: str, cuts: Sequence[int]) -> Iterator[tuple[int, int]]:
    bounds = sorted({0, *cuts, len(text)})
    yield from itertools.pairwise(bounds)


def _trimmed(text: str, start: int, end: int) -> Step | None:
    piece = text[start:end]
    bare = piece.strip()
    if not bare:
        return None
    first = start + len(piece) - len(piece.lstrip())
    return Step(bare, first, first + len(bare))


def parsed(code: str) -> list[ast.stmt] | None:
    """The statements of a program's top level; None if it is none. It is parsed and never run."""
    try:
        return ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _statements(completion: str, *, nested: bool) -> Iterator[Step]:
    """The statements of the last program in a completion.

    nested: those inside a function, a loop or a condition are counted one by one; else they are one step with it. A program
    that does not parse is split into its lines.
    """
    program = Program.of(completion)
    start, code = program.start, program.code
    rows, body = _line_starts(code), parsed(code)
    if body is None:
        lines = [number for number, line in enumerate(code.split("\n"), 1) if line.strip()]
    else:
        lines = sorted(set(_first_lines(body, nested=nested)))
    bounds = [rows[number - 1] for number in lines] + [len(code)]
    for first, last in itertools.pairwise(bounds):
        step = _trimmed(completion, start + first, start + last)
        if step is not None:
            yield step


def _first_lines(body: Sequence[ast.stmt], *, nested: bool) -> Iterator[int]:
    for statement in body:
        decorators = getattr(statement, "decorator_list", [])
        yield min([statement.lineno, *(one.lineno for one in decorators)])
        if not nested:
            continue
        for name in ("body", "orelse", "finalbody"):
            inner = getattr(statement, name, None)
            if isinstance(inner, list) and inner and isinstance(inner[0], ast.stmt):
                yield from _first_lines(inner, nested=True)
        for handler in getattr(statement, "handlers", []):
            yield from _first_lines(handler.body, nested=True)


def _line_starts(text: str) -> list[int]:
    starts = [0]
    starts += [place + 1 for place, character in enumerate(text) if character == "\n"]
    return starts
