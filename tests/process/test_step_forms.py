"""Data sets with step labels are read in the forms in which they are published."""

import json
from pathlib import Path
from typing import Any

import pytest

from alignment.core.errors import DataError
from alignment.data.rows import Stepwise, read_rows, write_rows
from alignment.data.step_forms import SHEPHERD_TAG, read_steps
from alignment.data.table_files import FileRow


def completion(text: str, rating: int | None) -> dict[str, Any]:
    return {"text": text, "rating": rating, "flagged": False}


def prm800k(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"question": {"problem": "2 + 2?", "ground_truth_answer": "4"}, "label": {"steps": list(steps)}}


def read(tmp_path: Path, *rows: dict[str, Any]) -> list[Stepwise | FileRow]:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return list(read_steps(path))


def one(tmp_path: Path, row: dict[str, Any]) -> Stepwise:
    (found,) = read(tmp_path, row)
    assert isinstance(found, Stepwise), found
    return found


def test_prm800k_takes_the_chosen_completions_and_ends_with_the_error_that_was_found(tmp_path: Path) -> None:
    chosen = {"completions": [completion("a", -1), completion("b", 1)], "chosen_completion": 1}
    neutral = {"completions": [completion("c", 0)], "chosen_completion": 0}
    error = {"completions": [completion("d", 1), completion("e", -1)], "chosen_completion": None}
    after = {"completions": [completion("f", 1)], "chosen_completion": 0}
    row = one(tmp_path, prm800k(chosen, neutral, error, after))
    assert (row.steps, row.labels, row.first_error) == (["b", "c", "e"], [1.0, 1.0, 0.0], 2)
    assert (row.prompt[0]["content"], row.answer) == ("2 + 2?", "4")


def test_math_shepherd_reads_its_tags(tmp_path: Path) -> None:
    text = "How many? Step 1: 2 + 2 = <<2+2=4>>4 {0}\nStep 2: 4 + 1 = 6 {1}\nStep 3: The answer is: 6 {1}"
    tags = text.format(SHEPHERD_TAG, SHEPHERD_TAG)
    row = one(tmp_path, {"input": tags, "label": text.format("+", "-"), "task": "GSM8K"})
    assert row.prompt[0]["content"] == "How many?"
    assert row.steps[1:] == ["Step 2: 4 + 1 = 6", "Step 3: The answer is: 6"]
    assert (row.labels, row.first_error) == ([1.0, 0.0, 0.0], 1)
    assert row.until_first_error().labels == [1.0, 0.0, None]


def test_process_bench_names_the_first_wrong_step(tmp_path: Path) -> None:
    bench = {"id": "x-1", "problem": "?", "steps": ["a", "b", "c"], "final_answer_correct": False}
    wrong, right = read(tmp_path, {**bench, "label": 1}, {**bench, "label": -1})
    assert isinstance(wrong, Stepwise)
    assert isinstance(right, Stepwise)
    assert (wrong.id, wrong.labels, wrong.first_error) == ("x-1", [1.0, 0.0, None], 1)
    assert (right.labels, right.first_error) == ([1.0, 1.0, 1.0], None)


def test_versa_prm_and_trl_rows_are_read(tmp_path: Path) -> None:
    versa = {
        "question": "Which?",
        "options": ["x", "y"],
        "chain_of_thoughts": ["a", "b"],
        "labels": [1, -1],
        "category": "law",
    }
    row = one(tmp_path, versa)
    assert (row.labels, row.family) == ([1.0, 0.0], "law")
    assert row.prompt[0]["content"] == "Which?\nA. x\nB. y"
    assert one(tmp_path, {"prompt": "?", "completions": ["a", "b"], "labels": [True, False]}).labels == [1.0, 0.0]


def test_a_row_that_does_not_fit_its_form_is_named_and_left_out(tmp_path: Path) -> None:
    bench = {"id": "x", "problem": "?", "steps": ["a"]}
    good, bad = read(tmp_path, {**bench, "label": 0}, {**bench, "label": 7})
    assert isinstance(good, Stepwise)
    assert isinstance(bad, FileRow)
    assert "rows.jsonl:2" in bad.place
    assert "`label` is 7" in bad.fault


def test_a_file_without_step_labels_is_refused_with_the_forms_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"rows.jsonl:1: has text, and no form of step labels.*ProcessBench: label, problem, steps"
    ):
        read(tmp_path, {"text": "no steps"})


def test_rows_are_written_and_read_again(tmp_path: Path) -> None:
    row = Stepwise("a", [{"role": "user", "content": "?"}], ["x", "y"], [1.0, None], outcome=1.0, rationale="since")
    write_rows(tmp_path / "rows.jsonl", [row])
    assert list(read_rows(tmp_path / "rows.jsonl", "stepwise")) == [row]
    assert list(read_steps(tmp_path / "rows.jsonl")) == [row]
