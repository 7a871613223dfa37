"""Stage kinds of another package, found by their entry points, from `check` to the report and through a kill."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alignment.core.errors import ArtifactError
from alignment.records.policies import named_policies
from alignment.records.run_folder import RunFolder
from smoke.processes import alignment, killed_when
from smoke.small_recipe import cold_start, write_recipe

PLUGIN = Path(__file__).parents[1] / "plugin"
ENTRY_POINTS = "[alignment.stage_kinds]\nshorten = toy_kinds.shorten:KIND\nsteady = toy_kinds.steady:KIND\n"


def installed(folder: Path, entry_points: str) -> str:
    """A package's metadata as an installer leaves it; returns the search path with the package on it."""
    metadata = folder / "toy_kinds-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-kinds\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(entry_points, encoding="utf-8")
    return os.pathsep.join([str(folder), str(PLUGIN), os.environ.get("PYTHONPATH", "")])


@pytest.fixture(scope="module", autouse=True)
def toy_kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", installed(tmp_path_factory.mktemp("site"), ENTRY_POINTS))
        yield


def short(**changes: Any) -> dict[str, Any]:
    """Enough rows that measuring them takes a second or two."""
    data = [{"source": "chain-sum", "split": "fusion", "count": 4000, "seed": 3}]
    return {"name": "short_rows", "kind": "shorten", "data": data, "max_length": 128, **changes}


def steady(**changes: Any) -> dict[str, Any]:
    """Two optimizer steps, started through the launcher."""
    trainer = {"max_steps": 2, "per_device_train_batch_size": 2}
    return cold_start(**{"kind": "steady", "trainer": trainer, **changes})


def trained(**changes: Any) -> dict[str, Any]:
    """Two optimizer steps on the rows that were left over."""
    trainer = {"max_steps": 2, "per_device_train_batch_size": 2}
    return cold_start(**{"name": "on_short_rows", "data": [{"stage": "short_rows"}], "trainer": trainer, **changes})


def evaluated(**changes: Any) -> dict[str, Any]:
    return {
        "after_each_stage": ["chain-sum"], "count": 4, "follow_count": 2, "max_prompt_tokens": 96,
        "max_completion_tokens": 24, "engine": "transformers", **changes,
    }  # fmt: skip


