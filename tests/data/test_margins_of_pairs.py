"""A pair may say how far apart its two rewards have to be; what is no number there makes its row faulty."""

import json
from pathlib import Path
from typing import Any

import pytest

from alignment.core.errors import DataError
from alignment.data.rows import read_rows, write_rows
from alignment.data.sources.named import source_of
from alignment.data.sources.rows import LeftOut, source_pairs
from alignment.data.sources.unread import unread_columns
from alignment.recipe.blocks.data import MixturePart

PAIR = {"prompt": "2 + 2 =", "chosen": "4", "rejected": "5"}


def margins(path: Path, left_out: list[LeftOut] | None = None, **fields: str) -> list[float | None]:
    source = source_of(MixturePart(source=str(path), fields=fields))
    return [pair.margin for pair in source_pairs(source, seed=None, path=None, left_out=left_out)]  # type: ignore[arg-type]


def written(path: Path, *values: Any, column: str = "margin") -> Path:
    path.write_text("".join(json.dumps({**PAIR, column: value}) + "\n" for value in values), encoding="utf-8")
    return path


def test_a_column_margin_is_read_wherever_it_stands(tmp_path: Path) -> None:
    rows = written(tmp_path / "pairs.jsonl", 0.5, 3, -1, None)
    assert margins(rows) == [0.5, 3.0, -1.0, None]
    assert unread_columns(source_of(MixturePart(source=str(rows)))) == []
    table = tmp_path / "pairs.csv"
    table.write_text("prompt,chosen,rejected,margin\na,b,c,0.25\nd,e,f,\n", encoding="utf-8")
    assert margins(table) == [0.25, None]
    bare = tmp_path / "bare.jsonl"
    bare.write_text(json.dumps(PAIR) + "\n", encoding="utf-8")
    assert margins(bare) == [None]


def test_fields_name_another_column(tmp_path: Path) -> None:
    rows = written(tmp_path / "pairs.jsonl", 2.0, column="confidence")
    named = {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"}
    assert margins(rows, **named, margin="confidence") == [2.0]
    assert unread_columns(source_of(MixturePart(source=str(rows), fields=named))) == ["confidence"]
    with pytest.raises(DataError, match="'certainty', which no row has"):
        margins(rows, **named, margin="certainty")
    with pytest.raises(DataError, match="`margin` is that of a pair"):
        margins(rows, question="prompt", answer="chosen", margin="confidence")


@pytest.mark.parametrize("value", ["much", True, [1], "nan", "inf", {"is": 1}], ids=str)
def test_what_is_no_number_makes_its_row_faulty(tmp_path: Path, value: Any) -> None:
    left_out: list[LeftOut] = []
    assert margins(written(tmp_path / "pairs.jsonl", 1.0, value), left_out) == [1.0]
    assert left_out[0].place.endswith(":2") and "a finite number" in left_out[0].why


def test_a_margin_is_kept_with_its_row(tmp_path: Path) -> None:
    source = source_of(MixturePart(source=str(written(tmp_path / "pairs.jsonl", 1.5))))
    write_rows(tmp_path / "kept.jsonl", source_pairs(source, seed=None, path=None))  # type: ignore[arg-type]
    assert [row.margin for row in read_rows(tmp_path / "kept.jsonl", "preference")] == [1.5]  # type: ignore[union-attr]
