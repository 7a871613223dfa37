"""Progress reports of long work: one line per step, with a rate and the time left.

A stage's process reports with `Progress`. If the runner started it, its reports go to a file that run/watch.py shows as
a bar; if a user started it, they are printed.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

PROGRESS_FILE = "ALIGNMENT_PROGRESS"  # set by run/processes.py for the processes it starts


class Progress:
    """Reports one piece of work of known length.

    Args:
        work: its name, shown first in each line.
        total: how many steps, rows or problems it has.
        done: how many are done already, for work that is resumed; they do not count for the rate.
    """

    def __init__(self, work: str, total: int, done: int = 0) -> None:
        self.work, self.total = work, total
        self._started, self._before = time.monotonic(), done
        file = os.environ.get(PROGRESS_FILE)
        self._file = Path(file) if file else None

    def report(self, done: int, **figures: Any) -> None:
        """Report how much is done, with figures worth seeing (loss, reward); figures that are None are left out."""
        spent = time.monotonic() - self._started
        made = done - self._before
        rate = made / spent if spent > 0 and made > 0 else 0.0
        event = {
            "work": self.work,
            "done": done,
            "total": self.total,
            "per_second": round(rate, 4),
            "seconds_left": round((self.total - done) / rate) if rate else None,
            **{name: value for name, value in figures.items() if value is not None},
        }
        if self._file is None:
            print(as_line(event), flush=True)
            return
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")


def as_line(event: dict[str, Any]) -> str:
    """Format a report as one line: `sft 12/40  2.1/s  13 s left  loss 0.412`."""
    standard = ("work", "done", "total", "per_second", "seconds_left")
    figures = "  ".join(f"{name} {_short(value)}" for name, value in event.items() if name not in standard)
    left = "" if event["seconds_left"] is None else f"  {event['seconds_left']} s left"
    rate = f"  {event['per_second']:.3g}/s" if event["per_second"] else ""
    return f"{event['work']} {event['done']}/{event['total']}{rate}{left}  {figures}".rstrip()


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
