"""What both pages of the linter share: tokens made visible, and findings gathered by what they say.

Data is hostile: whatever could steer a terminal or turn text around is spelled out. Neighbours: terminal.py, core/page.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from alignment.lint.findings import Finding, Severity
from alignment.lint.linter import Inspection
from alignment.lint.views import View

ROWS_NAMED = 6
NEWLINE, TAB = "↵", "→"


@dataclass(frozen=True)
class Piece:
    """One token as it is shown."""

    text: str
    trained: bool
    ends_line: bool
    place: int


@dataclass(frozen=True)
class Group:
    """Findings of one code and gravity: the first of them, and every row that has one."""

    first: Finding
    rows: list[int]
    id: str  # what the data calls the first row

    @property
    def severity(self) -> Severity:
        return self.first.severity

    @property
    def where(self) -> str:
        """`rows 3, 8, 9 and 12 more`, or `every row`."""
        if not self.rows:
            return "every row"
        named = ", ".join(str(row) for row in self.rows[:ROWS_NAMED])
        more = f" and {len(self.rows) - ROWS_NAMED} more" if len(self.rows) > ROWS_NAMED else ""
        name = f" (first: {visible(self.id)})" if self.id not in ("", str(self.rows[0])) else ""
        return f"row{'s' * (len(self.rows) > 1)} {named}{more}{name}"


def pieces(view: View) -> Iterator[Piece]:
    """The tokens of a row with everything visible; a token that ends a line says so."""
    for place, trained in enumerate(view.trained):
        text = view.piece(place)
        yield Piece(visible(text), trained, text.endswith("\n"), place)


def heading(view: View) -> str:
    """What stands over a row: its number, what its data calls it, its mode and its tokens."""
    conversation = view.case.conversation
    name = "" if conversation.id == str(view.number) else f"{conversation.id}, "
    kind = "asked and not imitated" if view.case.is_prompt else conversation.mode
    tokens = f"{len(view.input_ids):,} tokens" + ("" if view.case.is_prompt else f", {view.trained_tokens:,} with loss")
    return f"row {view.number} ({name}{kind}): {tokens}"


def visible(text: str) -> str:
    """Text in which newlines are arrows, and control and direction characters are written as their escapes."""
    named = text.replace("\n", NEWLINE).replace("\t", TAB)
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in named
    )


def grouped(inspection: Inspection) -> list[Group]:
    """Findings by code and gravity, in the order in which they come."""
    found: dict[tuple[str, str], Group] = {}
    for finding in inspection.findings:
        name = inspection.ids.get(finding.row, "") if finding.row is not None else ""
        group = found.setdefault((finding.code, finding.severity), Group(finding, [], name))
        if finding.row is not None and finding.row not in group.rows:
            group.rows.append(finding.row)
    return list(found.values())
