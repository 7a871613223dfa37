"""Stages that leave rows out, run as a recipe runs them: what stays, what the data card and the report say, and when they run again."""

import json
from pathlib import Path

import pytest
import yaml

from alignment.checks.recipe import checked
from alignment.core.errors import DataError, RecipeError, StaleInputsError
from alignment.core.files import canonical_hash, folder_files
from alignment.data.rows import read_rows, write_rows
from alignment.records.card import DataCard
from alignment.records.manifest import Manifest
from alignment.report import write_report
from alignment.run.plan import RunPlan
from alignment.run.stage import main
from data_factory.planted_responses import EVALUATED, FAULTS, made_set

STAGES = """
  - {name: sampled, kind: sample, data: [{source: ./problems.jsonl}], rewards: [{kind: math_answer}]}
  - {name: filtered, kind: filter_responses, data: [{stage: sampled}], tests: [./tests.jsonl], rewards: [{kind: math_answer}]}
  - {name: once, kind: deduplicate, data: [{stage: filtered}]}
  - {name: clean, kind: decontaminate, data: [{stage: once}], tests: [./tests.jsonl]}
  - {name: tuned, kind: sft, data: [{stage: clean}], max_length: 512}
evaluations: {after_each_stage: [chain-sum], count: 8}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunPlan:
    """A recipe whose sample stage left sound responses, every kind of fault, and two copies; the stages after it are run."""
    folder = tmp_path_factory.mktemp("factory")
    made = [one for one in made_set() if int(one.row.id.partition("/")[2].partition("#")[0]) % 10 == 1]
    problems = [{"question": one.problem.question, "answer": one.problem.answer} for one in made]
    (folder / "problems.jsonl").write_text("".join(json.dumps(one) + "\n" for one in problems), encoding="utf-8")
    tests = [EVALUATED.format(30 + number, 5) for number in range(40)]
    (folder / "tests.jsonl").write_text(
        "".join(json.dumps({"question": text, "answer": "1"}) + "\n" for text in tests), encoding="utf-8"
    )
    (folder / "recipe.yaml").write_text(f"name: factory\nmodel: embedded\nstages:{STAGES}", encoding="utf-8")
    plan = RunPlan.load(folder / "recipe.yaml", [], folder / "run")
    plan.prepare()
    rows = [one.row for one in made]
    finished(plan, "sampled", [*rows, rows[0], rows[1]])
    for name in ("filtered", "once", "clean"):
        main(plan.path, name, plan.run.path, [])
    return plan


def finished(plan: RunPlan, name: str, rows: list) -> None:  # type: ignore[type-arg]
    """A finished stage that left these rows."""
    folder = plan.folder(name)
    folder.output.mkdir(parents=True)
    write_rows(folder.output / "rows.jsonl", rows)
    output, identity = folder_files(folder.output), plan.identity(name)
    Manifest(
        name, "sample", identity, canonical_hash(identity), plan.inputs(name), output, canonical_hash(output), 0, 1.0
    ).write(folder.manifest_path)


def test_the_rows_that_stay_are_the_sound_ones_each_once(run: RunPlan) -> None:
    made = {one.row.id: one for one in made_set()}
    kept = [row.id for row in read_rows(run.folder("clean").output / "rows.jsonl", "conversation")]
    assert len(kept) == len(set(kept)) == 30
    assert {made[name].fault for name in kept} == {None}


def test_the_data_card_counts_each_check_and_shows_what_it_found(run: RunPlan) -> None:
    card = DataCard.read(run.folder("filtered").output / "card.json")
    assert {check.name: check.found for check in card.figures.checks} == dict.fromkeys(FAULTS, 5)
    assert card.figures.tests == 40 and card.figures.rows == 32
    assert {example.check for example in card.examples} == set(FAULTS)
    guess = next(example for example in card.examples if example.check == "guesswork")
    assert "guess" in guess.evidence or "words of thinking" in guess.evidence
    page = (run.folder("filtered").output / "card.md").read_text(encoding="utf-8")
    assert "| guesswork | 5 |" in page and "Rows were compared with 40 evaluation problems." in page
    copies = DataCard.read(run.folder("once").output / "card.json").figures
    assert {check.name: check.found for check in copies.checks} == {"duplicate": 2, "near_duplicate": 0}


def test_the_report_says_what_was_found_and_the_manifest_counts_it(run: RunPlan) -> None:
    counts = run.folder("filtered").manifest().counts
    assert counts["rows"] == 32 and counts["left_out"] == 30 and counts["tests"] == 40
    assert counts["found"] == dict.fromkeys(FAULTS, 5)
    write_report(run.run.path)
    page, text = ((run.run.path / f"report.{form}").read_text(encoding="utf-8") for form in ("html", "md"))
    assert "| guesswork | 5 | 0 |" in text and "Compared with 40 evaluation problems." in text
    assert "Compared with 40 evaluation problems." in page and "<td>guesswork</td>" in page


def test_other_tests_are_another_stage(run: RunPlan) -> None:
    tests = run.path.parent / "tests.jsonl"
    before = tests.read_text(encoding="utf-8")
    assert run.state("clean") == "finished"
    tests.write_text(before + json.dumps({"question": "How many?", "answer": "1"}) + "\n", encoding="utf-8")
    try:
        with pytest.raises(StaleInputsError, match="tests"):
            RunPlan.load(run.path, [], run.run.path).state("clean")
    finally:
        tests.write_text(before, encoding="utf-8")


def test_a_stage_that_leaves_nothing_is_an_error_with_the_counts(tmp_path: Path) -> None:
    chats = [{"messages": [{"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": "4"}]}]
    (tmp_path / "chats.jsonl").write_text(json.dumps(chats[0]) + "\n", encoding="utf-8")
    (tmp_path / "tests.jsonl").write_text('{"question": "What is 2 + 2?", "answer": "4"}\n', encoding="utf-8")
    stage = {"name": "clean", "kind": "decontaminate", "data": "./chats.jsonl", "tests": ["./tests.jsonl"]}
    (tmp_path / "recipe.yaml").write_text(
        yaml.safe_dump({"name": "small", "model": "embedded", "stages": [stage]}), encoding="utf-8"
    )
    with pytest.raises(DataError, match="every one of 1 rows was left out.*similar_to_evaluation 1"):
        main(tmp_path / "recipe.yaml", "clean", tmp_path / "run", [])


def test_check_finds_tests_that_are_not_there_and_a_recipe_that_compares_with_nothing(tmp_path: Path) -> None:
    data = [{"source": "chain-sum", "split": "general", "count": 8}]
    stages = [
        {"name": "one", "kind": "decontaminate", "data": data, "tests": ["no-such-source"]},
        {"name": "two", "kind": "decontaminate", "data": [{"stage": "one"}]},
    ]
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "small", "model": "embedded", "stages": stages}), encoding="utf-8")
    with pytest.raises(RecipeError) as refused:
        checked(path, [])
    said = str(refused.value)
    assert "there is no source `no-such-source`" in said and "evaluates nothing" in said
