"""output/card.json of a fusion stage -> Card. What cannot be read of it is left out.

Neighbours: read.py (everything else of a run), data_factory/fusion/card.py (which writes the file).
"""

from pathlib import Path
from typing import Any

from alignment.report.files import Reader
from alignment.report.record import MODES, Card, CardPart, CardSample, CardShare, Number, is_number


def read_card(reader: Reader, output: Path) -> Card | None:
    """The data card in a stage's output; None where there is none."""
    facts = reader.json_object(output / "card.json")
    if not facts:
        return None
    flags = _object(facts.get("flags"))
    return Card(
        path=(output / "card.md").relative_to(reader.root).as_posix(),
        shares=tuple(_share(name, one) for name, one in _object(facts.get("shares")).items() if isinstance(one, dict)),
        flags={mode: _counts(flags.get(mode)) for mode in MODES},
        turns=_counts(facts.get("turns")),
        flag_changes=_whole(facts.get("flag_changes")),
        data=tuple(map(_part, _objects(facts.get("data")))),
        samples=tuple(map(_sample, _objects(facts.get("samples")))),
    )


def _share(name: str, facts: dict[str, Any]) -> CardShare:
    return CardShare(
        name=name,
        words=str(facts.get("words") or name),
        asked=_number(facts.get("asked")),
        made=_number(facts.get("made")),
        rows=_whole(facts.get("rows")),
        of=_whole(facts.get("of")),
    )


def _part(facts: dict[str, Any]) -> CardPart:
    return CardPart(
        name=str(facts.get("source") or facts.get("stage") or "unnamed"),
        licences=tuple(dict.fromkeys(map(str, _object(facts.get("licences")).values()))),
        rows_read=_whole(facts.get("rows_read")),
        left_out=_counts(facts.get("left_out")),
        rows_used=_whole(facts.get("rows_used")),
    )


def _sample(facts: dict[str, Any]) -> CardSample:
    mode = facts.get("mode")
    return CardSample(
        mode=str(mode) if mode in MODES else "unknown",
        flag=str(facts.get("flag")),
        turns=_whole(facts.get("turns")),
        text=str(facts.get("text")),
    )


def _counts(value: object) -> dict[str, int]:
    return {name: int(count) for name, count in _object(value).items() if is_number(count)}


def _number(value: object) -> Number:
    return float(value) if is_number(value) else None


def _whole(value: object) -> int | None:
    return int(value) if is_number(value) else None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
