"""The report, made from small run directories that each test writes: whole, unfinished, damaged, regressed, hostile."""

import io
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from report_run import HOSTILE, STARTED, put_card, reported, write_run
from rich.console import Console

from alignment.core.errors import ArtifactError
from alignment.core.statistics.estimate import Estimate
from alignment.core.typed_json import encode
from alignment.records.attempt import Attempt, attempt_file
from alignment.records.evaluation import EvaluationRecord
from alignment.records.run import RunRecord, StageStart
from alignment.records.run_folder import StageFolder
from alignment.report import write_report
from alignment.report.render.terminal import stage_table


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "tiny")


def test_a_whole_run_gives_all_three_files_and_the_documented_keys(run: Path) -> None:
    document = reported(run)
    assert encode(write_report(run)) == document
    wanted = "recipe seed model started seconds stages sweep alarms versions hardware notes summary"
    assert set(wanted.split()) <= set(document)
    stage = document["stages"][1]
    wanted = "name kind outcome seconds steps tokens inputs output_hash counts evaluations changes training"
    assert set(wanted.split()) <= set(stage)
    wanted = (
        "count accuracy accuracy_low accuracy_high format think_follow mean_thinking_tokens mean_answer_tokens "
        "truncated_fraction tasks"
    )
    assert set(wanted.split()) <= set(stage["evaluations"]["thinking"])
    assert {"accuracy", "significant", "verdict"} <= set(stage["changes"]["thinking"])
    assert stage["training"]["loss"] == pytest.approx({"first": 2, "last": 2 / 30, "best": 2 / 30, "mean": 0.266332})
    assert document["sweep"]["curves"][0]["spearman"] == 1.0
    assert sorted(path.name for path in run.glob("*report*")) == ["report.html", "report.json", "report.md"]


