"""The report, made from small run directories that each test writes: whole, unfinished, damaged, regressed, hostile."""

import io
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from alignment.errors import ArtifactError
from alignment.report import write_report
from alignment.report.terminal import stage_table

STAGES = [("cold_start", "sft"), ("reasoning_rl", "grpo"), ("fusion_data", "sample"), ("mode_fusion", "sft")]
HOSTILE = "<script>alert('owned')</script><img src=x onerror=alert(1)>"


def put(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def put_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def wilson(share: float, count: int) -> tuple[float, float]:
    z = 1.96
    middle = share + z * z / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - reach) / (1 + z * z / count), (middle + reach) / (1 + z * z / count)


def scored(share: float, count: int = 500) -> dict[str, Any]:
    low, high = wilson(share, count)
    return {"count": count, "accuracy": share, "accuracy_low": low, "accuracy_high": high}


def evaluation(stage: str, mode: str, share: float, text: str = "<think>1 + 1</think>\n\n2") -> dict[str, Any]:
    measures = {"format": 0.9, "think_follow": 0.95, "mean_thinking_tokens": 40, "mean_answer_tokens": 8}
    sample = {"task": "sum", "question": "1 + 1?", "answer": "2", "text": text, "correct": True, "thinking_tokens": 5}
    tasks = [{"task": "sum"} | scored(share, 250), {"task": "sort"} | scored(share, 250)]
    rest = {"truncated_share": 0.01, "unknown": 0, "seconds": 3.0, "tasks": tasks, "samples": [sample]}
    return {"stage": stage, "mode": mode} | scored(share) | measures | rest


def write_stage(run: Path, number: int, shares: dict[str, float], text: str = "2") -> Path:
    name, kind = STAGES[number - 1]
    folder = run / f"{number:02d}-{name}"
    inputs = {"model": "m" * 64} if number == 1 else {STAGES[number - 2][0]: f"{number - 1}" * 64}
    put(folder / "stage.json", {"name": name, "kind": kind, "identity": {}})
    put(folder / "attempts" / "01.json", {"started": 0, "ended": 60, "outcome": "finished"})
    manifest = {"name": name, "kind": kind, "outcome": "finished", "inputs": inputs, "output_hash": f"{number}" * 64}
    put(folder / "manifest.json", manifest | {"seconds": 60.0, "steps": 30, "tokens": 9000, "counts": {"rows": 10}})
    rising = [{"step": step, "steps": 30, "loss": 2 / step, "reward": step / 30} for step in range(1, 31)]
    put_lines(folder / "metrics.jsonl", rising)
    rollout = {"question": text, "answer": "2", "mode": "thinking", "text": text, "reward": 1.0, "stop_reason": "end"}
    put_lines(folder / "rollouts.jsonl", [rollout | {"step": step} for step in (1, 30)])
    for mode, share in shares.items():
        put(folder / "evaluations" / f"{mode}.json", evaluation(name, mode, share, text))
    return folder


def write_run(run: Path, text: str = "<think>1 + 1</think>\n\n2") -> Path:
    versions = {"torch": "2.11.0"}
    put(run / "run.json", {"recipe": "tiny", "seed": 17, "model": "base", "started": "2026-01-02T03:04:05+00:00"})
    put(run / "run.json", json.loads((run / "run.json").read_text()) | {"versions": versions, "hardware": {"cores": 2}})
    stages = "".join(f"  - {{name: {name}, kind: {kind}}}\n" for name, kind in STAGES)
    (run / "recipe.yaml").write_text(f"name: tiny\nstages:\n{stages}", encoding="utf-8")
    for number, thinking, plain in ((1, 0.4, 0.2), (2, 0.8, 0.2), (3, None, None), (4, 0.7, 0.5)):
        shares = {} if thinking is None or plain is None else {"thinking": thinking, "non_thinking": plain}
        folder = write_stage(run, number, shares, text)
    sweep = [
        {"budget": budget, "mean_thinking_tokens": budget / 2, "mean_answer_tokens": 8, "forced_share": 0.5}
        | scored(share)
        for budget, share in ((0, 0.4), (64, 0.5), (256, 0.7))
    ]
    put(folder / "evaluations" / "budget.json", {"points": sweep})
    return run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "tiny")


def test_a_whole_run_gives_all_three_files_and_the_documented_keys(run: Path) -> None:
    document = write_report(run)
    assert json.loads((run / "report.json").read_text(encoding="utf-8")) == document
    wanted = "recipe seed model started seconds stages budget budget_spearman alarms versions hardware notes summary"
    assert set(wanted.split()) <= set(document)
    stage = document["stages"][1]
    wanted = "name kind outcome seconds steps tokens inputs output_hash counts evaluations changes training"
    assert set(wanted.split()) <= set(stage)
    wanted = (
        "count accuracy accuracy_low accuracy_high format think_follow mean_thinking_tokens mean_answer_tokens "
        "truncated_share tasks"
    )
    assert set(wanted.split()) <= set(stage["evaluations"]["thinking"])
    assert {"accuracy", "significant", "verdict"} <= set(stage["changes"]["thinking"])
    assert stage["training"]["loss"] == pytest.approx({"first": 2, "last": 2 / 30, "best": 2 / 30, "mean": 0.266332})
    assert document["budget_spearman"] == 1.0
    assert sorted(path.name for path in run.glob("*report*")) == ["report.html", "report.json", "report.md"]


