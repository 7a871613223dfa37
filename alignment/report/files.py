"""Reads JSON and JSON lines that may be missing, half written or hostile, and notes what was wrong instead of failing.

Every value leaves here printable: no NaN, no infinity, no lone surrogate that would break a later UTF-8 write.
Neighbours: read.py knows which file holds what; this file knows only how files go wrong.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

LARGEST = 1e300  # beyond it, and for NaN, a recorded number is not a measurement


@dataclass(frozen=True)
class Reader:
    """Reads the files of one run directory and collects, in `notes`, a sentence for each thing that was wrong."""

    root: Path
    notes: list[str] = field(default_factory=list)

    def note(self, path: Path, message: str) -> None:
        self.notes.append(f"{path.relative_to(self.root)} {message}")

    def json_object(self, path: Path) -> dict[str, Any]:
        """The object in a JSON file; empty where there is no such file, and where it cannot be read, with a note."""
        if not path.is_file():
            return {}
        try:
            value = clean(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError) as error:
            self.note(path, f"cannot be read and was left out ({_reason(error)}).")
            return {}
        if not isinstance(value, dict):
            self.note(path, "does not hold a JSON object and was left out.")
            return {}
        return value

    def json_lines(self, path: Path) -> Iterator[dict[str, Any]]:
        """The objects of a .jsonl file. A half-written last line and damaged lines are left out, with a note."""
        if not path.is_file():
            return
        damaged: list[int] = []
        number = 0
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                for number, text in enumerate(file, start=1):
                    value = _parsed(text)
                    if isinstance(value, dict):
                        yield value
                    elif text.strip():
                        damaged.append(number)
        except OSError as error:
            self.note(path, f"cannot be read to its end ({_reason(error)}).")
        if damaged and damaged[-1] == number:
            damaged.pop()
            self.note(path, f"ends in a half-written line (line {number}), which was left out.")
        if damaged:
            lines = "line" if len(damaged) == 1 else "lines"
            self.note(path, f"has {len(damaged)} {lines} that cannot be read, the first at {damaged[0]}; left out.")

    def yaml_object(self, path: Path) -> dict[str, Any]:
        """The mapping in a YAML file, read as `json_object` reads JSON."""
        if not path.is_file():
            return {}
        try:
            value = clean(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            self.note(path, f"cannot be read and was left out ({_reason(error)}).")
            return {}
        return value if isinstance(value, dict) else {}


def clean(value: Any) -> Any:
    """The same JSON value with lone surrogates replaced by `?` and NaN and infinities by None, at every depth."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, int | float):
        return value if isinstance(value, bool) or abs(value) < LARGEST else None
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean(str(key)): clean(item) for key, item in value.items()}
    return value


def _parsed(text: str) -> Any:
    try:
        return clean(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
