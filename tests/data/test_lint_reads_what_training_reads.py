"""`alignment lint FILE` and a stage's rows come of one reader: the same rows, in every format and shape, and the same faults."""

from pathlib import Path

import pytest
from fuzzed_shapes import FORMATS, GOOD
from own_recipe import chat, chats, recipe, write_lines

from alignment.data.sources.declared import Table
from alignment.data.sources.named import load_source
from alignment.data.sources.rows import table_places
from alignment.lint.cases import read_cases
from alignment.lint.findings import Intent
from alignment.lint.rows import table_faults


@pytest.mark.parametrize(("make", "suffix"), GOOD, ids=lambda one: getattr(one, "__name__", one))
def test_lint_of_a_file_shows_the_messages_that_a_stage_takes(tmp_path: Path, make, suffix: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(FORMATS[suffix]([make(number).value for number in range(5)]))
    source = load_source(str(path))
    assert isinstance(source, Table)
    taken = [row for _, row in table_places(source, None)]
    cases, findings = read_cases(path, 100)
    assert findings == []
    seen = [case.messages for case in cases]
    if hasattr(taken[0], "chosen"):
        assert seen == [[*row.prompt, answer] for row in taken for answer in (row.chosen, row.rejected)]  # type: ignore[union-attr]
    else:
        assert seen == [row.messages for row in taken]  # type: ignore[union-attr]


def test_a_row_that_lint_cannot_read_is_one_that_a_stage_leaves_out(tmp_path: Path) -> None:
    rows = [chat(f"{number} + 2?") for number in range(200)]
    rows[7] = {"messages": "none"}  # type: ignore[dict-item]
    write_lines(tmp_path / "rows.jsonl", rows)
    _, findings = read_cases(tmp_path / "rows.jsonl", 200)
    assert [finding.row for finding in findings] == [8]
    source = load_source(str(tmp_path / "rows.jsonl"))
    assert isinstance(source, Table)
    assert [one.place for one in table_faults(source, None, Intent()).faulty] == ["rows.jsonl:8"]
    assert len(chats(recipe(tmp_path, "rows.jsonl"))) == 199
