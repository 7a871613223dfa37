"""Groups without signal are replaced until the batch is full over all ranks together, by real processes over gloo."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dynamic_rank import GENERATIONS, PROBLEMS, VARIED

SCRIPT = Path(__file__).with_name("dynamic_rank.py")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """What each rank reports, by number of ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    done = subprocess.run([sys.executable, str(SCRIPT), str(folder), "1", "2"], stderr=subprocess.PIPE, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return {
        count: [json.loads((folder / f"{count}-{rank}.json").read_text()) for rank in range(count)] for count in (1, 2)
    }


def names(report: dict[str, Any]) -> list[str]:
    """The problems of the groups that a rank keeps; each group is whole."""
    for group in report["kept"]:
        assert [text.split()[1] for text in group] == [str(one) for one in range(GENERATIONS)]
        assert len({text.split()[0] for text in group}) == 1
    return [group[0].split()[0] for group in report["kept"]]


def test_two_ranks_keep_the_groups_that_one_process_keeps(filled: dict[int, list[dict[str, Any]]]) -> None:
    """Three of eight groups have a signal; the first five others of the list that have one take the rest's places."""
    (alone,), (first, second) = filled[1], filled[2]
    assert set(names(alone)) == {"own-0", "own-1", "own-3", *(f"fresh-{one:02}" for one in (1, 4, 5, 9, 12))}
    assert len(names(first)) == len(names(second)) == PROBLEMS // 2
    assert sorted(names(first) + names(second)) == sorted(names(alone))
    assert names(first)[:2] == ["own-0", "own-1"] and names(first)[3] == "own-3", "what has a signal stays in its place"
    assert set(names(second)) <= VARIED, "a rank whose groups all had none gets what the other found"


def test_ranks_try_new_problems_together_and_stop_when_the_batch_is_full(
    filled: dict[int, list[dict[str, Any]]],
) -> None:
    (alone,), ranks = filled[1], filled[2]
    for number, tried in enumerate(alone["tried"]):
        parts = [report["tried"][number] for report in ranks]
        assert sorted(parts[0] + parts[1]) == tried and abs(len(parts[0]) - len(parts[1])) <= 1
    tried = [name for round_of in alone["tried"] for name in round_of]
    assert len(tried) < 30 and tried == sorted(tried), "they are tried in their order, and the rest is not"
    for report in (alone, *ranks):
        assert report["replaced"] == 5 and report["sampled"] == PROBLEMS + len(tried)
        assert report["without"] == 5 + sum(name not in VARIED for name in tried)
