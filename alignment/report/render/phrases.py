"""How numbers read: percentages, points, durations, counts and the sentence that sums a run up.

Neighbours: markdown.py, html.py and terminal.py all write through here, so that one number looks the same everywhere.
"""

from datetime import datetime
from typing import Any

from alignment.report.record import MODES, Number

MISSING = "–"
MODE_NAMES = {"thinking": "thinking", "non_thinking": "non-thinking"}
ARROWS = {"gain": "▲", "loss": "▼"}


def percent(share: Number) -> str:
    """0.8125 -> `81.2`, the percent sign left to the column's heading."""
    return MISSING if share is None else f"{100 * share:.1f}"


def interval(low: Number, high: Number) -> str:
    return "" if low is None or high is None else f"{100 * low:.1f}–{100 * high:.1f}"


def points(difference: Number) -> str:
    """A difference of shares in percentage points, with its sign: -0.021 -> `−2.1`."""
    if difference is None:
        return MISSING
    rounded = round(100 * difference, 1)
    return f"{'−' if rounded < 0 else '+' if rounded > 0 else '±'}{abs(rounded):.1f}"


def arrow(difference: Number) -> str:
    """Which way a difference points, whether or not it is clear."""
    rounded = 0.0 if difference is None else round(100 * difference, 1)
    return "▲" if rounded > 0 else "▼" if rounded < 0 else "•"


def change(entry: dict[str, Any] | None) -> str:
    """`▼ −6.3 loss`, `▲ +1.2 not clear`: the arrow, the points and whether chance could explain them."""
    if not entry or entry["accuracy"] is None:
        return MISSING
    word = entry["verdict"] if entry["significant"] else "not clear"
    return f"{arrow(entry['accuracy'])} {points(entry['accuracy'])} {word}"


def count(value: Number) -> str:
    """`18,400`; from a million on, `1.84 M`."""
    if value is None:
        return MISSING
    if value >= 1e9:
        return f"{value / 1e9:.2f} G"
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value:,.0f}"


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


def counted(counts: dict[str, Any]) -> str:
    """A manifest's counts in a line, nested ones by their inner names: `rows 4,000, too long 12`."""
    parts = []
    for name, value in counts.items():
        said = counted(value) if isinstance(value, dict) else f"{value:,}" if isinstance(value, int) else str(value)
        parts.append(f"{name.replace('_', ' ')} {said}")
    return ", ".join(parts)


def card_fraction(share: dict[str, Any]) -> tuple[str, str, str, str]:
    """A share of a data card: its words, what was asked and made in percent, and `398 of 905`."""
    counts = f"{count(share['rows'])} of {count(share['of'])}"
    return share["words"], percent(share["asked"]), percent(share["made"]), counts


def card_part(part: dict[str, Any]) -> tuple[str, str, str, str, str]:
    """A part of a data card: its name, licences, and rows read, left out (with the reasons) and used."""
    left_out = ", ".join(f"{count(number)} {reason}" for reason, number in part["left_out"].items())
    return (
        part["name"],
        "; ".join(part["licences"]),
        count(part["rows_read"]),
        left_out or "none",
        count(part["rows_used"]),
    )


def short_hash(value: str | None) -> str:
    return MISSING if not value else value.removeprefix("sha256:")[:10]


def clear_changes(document: dict[str, Any], wanted: str) -> list[str]:
    """`mode_fusion, thinking −6.3` for every accuracy change whose verdict is `wanted`, task by task where it hides."""
    found = []
    for stage in document["stages"]:
        for mode, entry in stage["changes"].items():
            place = f"{stage['name']}, {MODE_NAMES[mode]}"
            if entry["verdict"] == wanted:
                found.append(f"{place} {points(entry['accuracy'])}")
            hidden = [task for task in entry["tasks"] if task["verdict"] == wanted != entry["verdict"]]
            found += [f"{place} on {task['task']} {points(task['accuracy'])}" for task in hidden]
    return found


def summary(document: dict[str, Any]) -> str:
    """One or two sentences: where accuracy began, where it ended, and every clear loss on the way."""
    if not document["final"]:
        return "Nothing has been evaluated yet."
    moves: dict[tuple[str, str], list[str]] = {}
    for mode in MODES:
        path = [stage for stage in document["stages"] if mode in stage["evaluations"]]
        if path:
            ends = [percent(stage["evaluations"][mode]["accuracy"]) for stage in (path[0], path[-1])]
            said = f"went from {ends[0]}% to {ends[1]}%" if len(path) > 1 else f"is {ends[0]}%"
            moves.setdefault((path[0]["name"], path[-1]["name"]), []).append(f"{MODE_NAMES[mode]} accuracy {said}")
    sentences = [_move(*ends, modes) for ends, modes in moves.items()]
    if any(stage["changes"] for stage in document["stages"]):
        losses = clear_changes(document, "loss")
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
