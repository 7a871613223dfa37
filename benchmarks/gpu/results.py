"""What the GPU check writes: one JSON line for each result, and a table of all of them.

Only the standard library, so that a line can be written where nothing else imports: `results.py failed` and
`results.py table` are what run.sh calls, `Results` is what each part writes through. A line's `ok` is true or false, or
null where nothing was judged; `reason` says why, wherever it is not true. docs/gpu.md says what each line means.
"""

import argparse
import importlib.util
import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

REHEARSED = "a bound for a GPU; this is the rehearsal"
HIDDEN = ("  ", "Traceback", "^")  # lines of a traceback that do not name the error


@dataclass(frozen=True)
class Line:
    """One result. value is null where there is none; reason is empty where the value speaks for itself."""

    part: str
    name: str
    value: float | None
    unit: str
    expect: str
    ok: bool | None
    card: str
    reason: str = ""

    def append_to(self, path: Path) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(self), ensure_ascii=False) + "\n")
        print(f"{self.part}: {self.name}: {shown(self.value)} {self.unit} {self.reason}".rstrip(), flush=True)


class Results:
    """The lines of one part. In the rehearsal only bounds that hold on any machine are judged."""

    def __init__(self, part: str, path: Path, *, rehearse: bool) -> None:
        self._part, self._path, self._rehearse = part, path, rehearse
        self._card = card(rehearse=rehearse)

    def add(
        self, name: str, value: float, unit: str, *, expect: str = "", ok: bool | None = None, anywhere: bool = False
    ) -> None:
        """A measured value. ok says whether it holds what `expect` says; anywhere, that the rehearsal judges it too."""
        judged = ok if anywhere or not self._rehearse else None
        reason = REHEARSED if ok is not None and judged is None else ""
        Line(self._part, name, value, unit, expect, judged, self._card, reason).append_to(self._path)

    def add_on_gpu(self, name: str, value: float, unit: str, *, expect: str = "", ok: bool | None = None) -> None:
        """A value that only a GPU has: its memory, or how much of its speed was used."""
        if self._rehearse:
            self.without(name, "measured on a GPU alone", expect=expect)
        else:
            self.add(name, value, unit, expect=expect, ok=ok)

    def without(self, name: str, reason: str, *, expect: str = "", ok: bool | None = None) -> None:
        """A result that could not be had: ok is null where it was skipped, false where that is a failure."""
        Line(self._part, name, None, "", expect, ok, self._card, reason).append_to(self._path)

    def lacks(self, *packages: str) -> bool:
        """Whether a package that the part needs is missing; then a line says which."""
        missing = [name for name in packages if importlib.util.find_spec(name) is None]
        if missing:
            self.without("skipped", f"needs {', '.join(missing)}: benchmarks/gpu/wheels.sh collects what to carry")
        return bool(missing)


def card(*, rehearse: bool) -> str:
    """The GPU's name, or "CPU"."""
    if rehearse:
        return "CPU"
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return "CPU"
    return listed.stdout.splitlines()[0].strip() if listed.returncode == 0 and listed.stdout.strip() else "CPU"


def shown(value: float | None) -> str:
    """A value for people: four digits, thousands with commas."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def failure(status: int, limit: int, log: Path) -> str:
    """Why a part failed, from its exit status and the end of its output."""
    if status == 124 or status == 137:  # what `timeout` exits with, and with --kill-after
        return f"ended at its limit of {limit} s"
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    named = [line for line in text.splitlines() if line.strip() and not line.startswith(HIDDEN)]
    return f"exit status {status}: {named[-1][:300] if named else 'it printed nothing'}"


def table(lines: Sequence[Line]) -> str:
    """The Markdown table of all lines, and how many hold."""
    verdicts = {True: "yes", False: "**no**", None: ""}
    rows = [
        f"| {one.part} | {one.name} | {shown(one.value)} {one.unit} | {one.expect} | {verdicts[one.ok]} | {one.reason} |"
        for one in lines
    ]
    counts = [sum(one.ok is verdict for one in lines) for verdict in (True, False, None)]
    head = [
        f"GPU check on {', '.join(sorted({one.card for one in lines})) or 'nothing'}: "
        f"{counts[0]} lines hold, {counts[1]} do not, {counts[2]} are not judged.",
        "",
        "| part | what | measured | expected | holds | note |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


def main() -> None:
    """`results.py failed PART --status N --limit N --log FILE --out FILE`, `results.py table --out FILE`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("what", choices=["failed", "table"])
    parser.add_argument("part", nargs="?", default="")
    parser.add_argument("--status", type=int, default=1)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--log", type=Path, default=Path())
    parser.add_argument("--reason", default="")
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    if given.what == "failed":
        reason = given.reason or failure(given.status, given.limit, given.log)
        Results(given.part, given.out, rehearse=given.rehearse).without("failed", reason, ok=False)
        return
    text = given.out.read_text(encoding="utf-8") if given.out.exists() else ""
    lines = [Line(**json.loads(line)) for line in text.splitlines()]
    print(table(lines))
    given.out.with_suffix(".md").write_text(table(lines), encoding="utf-8")
    raise SystemExit(any(one.ok is False for one in lines))


if __name__ == "__main__":
    main()
