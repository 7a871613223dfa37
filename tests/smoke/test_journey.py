"""The whole journey in small: every stage kind, evaluated, reported; and the adapter path beside it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from alignment.records.run_folder import RunFolder
from smoke.processes import alignment, killed_when
from smoke.small_recipe import cold_start, mixed, reasoning_rl, sampled, write_recipe


def fusion() -> dict[str, object]:
    return cold_start(name="mode_fusion", data=[{"stage": "fusion_mix"}], loss_on_empty_think=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("journey")
    general = reasoning_rl(name="general_rl", rollout={
        "generations": 4, "problems_per_step": 4, "max_prompt_tokens": 96, "max_completion_tokens": 48,
        "thinking_fraction": 0.5, "flag_fraction": 0.5, "thinking_budget": {"most": 12, "stop_text": "\n</think>\n\n"}, "dynamic_sampling": True,
    }, data=[{"source": "chain-sum", "split": "general", "count": 32, "seed": 4}])  # fmt: skip
    trainer = {"max_steps": 80, "per_device_train_batch_size": 8, "learning_rate": 1.5e-3}
    stages = (
        cold_start(packing=False, trainer=trainer),
        sampled(
            rewards=[{"kind": "math_answer"}, {"kind": "think_format", "weight": 0, "gate": True}], accept_score=1.0
        ),
        mixed(),
        fusion(),
        general,
    )
    recipe = write_recipe(folder / "small.yaml", *stages, report_to=["tensorboard"])
    done = alignment("run", recipe, "--run", folder / "run")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "run"


def test_every_stage_leaves_a_manifest_and_the_report_has_them_all(finished: Path) -> None:
    report = json.loads((finished / "report.json").read_text(encoding="utf-8"))
    names = ["cold_start", "fusion_data", "fusion_mix", "mode_fusion", "general_rl"]
    assert [stage["name"] for stage in report["stages"]] == names
    for stage in report["stages"]:
        RunFolder(finished).find(stage["name"]).verify_hashes()
        if stage["kind"] not in ("sample", "fusion"):
            assert stage["evaluations"]["thinking"]["count"] == 8 + 8
            assert [(task["task"], task["problems"]) for task in stage["constraints"]] == [("constraints", 8)]
            assert stage["evaluations"]["non_thinking"]["think_follow"] >= 0.0
            assert (stage["follow"]["conversations"], stage["follow"]["turns"]) == (4, 2)
    assert "<html" in (finished / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("stage", "steps"), [("01-cold_start", 80), ("05-general_rl", 4)])
def test_a_tracker_gets_every_step_and_its_files_outlive_the_checkpoints(
    finished: Path, stage: str, steps: int
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished / stage / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == list(range(1, steps + 1))
    assert not (finished / stage / "checkpoints").exists()


def test_lineage_leads_back_to_the_model(finished: Path) -> None:
    inputs = {
        stage: RunFolder(finished).find(stage).manifest().inputs
        for stage in ("cold_start", "mode_fusion", "general_rl")
    }
    assert list(inputs["cold_start"]) == ["model"]
    assert set(RunFolder(finished).find("fusion_mix").manifest().inputs) == {"cold_start", "fusion_data"}
    assert set(inputs["mode_fusion"]) == {"cold_start", "fusion_mix"}
    assert inputs["general_rl"]["mode_fusion"] == RunFolder(finished).find("mode_fusion").manifest().output_hash
    shown = alignment("show", finished)
    assert shown.returncode == 0 and "from mode_fusion" in shown.stdout


def test_rollouts_record_modes_budgets_and_forced_tokens(finished: Path) -> None:
    lines = (finished / "05-general_rl" / "rollouts.jsonl").read_text(encoding="utf-8").splitlines()
    rollouts = [json.loads(line) for line in lines]
    assert {row["mode"] for row in rollouts} == {"thinking", "non_thinking"}
    assert all(row["budget"] == 12 for row in rollouts)
    assert all(row["forced_tokens"] == 0 for row in rollouts if row["mode"] == "non_thinking")
    assert {"math_answer", "think_format"} == set(rollouts[0]["verdicts"])
    assert all(json.loads(line)["logprob_gap"] < 0.05 for line in (finished / "05-general_rl" / "metrics.jsonl").open())


def test_a_fusion_stage_is_made_once_and_after_a_kill_with_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    arguments = ("run", finished.parent / "small.yaml", "--run", tmp_path / "run", "--stage", "fusion_mix")
    shutil.copytree(finished, tmp_path / "run")
    again = alignment(*arguments)
    assert again.returncode == 0 and "fusion_mix: already finished" in again.stdout
    made = RunFolder(finished).find("fusion_mix").manifest()
    assert RunFolder(tmp_path / "run").find("fusion_mix").manifest() == made
    assert sorted(made.output) == ["card.json", "card.md", "rows.jsonl"]
    assert made.counts["rows"] == report_stage(finished, "fusion_mix")["counts"]["rows"] >= 8
    assert report_stage(finished, "fusion_mix")["card"]["turns"].keys() >= {"1", "2"}
    folder = tmp_path / "run" / "03-fusion_mix"
    shutil.rmtree(folder)
    killed_when((folder / "attempts" / "01.json").exists, *arguments)  # its process takes a tenth of a second
    assert not (folder / "manifest.json").exists()
    done = alignment(*arguments)
    assert done.returncode == 0 and "resuming fusion_mix" in done.stdout
    assert RunFolder(tmp_path / "run").find("fusion_mix").manifest().output == made.output


def report_stage(run: Path, name: str) -> dict[str, Any]:
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    return next(stage for stage in report["stages"] if stage["name"] == name)


def test_a_truncated_artifact_is_named_and_nothing_else_is_touched(finished: Path) -> None:
    weights = finished / "01-cold_start" / "output" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    try:
        again = alignment("run", finished.parent / "small.yaml", "--run", finished)
        assert again.returncode == 1
        assert str(weights) in again.stderr and "cut short" in again.stderr and "Traceback" not in again.stderr
        assert (finished / "05-general_rl" / "manifest.json").exists()
    finally:
        weights.write_bytes(whole)


def test_conversations_of_another_length_are_measured_again_and_nothing_else_is(finished: Path) -> None:
    evaluations = finished / "05-general_rl" / "evaluations"
    before = {path: path.read_bytes() for path in evaluations.glob("*thinking.json")}
    assert len(before) == 2
    again = alignment("run", finished.parent / "small.yaml", "--run", finished, "--set", "evaluations.follow_turns=3")
    assert again.returncode == 0, again.stdout + again.stderr
    assert json.loads((evaluations / "follow.json").read_text(encoding="utf-8"))["turns"] == 3
    assert len(list(evaluations.glob("follow.*.json"))) == 1, "what was measured before is kept"
    assert {path: path.read_bytes() for path in before} == before
    report = json.loads((finished / "report.json").read_text(encoding="utf-8"))
    assert report["stages"][4]["follow"]["turns"] == 3
    assert "Think-follow over several turns" in again.stdout


def test_any_stage_can_be_evaluated_on_fresh_problems(finished: Path) -> None:
    done = alignment("evaluate", finished, "--stage", "cold_start", "--seed", 99, "--count", 4, "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["stage"] == "cold_start" and figures["thinking"]["seed"] == 99
    assert figures["thinking"]["count"] == 4 + 4
