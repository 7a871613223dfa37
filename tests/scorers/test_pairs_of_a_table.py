"""A reward model is measured on pairs of any table, by the figures of a stage's held-out pairs."""

import json
from pathlib import Path

import pytest
from reward_models import untrained_reward_model

from alignment.core.errors import DataError
from alignment.evaluation.pairs import measured, pairs_in
from alignment.inference.reward_model import RewardModel

TURN = {"from": "human", "value": "Say a number."}


def table(path: Path) -> Path:
    """Nine short pairs, of which six have the longer answer chosen; a long one, and one that is no pair."""
    answers = [(f"{n} and then some more of it", f"{n}") for n in range(6)] + [
        (f"{n}", f"{n} or {n}") for n in range(3)
    ]
    pairs = [*answers, ("x " * 300, "y"), ("same", "same")]
    rows = [
        {"conversations": [TURN], "chosen": {"from": "gpt", "value": a}, "rejected": {"from": "gpt", "value": b}}
        for a, b in pairs
    ]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def test_pairs_of_a_table_are_scored_and_what_cannot_be_is_counted(tmp_path: Path) -> None:
    model = RewardModel(str(untrained_reward_model(tmp_path / "model")))
    left_out: list[object] = []
    found = measured(model, pairs_in(table(tmp_path / "pairs.json"), 0, left_out), 100, 128, left_out)  # type: ignore[arg-type]
    assert found.pairs == 9 and found.length_alone.value == pytest.approx(2 / 3)
    assert found.accuracy.low is not None and found.accuracy.high is not None and found.calibration_error is not None
    told = sorted(map(str, left_out))
    assert len(told) == 2 and any("the same answer" in one for one in told) and any("tokens" in one for one in told)
    with pytest.raises(DataError, match="no pair of at most 8 tokens"):
        measured(model, pairs_in(tmp_path / "pairs.json", 0, []), 100, 8, [])
