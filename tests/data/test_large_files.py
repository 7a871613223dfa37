"""A table takes disk and not memory: rows are read one at a time, whatever the format, and wait in a file where shuffled."""

import gzip
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from own_recipe import chat, recipe

from alignment.data.mixture import conversations_of, load_parts
from alignment.data.tables.files import read_table
from alignment.data.tables.spool import Spool, shuffled
from alignment.run.plan import RunPlan

MIB = 1 << 20


def texts(count: int) -> Iterator[str]:
    """Rows of 2 kB."""
    return (json.dumps(chat(f"question {number}?", f"word {number} " * 180)) for number in range(count))


def lines(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{text}\n" for text in texts(count))


def packed(path: Path, count: int) -> None:
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as file:
        file.writelines(f"{text}\n" for text in texts(count))


def array(path: Path, count: int) -> None:
    path.write_text("[" + ",\n".join(texts(count)) + "]", encoding="utf-8")


def parquet(path: Path, count: int) -> None:
    import pyarrow
    from pyarrow import parquet

    rows = [json.loads(text) for text in texts(count)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=500)


FORMATS: dict[str, Callable[[Path, int], None]] = {
    "rows.jsonl": lines, "rows.jsonl.gz": packed, "rows.json": array, "rows.parquet": parquet,
}  # fmt: skip


def peak_of(work: Callable[[], object]) -> float:
    """The most memory, in MiB, that Python's objects took at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", FORMATS)
def test_rows_are_read_one_at_a_time(tmp_path: Path, name: str) -> None:
    FORMATS[name](tmp_path / name, 5000)  # 10 MB
    assert peak_of(lambda: sum(1 for _ in read_table(tmp_path / name))) < 5
    assert next(read_table(tmp_path / name)).value == chat("question 0?", "word 0 " * 180)


def test_shuffled_rows_are_all_there_in_the_order_of_the_seed_and_not_in_memory(tmp_path: Path) -> None:
    lines(tmp_path / "rows.jsonl", 5000)
    plan = RunPlan.load(recipe(tmp_path, "rows.jsonl"), [])
    asked = list[str]()

    def read() -> None:
        rows = conversations_of(plan.recipe, load_parts(plan.recipe.stages[0].data), Path)
        asked.extend(row.messages[0]["content"] for row in rows)

    assert peak_of(read) < 6
    assert sorted(asked) == sorted(f"question {number}?" for number in range(5000))
    assert asked != [f"question {number}?" for number in range(5000)]


def test_a_spool_gives_rows_back_as_they_were_and_shuffles_as_a_list_would_be() -> None:
    import random

    from alignment.data.rows import Conversation, Problem

    rows = [
        Problem(str(number), [{"role": "user", "content": "half \ud83d \u2028"}], "3", None, "own", {"x": [1.5, None]})
        for number in range(50)
    ]
    spool = Spool(rows)
    assert list(spool) == rows and spool[-1] == rows[-1] and spool[3:5] == rows[3:5]
    listed = list(rows)
    random.Random(7).shuffle(listed)
    assert list(shuffled(spool, 7)) == listed
    assert list(Spool([Conversation("a", [], "thinking")])) == [Conversation("a", [], "thinking")]


SCRIPT = """
import resource, sys
from pathlib import Path
from alignment.checks.recipe import checked
from alignment.data.mixture import conversations_of, load_parts
from alignment.lint.findings import Intent
from alignment.lint.rows import without_faulty
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
plan = checked(Path(sys.argv[1]), [])
rows = conversations_of(plan.recipe, load_parts(plan.recipe.stages[0].data), Path)
kept, _ = without_faulty(rows, Intent.of(plan.recipe, plan.recipe.stages[0]))
print(len(kept), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.long
def test_a_file_of_400_megabytes_is_checked_and_shuffled_within_150(tmp_path: Path) -> None:
    lines(tmp_path / "rows.jsonl", 200_000)
    assert (tmp_path / "rows.jsonl").stat().st_size > 400e6
    path = recipe(tmp_path, "rows.jsonl")
    ended = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=True)
    rows, grown_mib = map(int, ended.stdout.split())
    assert rows == 200_000 and grown_mib < 150
