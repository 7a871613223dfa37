"""Shared by the linter's terminal and HTML output: visible tokens, and findings grouped by code.

Data is untrusted: control and direction characters are written as escapes. Neighbours: terminal.py, page.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from alignment.lint.findings import Finding, Severity
from alignment.lint.linter import Inspection
from alignment.lint.views import View

MAX_ROWS_NAMED = 6
NEWLINE, TAB = "↵", "→"


@dataclass(frozen=True)
class Piece:
    """One token as it is printed. place: its index in the row."""

    text: str
    trained: bool
    ends_line: bool
    place: int


@dataclass(frozen=True)
class Group:
    """Findings of one code and severity: the first of them, and the numbers of all rows that have one."""

    first: Finding
    rows: list[int]
    id: str  # the first row's id in the data

    @property
    def severity(self) -> Severity:
        """Error, warning or note."""
        return self.first.severity

    @property
    def where(self) -> str:
        """`rows 3, 8, 9 and 12 more`, or `every row`."""
        if not self.rows:
            return "every row"
        named = ", ".join(str(row) for row in self.rows[:MAX_ROWS_NAMED])
        more = f" and {len(self.rows) - MAX_ROWS_NAMED} more" if len(self.rows) > MAX_ROWS_NAMED else ""
        name = f" (first: {visible(self.id)})" if self.id not in ("", str(self.rows[0])) else ""
        return f"row{'s' * (len(self.rows) > 1)} {named}{more}{name}"


def pieces(view: View) -> Iterator[Piece]:
    """The tokens of a row, with every character visible."""
    for place, trained in enumerate(view.trained):
        text = view.piece(place)
        yield Piece(visible(text), trained, text.endswith("\n"), place)


def heading(view: View) -> str:
    """The heading of a row: `row 3 (id, thinking): 45 tokens, 23 with loss`."""
    conversation = view.case.conversation
    name = "" if conversation.id == str(view.number) else f"{conversation.id}, "
    kind = "prompt" if view.case.is_prompt else conversation.mode
    tokens = f"{len(view.input_ids):,} tokens" + ("" if view.case.is_prompt else f", {view.trained_tokens:,} with loss")
    return f"row {view.number} ({name}{kind}): {tokens}"


def visible(text: str) -> str:
    """Replace newlines and tabs by arrows, and control and direction characters by escapes."""
    named = text.replace("\n", NEWLINE).replace("\t", TAB)
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in named
    )


def grouped(inspection: Inspection) -> list[Group]:
    """Group findings by code and severity, in order of first appearance."""
    found: dict[tuple[str, str], Group] = {}
    for finding in inspection.findings:
        name = inspection.ids.get(finding.row, "") if finding.row is not None else ""
        group = found.setdefault((finding.code, finding.severity), Group(finding, [], name))
        if finding.row is not None and finding.row not in group.rows:
            group.rows.append(finding.row)
    return list(found.values())
