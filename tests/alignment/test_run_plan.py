"""A run knows what is finished, what may go on, and what must not be reused because the recipe says something else now."""

from collections.abc import Callable
from pathlib import Path

import pytest

from alignment.core.differences import differences
from alignment.core.errors import ArtifactError, RecipeError, StaleInputsError
from alignment.core.files import canonical_hash, folder_files, read_json, write_json
from alignment.records.attempt import (
    Attempt,
    attempt_file,
    attempts,
    close_attempt,
    next_attempt,
    open_attempt,
    record_resumption,
    seconds_spent,
)
from alignment.records.manifest import Manifest
from alignment.records.run_folder import RunFolder
from alignment.run.plan import RunPlan

TEXT = """\
name: four-stages
model: embedded
seed: 17
stages:
  - name: cold_start
    kind: sft
    data: tiny-cold-start
    trainer: {learning_rate: 5.0e-4}
  - name: other_start
    kind: sft
    data: tiny-cold-start
    start_from: cold_start
  - name: reasoning_rl
    kind: grpo
    start_from: cold_start
    data: tiny-reasoning
    rollout: {generations: 8}
    rewards: [{kind: math_answer}]
  - name: fusion_data
    kind: sample
    data: [{source: chain-sum, split: fusion, count: 64}]
    rewards: [{kind: math_answer}]
  - name: mode_fusion
    kind: sft
    start_from: other_start
    data: [{stage: fusion_data}]
"""
Load = Callable[..., RunPlan]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def plan(old: str = "", new: str = "", *overrides: str) -> RunPlan:
        path = tmp_path / "recipe.yaml"
        path.write_text(TEXT.replace(old, new) if old else TEXT, encoding="utf-8")
        return RunPlan.load(path, list(overrides), tmp_path / "run")

    return plan


def finish(plan: RunPlan, name: str, content: str = "weights") -> None:
    """Leave what a stage's process leaves: stage.json, output/, and the manifest last of all."""
    plan.begin(name)
    folder = plan.folder(name)
    folder.output.mkdir(parents=True)
    (folder.output / "model.safetensors").write_text(f"{name}: {content}", encoding="utf-8")
    output, identity = folder_files(folder.output), plan.identity(name)
    Manifest(
        name=name, kind=plan.recipe.stage(name).kind, identity=identity, identity_hash=canonical_hash(identity),
        inputs=plan.inputs(name), output=output, output_hash=canonical_hash(output), seed=17, seconds=1.0,
    ).write(folder.manifest_path)  # fmt: skip


def finish_all(plan: RunPlan) -> None:
    for name in plan.recipe.stage_names:
        finish(plan, name)


def test_a_stage_is_fresh_then_unfinished_then_finished(load: Load) -> None:
    plan = load()
    assert plan.state("cold_start") == "fresh"
    plan.begin("cold_start")
    assert plan.state("cold_start") == "unfinished"
    finish(plan, "cold_start")
    assert plan.state("cold_start") == "finished"
    assert plan.state("reasoning_rl") == "fresh"
    assert list(plan.manifests()) == ["cold_start"]


def test_a_stage_whose_input_is_not_finished_cannot_be_begun(load: Load) -> None:
    with pytest.raises(ArtifactError, match=r"01-cold_start/manifest.json: cannot be read"):
        load().begin("reasoning_rl")


def test_a_stage_reads_its_policy_and_the_rows_it_was_given(load: Load) -> None:
    plan = load()
    assert plan.needed_stages("cold_start") == []
    assert plan.needed_stages("mode_fusion") == ["other_start", "fusion_data"]
    assert plan.recipe.policy_before("fusion_data") == "reasoning_rl"
    assert plan.policy_path("reasoning_rl") == str(plan.folder("cold_start").output)
    assert plan.policy_path("cold_start").endswith("data/base")


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("5.0e-4", "1.0e-3", "stage.trainer.learning_rate: 0.0005 → 0.001"),
        ("seed: 17", "seed: 18", "seed: 17 → 18"),
        ("data: tiny-cold-start\n    trainer", "data: tiny-general\n    trainer", "data[0].part.count: 1024 → 2048"),
        ("    trainer:", "    lora: {rank: 4}\n    trainer:", "stage.lora: None → "),
        ("seed: 17", "chat_template: qwen3", "chat_template: None → qwen3"),
    ],
)
def test_what_changed_is_named(load: Load, finished: bool, old: str, new: str, changed: str) -> None:
    (finish if finished else RunPlan.begin)(load(), "cold_start")
    with pytest.raises(StaleInputsError) as caught:
        load(old, new).state("cold_start")
    assert f"\n  {changed}" in str(caught.value)
    assert "--redo cold_start" in str(caught.value)
    assert "--run DIRECTORY" in str(caught.value)


@pytest.mark.parametrize(
    "override", ["cold_start.save_every_steps=7", "reasoning_rl.rollout.engine.gpu_memory_fraction=0.5"]
)
def test_what_changes_no_result_changes_no_stage(load: Load, override: str) -> None:
    finish_all(load())
    plan = load("", "", f"stages.{override}")
    assert {plan.state(name) for name in plan.recipe.stage_names} == {"finished"}


