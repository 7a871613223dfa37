"""Quality and safety rules find their planted rows and leave near misses; classifiers leave out by their threshold."""

import json
import re
import time
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from alignment.checks.recipe import checked
from alignment.core.errors import ArtifactError, RecipeError
from alignment.core.resources import resource
from alignment.data.rows import read_rows
from alignment.data_factory.filters.check import sort_rows
from alignment.data_factory.filters.classified import finding
from alignment.data_factory.filters.personal_data import safety_checks
from alignment.data_factory.filters.quality import quality_checks
from alignment.inference.classifier import TextClassifier
from alignment.recipe.blocks.classifier import Classifier
from alignment.records.card import DataCard
from alignment.run.plan import RunPlan
from alignment.run.stage import main
from data_factory.planted_quality import RULES, planted_rows, row, sound_rows


def test_each_rule_finds_its_planted_rows_and_leaves_sound_ones_and_near_misses() -> None:
    planted = {rule: list(planted_rows(rule)) for rule in RULES}
    rows = [*sound_rows(), *(one for found in planted.values() for one in found)]
    found = sort_rows(rows, [*quality_checks(RULES, 1, 100_000), *safety_checks(RULES)])
    for rule in RULES:
        names, meant = {one.row.id for one in found.faults if one.check == rule}, {one.id for one in planted[rule]}
        assert len(names & meant) >= 0.95 * len(meant), f"recall of {rule}: missed {sorted(meant - names)}"
        assert len(names & meant) >= 0.95 * len(names), f"precision of {rule}: {sorted(names - meant)}"
    assert [one.id for one in found.kept] == [one.id for one in sound_rows()]


def test_what_is_too_short_for_a_fraction_stays_and_is_counted() -> None:
    found = sort_rows([row("short", "42")], quality_checks(["word_length", "symbols", "length"], 1, 10))
    assert len(found.kept) == 1 and found.unknown == {"word_length": 1, "symbols": 1}
    assert sort_rows([row("long", "word " * 11)], quality_checks(["length"], 1, 10)).found == {"length": 1}


