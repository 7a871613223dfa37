"""A step_labels stage on a small policy: rows with labels, their cost in the manifest, and chunks that are kept."""

from pathlib import Path
from typing import Any

import pytest

from alignment.data.rows import Stepwise, read_rows
from alignment.records.run_folder import RunFolder
from process.stages import in_process, label_stage
from thinking_policy import a_thinker


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that writes one running total per line, and is often wrong."""
    return a_thinker(tmp_path_factory)


def rows_of(folder: Path) -> list[Stepwise]:
    found = read_rows(RunFolder(folder / "run").stage(1, "labels").output / "rows.jsonl", "stepwise")
    return [row for row in found if isinstance(row, Stepwise)]


def test_steps_are_labelled_and_their_cost_is_counted(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = in_process(tmp_path, policy, label_stage(), monkeypatch)
    rows = rows_of(tmp_path)
    assert counts["rows"] == len(rows) > 0
    assert counts["labels"] == sum(label is not None for row in rows for label in row.labels)
    for row in rows:  # a right answer has right steps, and a wrong one a first wrong step with nothing after it
        assert (row.first_error is None) == (row.outcome == 1)
        assert row.until_first_error() == row
    wrong = [row for row in rows if row.outcome == 0]
    assert counts["wrong_labels"] == len(wrong)
    left_out = sum(value for name, value in counts.items() if name.startswith("left_out_"))
    assert counts["solutions"] == 10 * 4 >= len(rows) + left_out
    if any(len(row.steps) > 1 for row in wrong):
        assert counts["label_tokens"] > 0
    assert counts["tokens_per_label"] == pytest.approx(counts["label_tokens"] / counts["labels"], abs=0.01)

    # What is done is kept: the same stage again finds its chunk and draws nothing.
    monkeypatch.setattr("alignment.training.stages.step_labels._Stage", None)
    again = in_process(tmp_path, policy, label_stage(), monkeypatch)
    assert (again["rows"], again["label_tokens"]) == (counts["rows"], counts["label_tokens"])
    assert rows_of(tmp_path) == rows


@pytest.mark.long
def test_exhaustive_labels_are_those_of_binary_search_where_no_prefix_recovers(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hard: dict[str, Any] = {"type": "monte_carlo", "completions": 8}
    found = {}
    for name, method in (("fast", "binary_search"), ("plain", hard)):
        (tmp_path / name).mkdir()
        in_process(tmp_path / name, policy, label_stage(method=method), monkeypatch)
        found[name] = {row.id: row for row in rows_of(tmp_path / name)}
    shared = found["fast"].keys() & found["plain"].keys()
    wrong = [name for name in shared if found["plain"][name].outcome == 0]
    same = [found["fast"][name].first_error == found["plain"][name].first_error for name in wrong]
    assert sum(same) >= 0.8 * len(same)
