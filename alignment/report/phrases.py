"""Formats numbers: percentages, points, durations, counts, and the sentence that sums up a run.

Neighbours: report/render/markdown.py, report/render/html.py and report/render/terminal.py all write through here, so that one number looks the same everywhere.
"""

from collections.abc import Mapping
from datetime import datetime

from alignment.core.statistics.estimate import Estimate
from alignment.core.typed_json import Json
from alignment.core.vocabulary import MODES, Mode
from alignment.records.attempt import Attempt
from alignment.records.card import CardCheck, CardFigures, CardFraction, CardPart
from alignment.report.document import Change, Number, Outcome, Report

MISSING = "–"
MODE_NAMES: dict[Mode, str] = {"thinking": "thinking", "non_thinking": "non-thinking"}
ARROWS = {"gain": "▲", "loss": "▼"}


def percent(fraction: Number) -> str:
    """0.8125 -> `81.2`, the percent sign left to the column's heading."""
    return MISSING if fraction is None else f"{100 * fraction:.1f}"


def interval(figure: Estimate) -> str:
    """The interval of a fraction in percent, `76.4–85.3`; empty where there is none."""
    return "" if figure.low is None or figure.high is None else f"{100 * figure.low:.1f}–{100 * figure.high:.1f}"


def with_interval(figure: Estimate) -> str:
    """A fraction in percent with its interval: `81.2 (76.4–85.3)`."""
    return MISSING if figure.value is None else f"{percent(figure.value)} ({interval(figure)})"


def points(difference: Number) -> str:
    """A difference of fractions in percentage points, with its sign: -0.021 -> `−2.1`."""
    if difference is None:
        return MISSING
    rounded = round(100 * difference, 1)
    return f"{'−' if rounded < 0 else '+' if rounded > 0 else '±'}{abs(rounded):.1f}"


def arrow(difference: Number) -> str:
    """Which way a difference points, whether or not it is clear."""
    rounded = 0.0 if difference is None else round(100 * difference, 1)
    return "▲" if rounded > 0 else "▼" if rounded < 0 else "•"


def change(entry: Change | None) -> str:
    """`▼ −6.3 loss`, `▲ +1.2 not clear`: the arrow, the points and whether chance could explain them."""
    if entry is None or entry.tested.accuracy is None:
        return MISSING
    found = entry.tested
    word = found.verdict if found.significant else "not clear"
    return f"{arrow(found.accuracy)} {points(found.accuracy)} {word}"


def count(value: Number) -> str:
    """`18,400`; from a million on, `1.84 M`."""
    if value is None:
        return MISSING
    if value >= 1e9:
        return f"{value / 1e9:.2f} G"
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value:,.0f}"


def decimals(value: Number, form: str = ".3f") -> str:
    """A number in a given form, for tables in a terminal."""
    return MISSING if value is None else format(value, form)


def figure(value: Number) -> str:
    """A training metric to about three digits."""
    if value is None:
        return MISSING
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size and size < 0.001:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:.3g}"


def duration(seconds: Number) -> str:
    """`48 s`, `12 min 30 s`, `3 h 05 min`."""
    if seconds is None:
        return MISSING
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def attempt(one: Attempt) -> str:
    """One start of a stage's process: `killed after 48 s`, `finished after 31 s, from step 30`."""
    step = f", from step {one.resumed_from_step}" if one.resumed_from_step else ""
    if one.outcome is None:
        return f"ended without a word{step}"
    return f"{one.outcome} after {duration(one.seconds)}{step}"


def counted(counts: Mapping[str, Json]) -> str:
    """A manifest's counts in a line, nested ones by their inner names: `rows 4,000, too long 12`."""
    parts = []
    for name, value in counts.items():
        said = counted(value) if isinstance(value, Mapping) else f"{value:,}" if isinstance(value, int) else str(value)
        parts.append(f"{name.replace('_', ' ')} {said}")
    return ", ".join(parts)


def card_fraction(fraction: CardFraction) -> tuple[str, str, str, str]:
    """A fraction of a data card: its words, what was asked and made in percent, and `398 of 905`."""
    made = f"{count(fraction.rows)} of {count(fraction.of)}"
    return fraction.words, percent(fraction.asked), percent(fraction.made), made


def card_part(part: CardPart) -> tuple[str, str, str, str, str]:
    """A part of a data card: its name, licences, and rows read, left out (with the reasons) and used."""
    left_out = ", ".join(f"{count(number)} {reason}" for reason, number in part.left_out.items())
    return (
        part.name,
        "; ".join(dict.fromkeys(part.licences.values())),
        count(part.rows_read),
        left_out or "none",
        count(part.rows_used),
    )


def card_check(check: CardCheck) -> tuple[str, str, str, str]:
    """A check of a data card: its name, rows found, rows of which it could not tell, and its rule."""
    return check.name, count(check.found), count(check.unknown), check.sentence


def card_tests(figures: CardFigures) -> str:
    """With how many evaluation problems rows were compared, and which could not be read; empty where none were asked for."""
    if figures.tests is None:
        return ""
    said = f"Compared with {count(figures.tests)} evaluation problems."
    missing = ", ".join(figures.tests_not_read)
    return f"{said} Not compared with {missing}, whose problems could not be read." if missing else said


def short_hash(value: str | None) -> str:
    """The first ten digits of a hash."""
    return MISSING if not value else value.removeprefix("sha256:")[:10]


def clear_changes(report: Report, wanted: Outcome) -> list[str]:
    """`mode_fusion, thinking −6.3` for every accuracy change whose verdict is `wanted`, task by task where it hides."""
    found = []
    for stage in report.stages:
        for mode, entry in stage.changes.items():
            place = f"{stage.name}, {MODE_NAMES[mode]}"
            if entry.tested.verdict == wanted:
                found.append(f"{place} {points(entry.tested.accuracy)}")
            hidden = [task for task in entry.tasks if task.tested.verdict == wanted != entry.tested.verdict]
            found += [f"{place} on {task.task} {points(task.tested.accuracy)}" for task in hidden]
    return found


def summary(report: Report) -> str:
    """One or two sentences: where accuracy began, where it ended, and every clear loss on the way."""
    if not report.final:
        return "Nothing has been evaluated yet."
    moves: dict[tuple[str, str], list[str]] = {}
    for mode in MODES:
        path = [stage for stage in report.stages if mode in stage.evaluations]
        if path:
            ends = [percent(stage.evaluations[mode].accuracy.value) for stage in (path[0], path[-1])]
            said = f"went from {ends[0]}% to {ends[1]}%" if len(path) > 1 else f"is {ends[0]}%"
            moves.setdefault((path[0].name, path[-1].name), []).append(f"{MODE_NAMES[mode]} accuracy {said}")
    sentences = [_move(*ends, modes) for ends, modes in moves.items()]
    if any(stage.changes for stage in report.stages):
        losses = clear_changes(report, "loss")
        sentences.append(f"Clear losses: {'; '.join(losses)}." if losses else "No stage lost accuracy clearly.")
    return " ".join(sentences)


def _move(first: str, last: str, modes: list[str]) -> str:
    where = f"After {first}" if first == last else f"From {first} to {last}"
    return f"{where}, {' and '.join(modes)}."


def moment(started: str) -> str:
    """An ISO 8601 time to the minute, `2026-07-30 06:12 UTC`; anything else as it is."""
    try:
        parsed = datetime.fromisoformat(started)
    except ValueError:
        return started
    return f"{parsed:%Y-%m-%d %H:%M} {parsed.tzname() or ''}".strip()
