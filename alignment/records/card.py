"""output/card.json of a stage that leaves rows: its data card. It holds no time, machine or path.

Neighbours: data_factory/fusion/card.py and data_factory/checked_card.py (count it), report/ (shows it).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from alignment.core.typed_json import INLINE
from alignment.core.vocabulary import Mode
from alignment.records.file_record import FileRecord

FlagPlace = Literal["none", "system", "user", "earlier"]


@dataclass(frozen=True)
class CardFraction:
    """A fraction of the rows: what the recipe asked for, what the rows have, and the two counts behind that."""

    words: Annotated[str, "what it is a fraction of"]
    asked: Annotated[float | None, "what the recipe asked for"]
    made: Annotated[float | None, "what the rows have; null where there are none to be a fraction of"]
    rows: Annotated[int | None, "rows that have it"]
    of: Annotated[int | None, "rows that could"]


@dataclass(frozen=True)
class CardTokens:
    """Tokens of the rows as they are rendered."""

    all: Annotated[int, "of all rows"]
    with_loss: Annotated[int, "that carry loss"]
    median_row: Annotated[int, "of the median row"]
    longest_row: Annotated[int, "of the longest"]
    limit: Annotated[int, "the stage's max_length"]


@dataclass(frozen=True)
class CardPart:
    """One part of the data: its source, and how many rows were read, used and left out."""

    source: Annotated[str | None, "the source, or null"] = None
    stage: Annotated[str | None, "the stage whose rows they are, or null"] = None
    answers_by: Annotated[str | None, "the policy that answered, for rows of a stage"] = None
    questions_of: Annotated[tuple[str, ...], "the sources of its questions"] = ()
    licences: Annotated[Mapping[str, str], "licence and revision of each source"] = field(default_factory=dict)
    rows_read: Annotated[int | None, "rows read"] = None
    rows_used: Annotated[int | None, "rows used"] = None
    left_out: Annotated[Mapping[str, int], "rows left out, by reason"] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The source or stage that the rows are from."""
        return self.source or self.stage or "unnamed"


@dataclass(frozen=True)
class CardSample:
    """One row as the template renders it."""

    mode: Annotated[Mode, "the mode of its answer"]
    flag: Annotated[FlagPlace, "where the flag stands that decides"]
    turns: Annotated[int, "questions in it"]
    text: Annotated[str, "the rendered row, its beginning where it is long"]
    id: Annotated[str, "the row's id"] = ""


@dataclass(frozen=True)
class CardCheck:
    """One check of a stage that leaves rows out."""

    name: Annotated[str, "its name"]
    sentence: Annotated[str, "its rule"]
    found: Annotated[int, "rows that it found; a row may be found by several checks"]
    unknown: Annotated[int, "rows of which it could not tell, which stay"] = 0


@dataclass(frozen=True)
class CardExample:
    """A row that a check found."""

    check: Annotated[str, "the check"]
    id: Annotated[str, "the row's id"]
    evidence: Annotated[str, "by what it was found"]
    text: Annotated[str, "the row, its beginning where it is long"]


@dataclass(frozen=True)
class CardFigures:
    """The figures of a data card, counted from the finished rows and not from the plan."""

    rows: Annotated[int, "how many"]
    modes: Annotated[Mapping[Mode, int], "rows by mode"] = field(default_factory=dict)
    flags: Annotated[Mapping[Mode, Mapping[FlagPlace, int]], "rows by mode and by where the deciding flag stands"] = field(default_factory=dict)  # fmt: skip
    turns: Annotated[Mapping[str, int], "rows by how many questions they hold"] = field(default_factory=dict)
    flag_changes: Annotated[int | None, "rows that hold flags for both modes"] = None
    fractions: Annotated[Mapping[str, CardFraction], "by the key of the recipe"] = field(default_factory=dict)
    not_needed: Annotated[Mapping[Mode, int], "rows that could have been used, by mode"] = field(default_factory=dict)
    tokens: Annotated[CardTokens | None, "their lengths"] = None
    data: Annotated[tuple[CardPart, ...], "where the rows are from"] = ()
    checks: Annotated[tuple[CardCheck, ...], "of a stage that checks rows, each with its count"] = ()
    tests: Annotated[int | None, "evaluation problems that rows were compared with"] = None
    tests_not_read: Annotated[tuple[str, ...], "evaluations whose problems could not be read, so that nothing was compared with them"] = ()  # fmt: skip


@dataclass(frozen=True)
class DataCard(FileRecord):
    """The data card of a stage that leaves rows; card.md beside it shows the same as Markdown."""

    figures: Annotated[CardFigures, INLINE]
    stage: Annotated[str, "the stage"] = ""
    recipe: Annotated[str, "the recipe"] = ""
    seed: Annotated[int | None, "its seed"] = None
    samples: Annotated[tuple[CardSample, ...], "the first row of each mode, place of the flag and number of turns"] = ()
    examples: Annotated[tuple[CardExample, ...], "some rows of each check, which were left out"] = ()
    schema: Annotated[Literal[1], "the version of this form"] = 1
