"""Whole runs against judge servers that end, hang and lie: no run is lost, what is unknown is named, nothing is asked twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from alignment.records.manifest import Manifest
from alignment.run.judges import double
from judge_server import JudgeServer
from rewards.compose import LOUD_UNKNOWN_FRACTION
from smoke.processes import alignment, lines, with_forks

pytestmark = pytest.mark.long
STEPS = 10
DOUBLE = double.__name__  # in the command line of its server


def recipe(folder: Path, reward: dict[str, Any], steps: int = STEPS, **changes: Any) -> Path:
    """A grpo stage that has nothing but a judge to learn from, in steps of sixteen rollouts."""
    rollout = {"engine": "transformers", "generations": 4, "problems_per_step": 4, "max_prompt_tokens": 96}
    rollout |= {"max_completion_tokens": 24, "thinking_fraction": 0}
    data = [{"source": "chain-sum", "split": "reasoning", "count": 256, "seed": 2}]
    stage = {"name": "rl", "kind": "grpo", "data": data, "rollout": rollout, "micro_batch": 16, "save_every_steps": 1}
    stage |= {"rewards": [{"kind": "judge", **reward}], "trainer": {"max_steps": steps}}
    written = {"name": "judged", "model": "embedded", "seed": 3, "hardware": {"accelerate": "cpu"}, "stages": [stage]}
    path = folder / "judged.yaml"
    path.write_text(yaml.safe_dump({**written, "evaluations": {"after_each_stage": []}, **changes}), encoding="utf-8")
    return path


def kept(run: Path) -> list[dict[str, Any]]:
    file = run / "judgements" / "judge.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def judged_twice(run: Path) -> list[str]:
    """Questions that were asked although their judgement was kept."""
    counted = Counter(one["key"] for one in kept(run) if one["content"] is not None)
    return [key for key, count in counted.items() if count > 1]


def steps_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "01-rl" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_served_judge_is_ended_and_hangs_and_no_verdict_is_lost(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    served = {"judges": {"grader": {"model": "double", "engine": {"patience_seconds": 12}}}}
    path, run = recipe(tmp_path, {"judge": "grader", "timeout_seconds": 4.0}, 30, **served), tmp_path / "run"
    command = [sys.executable, "-m", "alignment.cli", "run", str(path), "--run", str(run)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=with_forks())
    request.addfinalizer(process.kill)
    for fate in (signal.SIGKILL, signal.SIGSTOP):
        before = lines(run / "judgements" / "judge.jsonl")
        waited(lambda: lines(run / "judgements" / "judge.jsonl") > before, process)  # noqa: B023  it is called here
        server = server_of(process)
        time.sleep(1.5)  # so that the run has seen that it is up
        os.kill(server, fate)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    told = " ".join(said.split())
    assert "serving the judge grader as grader-double-" in told
    assert "was killed by signal 9; it is started again, and the stage waits for it" in told
    assert "has not answered for" in told
    steps = steps_of(run)
    assert [one["step"] for one in steps] == list(range(1, 31))
    assert sum(one["reward/judge/unknown_fraction"] for one in steps) == 0
    counts = Manifest.read(run / "01-rl" / "manifest.json").counts["judges"]
    assert counts["asked"] == len(kept(run)) and counts["models"]["judge"].startswith("grader-double-")
    assert judged_twice(run) == []
    assert "grader-double-" in (run / "report.md").read_text(encoding="utf-8"), "the report says that it is a double"
    before = kept(run)
    again = alignment("run", path, "--run", run, "--redo", "rl")
    assert again.returncode == 0, again.stdout + again.stderr
    assert kept(run) == before, "the same rollouts need not be judged a second time"


def test_a_server_that_lies_now_and_then_costs_its_verdicts_and_is_named(tmp_path: Path) -> None:
    lies = {1: "garbage", 2: "contradict", 3: "other", 4: 500}
    with JudgeServer(misbehaves=lambda number: lies.get(number % 16) if number > 4 else None) as server:
        path = recipe(tmp_path, {"base_url": server.base_url, "retries": 0})
        ended = alignment("run", path, "--run", tmp_path / "run")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    steps = steps_of(tmp_path / "run")
    assert len(steps) == STEPS
    for reason in ("judge_unparsable", "judge_other_model", "judge_http_error"):
        assert any(one.get(f"reward/judge/unknown/{reason}", 0) > 0 for one in steps), reason
    report = (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    assert "The verifier judge could not judge" in report
    assert "small-judge" in report and "judge\\_other\\_model" in report
    assert judged_twice(tmp_path / "run") == []


@pytest.mark.parametrize(
    ("fate", "reason"), [("hang", "judge_timed_out"), ("end", "judge_unreachable"), ("garbage", "judge_unparsable")]
)
def test_a_server_that_stays_away_stops_the_stage_in_words_and_running_again_loses_nothing(
    fate: str, reason: str, tmp_path: Path
) -> None:
    run, asked = tmp_path / "run", STEPS * 16 // 3
    with JudgeServer(misbehaves=lambda number: fate if number > asked else None) as server:
        reward = {"base_url": server.base_url, "retries": 0, "timeout_seconds": 2.0}
        path = recipe(tmp_path, reward)
        stopped = alignment("run", path, "--run", run)
    told = " ".join((stopped.stdout + stopped.stderr).split())
    assert stopped.returncode == 1, told
    assert f"the most common reason is '{reason}'" in told
    assert "Then run again: the stage goes on from its last checkpoint" in told
    done = [one["step"] for one in steps_of(run)]
    assert 0 < len(done) < STEPS
    few = sum(one["reward/judge/unknown_fraction"] for one in steps_of(run))
    assert few <= LOUD_UNKNOWN_FRACTION, "a step with more unknown verdicts is not trained on"
    before = [one["key"] for one in kept(run) if one["content"] is not None]
    assert len(before) == len(set(before)) > 0
    with JudgeServer(port=server.port) as honest:
        ended = alignment("run", path, "--run", run)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "resuming rl from its last checkpoint" in ended.stdout
    assert [one["step"] for one in steps_of(run)] == list(range(1, STEPS + 1))
    assert judged_twice(run) == []
    assert len(honest.requests) == len([one for one in kept(run) if one["content"] is not None]) - len(before)
    assert sum(one["reward/judge/unknown_fraction"] for one in steps_of(run)) == few, "no verdict is unknown after it"


def waited(reached: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + 300
    while not reached():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.02)


def server_of(process: "subprocess.Popen[str]") -> int:
    """The process id of the judge's server, which the run started."""
    found: list[int] = []

    def there() -> bool:
        listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()
        found[:] = [int(pid) for pid in listed if DOUBLE in Path(f"/proc/{pid}/cmdline").read_text()]
        return bool(found)

    waited(there, process)
    return found[0]
