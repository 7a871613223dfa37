"""Data sets with step labels are read in the forms in which they are published."""

import json
from pathlib import Path
from typing import Any

import pytest

from alignment.core.errors import DataError
from alignment.data.rows import Stepwise, read_rows, write_rows
from alignment.data.tables.files import FileRow
from alignment.data.tables.step_forms import SHEPHERD_TAG, read_steps


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


def rated(steps: list[dict[str, Any]], finish: str, **question: Any) -> dict[str, Any]:
    """A row of PRM800K with all that its files have beside the steps."""
    asked = {"problem": "$2 + 2$?", "ground_truth_answer": "4", **question}
    row = {"labeler": "a0", "timestamp": "2022-07-30T23:23:32", "generation": None, "question": asked}
    row |= {"is_quality_control_question": False, "is_initial_screening_question": False}
    return {**row, "label": {"steps": steps, "total_time": 9000, "finish_reason": finish}}


def phase(*ratings: int | None, chosen: int | None = 0, human: str | None = None) -> dict[str, Any]:
    found = [completion(f"step rated {rating}", rating) for rating in ratings]
    written = None if human is None else {"text": human, "source": "human", "flagged": False, "corrected_rating": None}
    return {"completions": found, "chosen_completion": chosen, "human_completion": written}


def test_prm800k_in_the_shape_of_its_files_ends_where_no_completion_was_chosen(tmp_path: Path) -> None:
    """Of its first phase, in which humans write steps, and of its second, which begins with a solution and its scores."""
    second = {
        "ground_truth_solution": "It is 4.", "pre_generated_steps": ["a"], "pre_generated_answer": "5",
        "pre_generated_verifier_score": 0.01,
    }  # fmt: skip
    written, found, given_up, plain = read(
        tmp_path,
        rated([phase(1), phase(-1, -1, -1, chosen=None, human="better"), phase(1), phase(0, 1, chosen=1)], "solution"),
        rated([phase(1), phase(0), phase(-1, 1, 1, chosen=None)], "found_error", **second),
        rated([phase(1), phase(-1, -1, chosen=None, human="x"), phase(chosen=None)], "give_up"),
        rated([phase(1), phase(-1, -1, 1, 1, chosen=2)], "solution", **second),
    )
    labels = [one.labels if isinstance(one, Stepwise) else one for one in (written, found, given_up, plain)]
    assert labels == [[1.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
    assert isinstance(plain, Stepwise) and (plain.answer, plain.steps[1]) == ("4", "step rated 1")


def test_the_trees_of_math_aps_are_no_rows_with_steps_and_are_refused(tmp_path: Path) -> None:
    tree = {"text": "?", "mc_value": 0.9, "children": [{"text": "a", "mc_value": 1.0, "children": []}]}
    flat = [{"solution_prefix": "?", "mc_value": 0.9}, {"solution_prefix": "?\n\na", "mc_value": 1.0}]
    for steps in (tree, flat):
        row = {"question": "?", "final_answer": "3", "reasoning_steps": steps, "question_id": "0"}
        with pytest.raises(DataError, match="has question, final_answer, reasoning_steps, question_id, and no form"):
            read(tmp_path, row)


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


def test_process_bench_in_the_shape_of_its_files(tmp_path: Path) -> None:
    """A list in one JSON file; R-PRM's copy has `steps-merge` as well."""
    row = {"id": "gsm8k-0", "generator": "Qwen2-7B-Instruct", "problem": "?", "steps": ["a", "b"], "steps-merge": "a b"}
    path = tmp_path / "gsm8k.json"
    path.write_text(json.dumps([{**row, "final_answer_correct": False, "label": 0}]), encoding="utf-8")
    (found,) = read_steps(path)
    assert isinstance(found, Stepwise)
    assert (found.id, found.steps, found.labels, found.outcome) == ("gsm8k-0", ["a", "b"], [0.0, None], 0.0)


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