def test_a_stage_made_from_another_policy_is_not_reused(load: Load) -> None:
    plan = load()
    finish_all(plan)
    plan.folder("cold_start").set_aside("redone")
    finish(plan, "cold_start", "other weights")
    for name in ("reasoning_rl", "other_start"):
        with pytest.raises(StaleInputsError, match=r"inputs.cold_start: [0-9a-f]{37}\.\.\. → [0-9a-f]{37}\.\.\."):
            plan.state(name)


def test_a_finished_stage_whose_beginning_was_lost_is_still_compared_with_the_recipe(load: Load) -> None:
    finish(load(), "cold_start")
    (load().folder("cold_start").path / "stage.json").unlink()
    assert load().state("cold_start") == "finished"
    with pytest.raises(StaleInputsError):
        load("5.0e-4", "1.0e-3").state("cold_start")


def test_a_damaged_beginning_is_named(load: Load) -> None:
    plan = load()
    write_json(plan.folder("cold_start").path / "stage.json", {"name": "cold_start"})
    with pytest.raises(ArtifactError, match=r"stage.json: is damaged"):
        plan.state("cold_start")


def test_a_damaged_output_is_not_a_finished_stage(load: Load) -> None:
    finish(load(), "cold_start")
    (load().folder("cold_start").output / "model.safetensors").write_text("cut", encoding="utf-8")
    with pytest.raises(ArtifactError, match="was cut short or changed"):
        load().state("cold_start")


def test_redoing_a_stage_sets_aside_all_that_was_made_from_it_and_deletes_nothing(load: Load) -> None:
    plan = load()
    finish_all(plan)
    before = sorted(path.read_bytes() for path in plan.run.path.rglob("*") if path.is_file())
    moved = plan.set_aside("reasoning_rl")
    names = ["03-reasoning_rl.redone-1", "04-fusion_data.redone-1", "05-mode_fusion.redone-1"]
    assert [path.name for path in moved] == names
    assert sorted(path.read_bytes() for path in plan.run.path.rglob("*") if path.is_file()) == before
    states = {name: plan.state(name) for name in ("cold_start", "other_start", "reasoning_rl", "fusion_data")}
    assert states == {
        "cold_start": "finished", "other_start": "finished", "reasoning_rl": "fresh", "fusion_data": "fresh"
    }  # fmt: skip


def test_redoing_the_first_stage_redoes_everything(load: Load) -> None:
    plan = load()
    finish_all(plan)
    assert len(plan.set_aside("cold_start")) == 5
    assert plan.manifests() == {}


def test_redoing_a_stage_that_does_not_exist_is_not_done_in_silence(load: Load) -> None:
    with pytest.raises(RecipeError, match="there is no stage `cold_strat`; did you mean `cold_start`"):
        load().set_aside("cold_strat")


def test_the_recipe_in_a_run_says_what_was_run_overrides_included(load: Load) -> None:
    plan = load("", "", "stages.cold_start.trainer.learning_rate=0.25")
    plan.prepare()
    again = RunPlan.load(plan.run.recipe, [], plan.run.path)
    assert again.recipe == plan.recipe
    facts = read_json(plan.run.facts)
    assert (facts["recipe"], facts["seed"], facts["model"]) == ("four-stages", 17, "embedded")
    assert {"python", "torch", "trl"} <= facts["versions"].keys()
    started = facts["started"]
    plan.prepare()
    assert read_json(plan.run.facts)["started"] == started


def test_a_run_directory_that_cannot_be_made_is_named(load: Load, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    plan = load()
    blocked = RunPlan(plan.recipe, plan.path, (), RunFolder(tmp_path / "file" / "run"))
    with pytest.raises(ArtifactError, match=r"file/run: cannot be written \(Not a directory\)"):
        blocked.prepare()


def test_attempts_are_counted_and_their_time_adds_up(load: Load) -> None:
    folder = load().folder("cold_start")
    assert next_attempt(folder) == 1
    for number, seconds in ((1, 5.0), (2, 7.5)):
        Attempt("2026-01-01T00:00:00+00:00", "killed", seconds).write(attempt_file(folder, number))
        (folder.path / "attempts" / f"{number:02d}.log").touch()
    assert (next_attempt(folder), seconds_spent(folder)) == (3, 12.5)
    record_resumption(folder, 7)  # by hand: no attempt is under way
    open_attempt(folder, 3, 0.0)
    assert (next_attempt(folder), seconds_spent(folder)) == (4, 12.5), "it has not ended yet"
    record_resumption(folder, 20)
    close_attempt(folder, 3, 0.0, "killed", -9)
    ended = attempts(folder)[3]
    assert (ended.outcome, ended.exit_status, ended.resumed_from_step) == ("killed", -9, 20)
    assert ended.started.startswith("1970-01-01") and ended.seconds
    assert [one.resumed_from_step for one in attempts(folder).values()] == [None, None, 20]


def test_differences_name_each_field_once_and_a_longer_list_as_a_whole() -> None:
    old = {"stage": {"a": 1, "b": [1, 2]}, "gone": 0, "parts": [1]}
    new = {"stage": {"a": 2, "b": [1, 3]}, "come": 0, "parts": [1, 2]}
    assert list(differences(old, new)) == [
        "come: None → 0", "gone: 0 → None", "parts: [1] → [1, 2]", "stage.a: 1 → 2", "stage.b[1]: 2 → 3"
    ]  # fmt: skip
    assert list(differences(old, old)) == []