@pytest.mark.parametrize(
    "text",
    [
        "\\[ ",
        "\\begin{align} ",
        "[asy]",
        "$$ $",
        "©",
        "1.1.",
        "a@",
        "+49 ",
        "…\t",
        "-----BEGIN A",
        "\\boxed{",
        "```",
        "word ",
    ],
)
def test_hostile_text_takes_time_in_proportion_to_its_length(text: str) -> None:
    checks = [*quality_checks(RULES, 1, 10**9), *safety_checks(RULES)]
    hostile = row("hostile", text * (200_000 // len(text)))
    started = time.process_time()
    sort_rows([hostile], checks)
    assert time.process_time() - started < 5


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model with three labels that it has not learned: its scores differ from text to text."""
    folder = tmp_path_factory.mktemp("classifier")
    torch.manual_seed(1)
    config = AutoConfig.from_pretrained(resource("data/base"), id2label={0: "good", 1: "poor", 2: "toxic"})
    model = AutoModelForSequenceClassification.from_pretrained(resource("data/base"), config=config)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(resource("data/base")).save_pretrained(folder)
    return folder


def test_scores_are_probabilities_and_do_not_depend_on_the_batch_and_a_long_text_is_read_to_its_end(
    classifier: Path,
) -> None:
    texts = ["The sea is salty.", "No.", "", "A long text about rivers and the sea and gardens. " * 8]
    by_label = [TextClassifier(str(classifier), label, 64).scores(texts) for label in ("good", "poor", "toxic")]
    assert sum(one[0][0][0] for one in by_label) == pytest.approx(1.0)
    toxic = by_label[2]
    alone = TextClassifier(str(classifier), "toxic", 64)
    assert toxic[0][0][0] == pytest.approx(alone.scores(texts[:1])[0][0][0], abs=1e-5)
    tokens = len(AutoTokenizer.from_pretrained(classifier)(texts[3])["input_ids"])
    assert toxic[2] == [] and len(toxic[3]) == -(-tokens // 64) and sum(count for _, count in toxic[3]) == tokens
    with pytest.raises(ArtifactError, match="has good, poor, toxic"):
        TextClassifier(str(classifier), "rude", 64)


def test_a_threshold_is_held_against_the_mean_or_the_highest_window() -> None:
    least = Classifier(name="grade", model="org/model", at_least=2.0)
    most = Classifier(name="toxic", model="org/model", label="toxic", at_most=0.5)
    assert finding(least, [(3.0, 100), (1.5, 10)]).at_fault is False
    assert finding(least, [(3.0, 10), (1.5, 100)]).at_fault is True
    assert finding(most, [(0.1, 100), (0.9, 10)]).at_fault is True
    assert finding(most, []).at_fault is None, "an empty text cannot be told"


def test_a_stage_leaves_rows_out_by_rules_and_by_a_classifier_and_says_so(classifier: Path, tmp_path: Path) -> None:
    rows = [*sound_rows(12), *planted_rows("cut_off", 2)]
    hidden = next(planted_rows("personal_data", 1))
    chats = [{"messages": one.messages} for one in [*rows, hidden]]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(one) + "\n" for one in chats), encoding="utf-8")
    answers = [str(one.messages[-1]["content"]) for one in rows]
    scores = sorted(
        max(score for score, _ in one) for one in TextClassifier(str(classifier), "toxic", 512).scores(answers)
    )
    middle = (scores[6] + scores[7]) / 2
    block = {"name": "toxic", "model": str(classifier), "label": "toxic", "at_most": middle}
    stage = {"name": "good", "kind": "filter_quality", "data": "./chats.jsonl", "classifiers": [block]}
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"name": "small", "model": "embedded", "stages": [stage]}), encoding="utf-8")
    main(recipe, "good", tmp_path / "run", [])
    plan = RunPlan.load(recipe, [], tmp_path / "run")
    card = DataCard.read(plan.folder("good").output / "card.json")
    found = {check.name: check for check in card.figures.checks}
    assert found["cut_off"].found == 2 and found["toxic"].found in (7, 8)
    assert f"scores `toxic` above {middle:g}, reading the answer" in found["toxic"].sentence
    address = re.findall(r"\S+@\S+", str(hidden.messages[-1]["content"]))[0]
    output = plan.folder("good").output
    assert found["personal_data"].found == 1 and address not in "".join(
        (output / f"card.{form}").read_text(encoding="utf-8") for form in ("md", "json")
    )
    kept = list(read_rows(plan.folder("good").output / "rows.jsonl", "conversation"))
    assert 0 < len(kept) == card.figures.rows <= 7
    assert plan.state("good") == "finished"
    (classifier / "README.md").write_text("another content", encoding="utf-8")
    assert list(plan.identity("good")["files"]) == [classifier.name]


def test_check_refuses_a_label_that_the_model_has_not_got_and_two_thresholds(classifier: Path, tmp_path: Path) -> None:
    (tmp_path / "chats.jsonl").write_text(
        json.dumps({"messages": [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hello."}]})
        + "\n",
        encoding="utf-8",
    )
    blocks = [
        {"name": "toxic", "model": str(classifier), "label": "rude", "at_most": 0.5},
        {"name": "cut_off", "model": str(tmp_path / "nowhere"), "at_least": 1.0},
    ]
    stage = {"name": "good", "kind": "filter_quality", "data": "./chats.jsonl", "classifiers": blocks}
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"name": "small", "model": "embedded", "stages": [stage]}), encoding="utf-8")
    with pytest.raises(RecipeError) as refused:
        checked(recipe, [])
    said = str(refused.value)
    assert "found rude, and the model has good, poor, toxic" in said
    assert "another check is called" in said and "name the folder of a classifier" in said
    blocks[1] = {"name": "grade", "model": "org/model", "at_least": 1.0, "at_most": 2.0}
    recipe.write_text(yaml.safe_dump({"name": "small", "model": "embedded", "stages": [stage]}), encoding="utf-8")
    with pytest.raises(RecipeError, match="exactly one of `at_least` and `at_most`"):
        checked(recipe, [])
