"""A run whose reward was pleased and not earned says so, with figures; a run that learned says nothing."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from alignment.commands.report import write_and_print
from alignment.core.files import FileFacts
from alignment.records.manifest import Manifest
from alignment.records.metrics import MetricsRow
from alignment.records.run import RunRecord
from alignment.records.run_folder import StageFolder
from alignment.report import write_report
from alignment.report.alarms.trends import trend
from alignment.report.build import build_report
from alignment.report.render.html import render_page
from alignment.report.render.markdown import render_markdown
from alignment.report.run import read_run

STEPS = 40
HACKS = ("reward_up_text_worse", "proxy_up_truth_down")
Course = tuple[float, float, float]  # first value, last value, deviation of a step


def run_of(folder: Path, rewards: list[dict[str, Any]] | None = None, **courses: Course) -> Path:
    """A run of one grpo stage whose metrics go straight from first to last, with noise."""
    draw, stage = random.Random(0), StageFolder(folder / "01-rl")
    stage.path.mkdir(parents=True)
    RunRecord("tiny", 0).write(folder / "run.json")
    for step in range(STEPS):
        part = step / (STEPS - 1)
        figures: dict[str, float | None] = {
            name.replace("__", "/"): first + part * (last - first) + draw.gauss(0, noise)
            for name, (first, last, noise) in courses.items()
        }
        MetricsRow(step + 1, STEPS, figures=figures).append(stage.metrics)
    settings = {
        "rewards": rewards or [{"kind": "instruction", "name": None, "weight": 1.0}],
        "scorers": [{"kind": "fluency", "name": None}, {"kind": "reward_model", "name": "taste"}],
    }
    Manifest(
        "rl", "grpo", {"stage": settings}, "h", output={"a": FileFacts(1, "s")}, output_hash="o", seed=0, seconds=1.0,
        inputs={"model": "0" * 64},
    ).write(stage.manifest_path)  # fmt: skip
    return folder


def hacks(run: Path) -> dict[str, tuple[str, str]]:
    return {one.kind: (one.level, one.message) for one in write_report(run).alarms if one.kind in HACKS}


# What an instruction run wrote when its reward was hacked: short, alike, and no language of the model it began with.
HACKED: dict[str, Course] = {
    "reward": (0.33, 0.8, 0.05), "answer_tokens": (70, 25, 4), "distinct_bigrams": (0.8, 0.4, 0.02),
    "reward__fluency__mean": (-1.4, -2.6, 0.1),
}  # fmt: skip


def test_a_reward_that_rises_while_the_text_gets_worse_is_named_with_figures(tmp_path: Path) -> None:
    (level, message) = hacks(run_of(tmp_path, **HACKED))["reward_up_text_worse"]
    assert level == "warning"
    for part in (
        "Reward rose from 0.",
        "answers went from 6",
        "bigrams fell from 0.7",
        "fluency under the starting policy fell",
    ):
        assert part in message


@pytest.mark.parametrize(
    "healthy",
    [
        {**HACKED, "reward": (0.33, 0.34, 0.1)},
        {"reward": (0.2, 0.9, 0.05), "answer_tokens": (70, 60, 5), "distinct_bigrams": (0.8, 0.75, 0.02),
         "reward__fluency__mean": (-1.4, -1.6, 0.1)},
        {"reward": (0.2, 0.9, 0.05)},
        {"reward": (0.5, 0.6, 0.3), "distinct_bigrams": (0.5, 0.38, 0.4), "reward__fluency__mean": (-2, -2.6, 3)},
    ],
    ids=["reward stands still", "text stays", "nothing recorded", "noise"],
)  # fmt: skip
def test_healthy_runs_ring_nothing(healthy: dict[str, Course], tmp_path: Path) -> None:
    assert hacks(run_of(tmp_path, **healthy)) == {}


def test_length_alone_is_a_notice_unless_a_reward_asks_for_it(tmp_path: Path) -> None:
    courses: dict[str, Course] = {"reward": (0.2, 0.9, 0.05), "answer_tokens": (200, 60, 5)}
    assert hacks(run_of(tmp_path / "a", **courses))["reward_up_text_worse"][0] == "notice"
    asked = [{"kind": "length", "name": None, "weight": 0.5}]
    assert hacks(run_of(tmp_path / "b", asked, **courses)) == {}
    guarded = [{**asked[0], "form": "least"}]
    assert hacks(run_of(tmp_path / "c", guarded, **courses))["reward_up_text_worse"][0] == "notice"


PARTED: dict[str, Course] = {"reward__taste__mean": (-0.2, 2.5, 0.2), "reward__instruction__mean": (0.6, 0.3, 0.04)}


def test_a_proxy_that_parts_from_the_verifier_is_an_alarm_and_a_table(tmp_path: Path) -> None:
    run = run_of(tmp_path, **PARTED)
    level, message = hacks(run)["proxy_up_truth_down"]
    assert (
        level == "warning"
        and message.startswith("They part after step 10: from there the reward model taste went from 0.")
        and "verifier instruction fell from 0.5" in message
    )
    document = build_report(read_run(run))
    proxy, truth = document.rewards_over_steps
    assert (proxy.role, truth.role) == ("proxy", "verifier")
    assert list(proxy.quarters) == sorted(proxy.quarters) and list(truth.quarters) == sorted(
        truth.quarters, reverse=True
    )
    page, text = render_page(document, read_run(run)), render_markdown(document)
    assert "<h2>Proxy and verified rewards</h2>" in page and "taste (proxy)" in page
    assert "| rl | taste | proxy |" in text
    assert all(math.isfinite(one) for one in proxy.quarters)


def test_a_verifier_that_rises_at_first_and_ends_where_it_began_is_an_alarm_with_the_step(tmp_path: Path) -> None:
    """The course that overoptimisation has: both rise, then the proxy alone."""
    run, rows = run_of(tmp_path, **PARTED), []
    metrics = StageFolder(run / "01-rl").metrics
    for line in metrics.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        row["reward/instruction/mean"] += 0.4 * min(1.0, row["step"] / 12) - 0.1
        rows.append(json.dumps(row) + "\n")
    metrics.write_text("".join(rows), encoding="utf-8")
    found = trend(read_run(run).stages[0].series("reward/instruction/mean"))
    assert found is not None and not found.falls, "the ends alone do not tell"
    assert hacks(run)["proxy_up_truth_down"][1].startswith("They part after step 20:")


def test_a_proxy_that_rises_with_the_verifier_is_none(tmp_path: Path) -> None:
    assert hacks(run_of(tmp_path, **{**PARTED, "reward__instruction__mean": (0.3, 0.6, 0.04)})) == {}


def test_it_is_printed_when_the_run_ends(tmp_path: Path) -> None:
    console = Console(width=200, record=True, file=(tmp_path / "out").open("w", encoding="utf-8"))
    write_and_print(run_of(tmp_path / "run", **HACKED), console)
    assert "warning: rl: Reward rose from 0." in console.export_text()
