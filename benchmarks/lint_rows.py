"""How fast `alignment check` reads and lints every row of a file, and how much memory it takes for that.

`python -m benchmarks.lint_rows --rows 100000`. Chats of 2 kB with thinking; no tokenizer, no network. Neighbour:
alignment/lint/rows.py.
"""

import argparse
import json
import random
import resource
import tempfile
import time
from pathlib import Path

from alignment.data.sources.declared import Table
from alignment.data.sources.named import load_source
from alignment.lint.findings import Intent
from alignment.lint.rows import table_faults


def write_chats(path: Path, rows: int) -> None:
    """Chats of random words: a question of 40, thinking of 60, an answer of 120."""
    draw = random.Random(0)
    words = [f"word{number}" for number in range(3000)]
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            asked, thought, said = (" ".join(draw.choices(words, k=count)) for count in (40, 60, 120))
            turns = [
                {"role": "user", "content": f"{number} {asked}"},
                {"role": "assistant", "reasoning_content": thought, "content": said},
            ]
            file.write(json.dumps({"messages": turns}) + "\n")


def main() -> None:
    """Write the file, lint it, print rows a minute and the process's peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chats.jsonl"
        write_chats(path, rows)
        source = load_source(str(path))
        if not isinstance(source, Table):
            raise SystemExit("the file is not read as a table")
        size, started, computed = path.stat().st_size, time.monotonic(), time.process_time()
        found = table_faults(source, None, Intent())
        seconds, processor_seconds = time.monotonic() - started, time.process_time() - computed
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{found.rows:,} rows, {size / 1e6:.0f} MB, {len(found.faulty)} faulty")
    print(
        f"{seconds:.1f} s, {processor_seconds:.1f} s of one core: {60 * found.rows / processor_seconds:,.0f} rows a minute"
    )
    print(f"peak memory of the process: {peak_mib:.0f} MiB")


if __name__ == "__main__":
    main()