def test_the_schema_in_the_documentation_accepts_the_document(run: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    schema = json.loads(page.split("```json\n")[1].split("```")[0])
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(write_report(run), schema)


def test_a_loss_is_shown_as_plainly_as_a_gain(run: Path) -> None:
    document = write_report(run)
    changed = document["stages"][3]["changes"]
    assert (
        changed["thinking"] | {"verdict": "loss", "significant": True, "since": "reasoning_rl"} == changed["thinking"]
    )
    assert changed["non_thinking"]["verdict"] == "gain"
    assert "Clear losses: mode_fusion, thinking −10.0" in document["summary"]
    page = (run / "report.html").read_text(encoding="utf-8")
    assert 'class="delta loss"' in page and 'class="delta gain"' in page and "path thinking lost" in page
    text = (run / "report.md").read_text(encoding="utf-8")
    assert "**▼ −10.0 loss**" in text and "**▲ +30.0 gain**" in text
    assert document["final"]["thinking"]["against_best"]["stage"] == "reasoning_rl"


def test_the_printed_table_names_losses_and_stages_without_a_policy(run: Path) -> None:
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(stage_table(write_report(run)))
    printed = console.export_text()
    assert "▼ −10.0 loss" in printed and "10 rows" in printed and "non-thinking" in printed


def test_an_unfinished_run_is_reported_as_far_as_it_went(run: Path) -> None:
    (run / "04-mode_fusion" / "manifest.json").unlink()
    put(run / "04-mode_fusion" / "attempts" / "02.json", {"started": 100, "outcome": "killed"})
    for mode in ("thinking", "non_thinking", "budget"):
        (run / "04-mode_fusion" / "evaluations" / f"{mode}.json").unlink()
    with (run / "04-mode_fusion" / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 31, "lo')
    document = write_report(run)
    stage = document["stages"][3]
    assert (stage["outcome"], stage["steps"], stage["seconds"]) == ("killed", 30, 60.0)
    assert document["budget"] == [] and document["budget_spearman"] is None
    assert any("half-written" in note and "04-mode_fusion/metrics.jsonl" in note for note in document["notes"])
    assert any("not finished (killed)" in note for note in document["notes"])


def test_a_stage_that_was_set_aside_is_not_a_stage_of_the_run(run: Path) -> None:
    names = [stage["name"] for stage in write_report(run)["stages"]]
    shutil.copytree(run / "04-mode_fusion", run / "04-mode_fusion.redone-1")
    assert [stage["name"] for stage in write_report(run)["stages"]] == names


def test_a_stage_that_never_started_is_known_from_the_recipe(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny")
    (run / "recipe.yaml").write_text("stages: [{name: general_rl, kind: grpo}]", encoding="utf-8")
    assert write_report(run)["stages"][-1]["outcome"] == "not started"


def test_a_corrupt_file_is_named_and_the_rest_is_reported(run: Path) -> None:
    (run / "02-reasoning_rl" / "evaluations" / "thinking.json").write_text("{oh no", encoding="utf-8")
    (run / "01-cold_start" / "manifest.json").write_text("[1, 2]", encoding="utf-8")
    (run / "run.json").write_bytes(b"\xff\xfe{")
    document = write_report(run)
    notes = " ".join(document["notes"])
    for name in ("02-reasoning_rl/evaluations/thinking.json", "01-cold_start/manifest.json", "run.json"):
        assert name in notes
    assert document["stages"][3]["changes"]["thinking"]["since"] == "cold_start"


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="neither run.json nor a stage"):
        write_report(tmp_path)


def test_hostile_text_is_inert_in_every_form(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny", f"<think>{HOSTILE}</think>{HOSTILE}\ud800")
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    put(run / "run.json", facts | {"recipe": HOSTILE, "model": f'"{HOSTILE}', "versions": {HOSTILE: HOSTILE}})
    for folder in run.glob("0*"):
        text = (folder / "stage.json").read_text(encoding="utf-8")
        put(folder / "stage.json", json.loads(text) | {"name": HOSTILE})
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        put(folder / "manifest.json", manifest | {"name": f"{HOSTILE}{folder.name}", "kind": HOSTILE})
    write_report(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in page
    assert "<script" not in page and "<img" not in page
    assert "<script" not in (run / "report.md").read_text(encoding="utf-8").replace("\\<", "")


def test_the_page_loads_nothing_from_elsewhere(run: Path) -> None:
    write_report(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    urls = [url for url in re.findall(r"https?://[^\s\"'<>]+", page) if url != "http://www.w3.org/2000/svg"]
    assert urls == [] and not re.search(r"\b(src|href)=|@import|url\(", page)
    assert "default-src 'none'" in page and len(page) < 300_000


def test_importing_the_report_is_light() -> None:
    heavy = "{'torch', 'matplotlib', 'transformers', 'numpy', 'jinja2'}"
    code = f"import sys, alignment.report; assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