@pytest.fixture(scope="module")
def killed_and_resumed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed outright while its shorten stage worked, and then run again to its end."""
    folder = tmp_path_factory.mktemp("toy")
    recipe = write_recipe(folder / "toy.yaml", steady(), short(), trained(), evaluations=evaluated())
    chunks = folder / "run" / "02-short_rows" / "checkpoints"
    killed_when(lambda: len(list(chunks.glob("*.json"))) >= 3, "run", recipe, "--run", folder / "run")
    done = alignment("run", recipe, "--run", folder / "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cold_start: already finished" in done.stdout
    assert "resuming short_rows" in done.stdout
    return folder / "run"


def test_a_kind_of_another_package_resumes_after_a_kill(killed_and_resumed: Path) -> None:
    manifest = RunFolder(killed_and_resumed).find("short_rows").manifest()
    assert manifest.kind == "shorten"
    assert manifest.counts["chunks_from_before"] >= 3
    assert manifest.counts["rows"] + manifest.counts["left_out_too_long"] == 4000
    rows = (RunFolder(killed_and_resumed).find("short_rows").output / "rows.jsonl").read_text(encoding="utf-8")
    assert len(rows.splitlines()) == manifest.counts["rows"] > 0


def test_its_rows_are_trained_on_and_its_policies_evaluated(killed_and_resumed: Path) -> None:
    last = RunFolder(killed_and_resumed).find("on_short_rows").manifest()
    assert set(last.inputs) == {"cold_start", "short_rows"}
    report = json.loads((killed_and_resumed / "report.json").read_text(encoding="utf-8"))
    assert [stage["kind"] for stage in report["stages"]] == ["steady", "shorten", "sft"]
    assert [bool(stage["evaluations"]) for stage in report["stages"]] == [True, False, True]


def test_its_stages_are_shown_with_what_they_were_made_from(killed_and_resumed: Path) -> None:
    shown = alignment("show", killed_and_resumed)
    assert shown.returncode == 0
    assert "[shorten]" in shown.stdout
    assert "from short_rows" in shown.stdout


def test_the_report_of_a_run_can_be_written_where_the_package_is_not_installed(
    killed_and_resumed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.environ["PYTHONPATH"].split(os.pathsep, 2)[2])
    again = alignment("report", killed_and_resumed)
    assert again.returncode == 0, again.stderr


def test_its_policy_can_be_used_where_the_package_is_not_installed(killed_and_resumed: Path) -> None:
    (policy,) = named_policies(killed_and_resumed, ["cold_start"])  # this process has no toy kinds
    assert (policy.folder / "config.json").is_file()
    with pytest.raises(
        ArtifactError, match=r"short_rows \(shorten\) leaves no policy; write one of: cold_start, on_short"
    ):
        named_policies(killed_and_resumed, ["short_rows"])


def test_a_kind_that_trains_nothing_waits_for_no_other_machine(tmp_path: Path) -> None:
    data = [{"source": "chain-sum", "split": "fusion", "count": 32, "seed": 3}]
    hardware = {"accelerate": "multi-node", "processes": 32}  # under whose launcher it would wait for 3 other machines
    recipe = write_recipe(tmp_path / "toy.yaml", short(data=data), hardware=hardware, evaluations={})
    done = alignment("run", recipe, "--run", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert RunFolder(tmp_path / "run").find("short_rows").manifest().hardware.processes == 1


def checked(folder: Path, *stages: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
    return alignment("check", write_recipe(folder / "toy.yaml", *stages))


def test_the_plan_says_what_its_stages_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = checked(tmp_path, steady(), short())
    assert done.returncode == 0, done.stderr
    assert "2 steady steps" in done.stdout
    assert "rows of at most 128 tokens" in done.stdout


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([short(kind="shortne")], "kind: found 'shortne', which is not a stage kind; did you mean `shorten`?"),
        ([short(max_lenght=3)], "stages.short_rows.max_lenght: unknown key; did you mean `max_length`?"),
        ([short(max_length=0)], "stages.short_rows.max_length: found 0: input should be greater than or equal to 1"),
        ([short(at_least=5000)], "stages.short_rows.at_least: found 5000, and its parts have 4000 rows"),
        ([steady(trainer={"learning_rate": 1.0})], "is set by the stage: a steady stage trains at 0.0001"),
        ([short(), trained(start_from="short_rows")], "`short_rows` leaves no policy"),
        ([steady(), trained(data=[{"stage": "cold_start"}])], "`cold_start` leaves no rows"),
    ],
)  # fmt: skip
def test_what_cannot_work_about_it_is_found_by_check(tmp_path: Path, stages: list[dict[str, Any]], said: str) -> None:
    done = checked(tmp_path, *stages)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_linting_a_recipe_looks_at_its_rows(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "toy.yaml", short(max_length=16))
    done = alignment("lint", recipe, "--rows", 4, "--show", 0)
    assert "short_rows (shorten)" in done.stdout
    assert "too_long" in done.stdout, "the stage's own max_length is what rows are held against"


@pytest.mark.parametrize(
    ("entry_point", "said"),
    [
        ("shorten = toy_kinds.gone:KIND", "cannot be loaded from toy_kinds.gone:KIND of the package toy-kinds"),
        ("shorten = toy_kinds.shorten:CHUNK", "is not a StageKind; docs/stages.md says how"),
        ("shorten = toy_kinds.steady:KIND", "declares `steady`; the names have to be the same"),
    ],
)
def test_a_declaration_that_cannot_be_used_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry_point: str, said: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", installed(tmp_path / "site", f"[alignment.stage_kinds]\n{entry_point}\n"))
    done = checked(tmp_path, short())
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_package_can_take_the_name_of_a_built_in_kind(tmp_path: Path) -> None:
    path = installed(tmp_path / "site", "[alignment.stage_kinds]\nsft = toy_kinds.shorten:KIND\n")
    code = "from alignment.recipe.kinds import stage_kind; print(stage_kind('sft').fields.__name__)"
    env = {**os.environ, "PYTHONPATH": path}
    found = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert found.stdout == "SftStage\n", found.stderr