def test_the_schema_in_the_documentation_accepts_the_document(run: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(reported(run), schema)
    put_card(run / "03-fusion_data")
    document = reported(run)
    jsonschema.validate(document, schema)
    document["stages"][0]["changes"] = {"thinking": {"since": 3}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_the_time_of_every_attempt_and_where_it_resumed_reach_the_report(run: Path) -> None:
    folder = StageFolder(run / "02-reasoning_rl")
    Attempt(STARTED, "killed", 48.0, -9, 0).write(attempt_file(folder, 1))
    Attempt(STARTED, "finished", 31.5, 0, 20).write(attempt_file(folder, 2))
    attempts = reported(run)["stages"][1]["attempts"]
    assert [(one["number"], one["outcome"], one["seconds"]) for one in attempts] == [
        (1, "killed", 48.0),
        (2, "finished", 31.5),
    ]
    assert [one["resumed_from_step"] for one in attempts] == [0, 20]
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "killed after 48 s" in page and "finished after 32 s, from step 20" in page


def test_an_answer_that_could_not_be_judged_is_shown_as_unknown_and_not_as_wrong(run: Path) -> None:
    path = run / "04-mode_fusion" / "evaluations" / "thinking.json"
    found = EvaluationRecord.read(path)
    replace(found, samples=(replace(found.samples[0], correct=None),)).write(path)
    write_report(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    section = page[page.index("The same question") :]
    assert "not judged" in section and "incorrect" not in section


def test_a_mode_of_which_nothing_could_be_judged_is_reported_and_rings(run: Path) -> None:
    path = run / "04-mode_fusion" / "evaluations" / "thinking.json"
    found = EvaluationRecord.read(path)
    figures = replace(found.figures, count=0, accuracy=Estimate(None, 0.0, 1.0), unknown=500, tasks=())
    replace(found, figures=figures).write(path)
    document = reported(run)
    assert document["stages"][3]["evaluations"]["thinking"]["accuracy"] is None
    alarm = next(one for one in document["alarms"] if one["kind"] == "evaluation_unknown")
    assert (alarm["level"], alarm["value"]) == ("warning", 1.0)


def test_the_card_of_a_fusion_stage_is_shown_under_it_and_linked(run: Path) -> None:
    put_card(run / "03-fusion_data", f"<think>{HOSTILE}</think>")
    document = reported(run)
    card = document["stages"][2]["card"]
    assert card["path"] == "03-fusion_data/output/card.md"
    assert card["fractions"] == {
        "thinking_fraction": {"words": "rows that think", "asked": 0.5, "made": 0.4, "rows": 4, "of": 10}
    }
    assert [stage["card"] for stage in document["stages"] if stage["name"] != "fusion_data"] == [None] * 3
    text = (run / "report.md").read_text(encoding="utf-8")
    assert "## Data card of fusion\\_data" in text and "(03-fusion_data/output/card.md)" in text
    assert "| rows that think | 50.0 | 40.0 | 4 of 10 |" in text and "| sums | MIT | 12 | 2 too long | 10 |" in text
    page = (run / "report.html").read_text(encoding="utf-8")
    row = page.index("rows 10, modes thinking 4")
    assert (
        row < page.index("<summary>data card</summary>") < page.index("2 too long") < page.index(">mode_fusion<small>")
    )
    assert "&lt;script&gt;" in page and "<script" not in page


@pytest.mark.parametrize(
    "damage",
    [
        '{"rows": 9, "fractions": 3, "flags": [], "data": [1]}',
        '{"rows": 9, "fractions": {"a": 1}, "turns": {"1": "x"}}',
        "[",
        "{}",
    ],
)
def test_a_damaged_card_ends_no_report(run: Path, damage: str) -> None:
    put_card(run / "03-fusion_data")
    (run / "03-fusion_data" / "output" / "card.json").write_text(damage, encoding="utf-8")
    document = reported(run)
    card = document["stages"][2]["card"]
    assert card is None or card["fractions"] == {}
    assert any("card.json" in note for note in document["notes"])


def test_a_loss_is_shown_as_plainly_as_a_gain(run: Path) -> None:
    document = reported(run)
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
    Attempt(STARTED, "killed").write(attempt_file(StageFolder(run / "04-mode_fusion"), 2))
    for mode in ("thinking", "non_thinking"):
        (run / "04-mode_fusion" / "evaluations" / f"{mode}.json").unlink()
    (run / "budget" / "budget.json").unlink()
    with (run / "04-mode_fusion" / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 31, "lo')
    document = reported(run)
    stage = document["stages"][3]
    assert (stage["outcome"], stage["steps"], stage["seconds"]) == ("killed", 30, 60.0)
    assert document["sweep"] is None
    assert any("half-written" in note and "04-mode_fusion/metrics.jsonl" in note for note in document["notes"])
    assert any("not finished (killed)" in note for note in document["notes"])


def test_a_stage_that_was_set_aside_is_not_a_stage_of_the_run(run: Path) -> None:
    names = [stage.name for stage in write_report(run).stages]
    shutil.copytree(run / "04-mode_fusion", run / "04-mode_fusion.redone-1")
    assert [stage.name for stage in write_report(run).stages] == names


def test_a_stage_that_never_started_is_known_from_the_recipe(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny")
    (run / "recipe.yaml").write_text("stages: [{name: general_rl, kind: grpo}]", encoding="utf-8")
    assert write_report(run).stages[-1].outcome == "not started"


def test_a_corrupt_file_is_named_and_the_rest_is_reported(run: Path) -> None:
    (run / "02-reasoning_rl" / "evaluations" / "thinking.json").write_text("{oh no", encoding="utf-8")
    (run / "01-cold_start" / "manifest.json").write_text("[1, 2]", encoding="utf-8")
    (run / "run.json").write_bytes(b"\xff\xfe{")
    document = reported(run)
    notes = " ".join(document["notes"])
    for name in ("02-reasoning_rl/evaluations/thinking.json", "01-cold_start/manifest.json", "run.json"):
        assert name in notes
    assert document["stages"][3]["changes"]["thinking"]["since"] == "cold_start"


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="neither run.json nor a stage"):
        write_report(tmp_path)


def test_hostile_text_is_inert_in_every_form(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny", f"<think>{HOSTILE}</think>{HOSTILE}\ud800")
    RunRecord(HOSTILE, 17, f'"{HOSTILE}', STARTED, {HOSTILE: HOSTILE}).write(run / "run.json")
    for folder in map(StageFolder, run.glob("0*")):
        StageStart(HOSTILE, "sft", {}).write(folder.path / "stage.json")
        replace(folder.manifest(), name=f"{HOSTILE}{folder.path.name}", kind=HOSTILE).write(folder.manifest_path)
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
