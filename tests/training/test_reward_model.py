"""A reward model learns which answer was preferred, says how much of that is length, and loads anywhere."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from alignment.core.errors import DataError
from alignment.core.resources import resource
from alignment.core.statistics import preference
from alignment.core.statistics.preference import ScoredPair
from alignment.records.reward_model import RewardModelRecord
from alignment.report.build import build_report
from alignment.report.render.html import render_page
from alignment.report.render.markdown import render_markdown
from alignment.report.run import read_run
from alignment.run.plan import RunPlan
from alignment.training.context import StageContext
from alignment.training.stages.reward_model import build, train_reward_model

TRAINER = {"max_steps": 40, "per_device_train_batch_size": 4, "learning_rate": 1.0e-3}


def pairs_file(path: Path, count: int = 60, *, longer: bool = False) -> Path:
    """Preferences for the right sum; longer: the right one says more."""
    draw = random.Random(0)
    rows = []
    for _ in range(count):
        one, two = draw.randint(10, 99), draw.randint(10, 99)
        wrong = one + two + draw.choice([-7, 9, 13])
        more = " That is the sum." * longer
        rows.append({"prompt": f"{one} + {two} =", "chosen": f"{one + two}.{more}", "rejected": f"It is {wrong}!"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def stage_of(folder: Path, data: Path, **fields: Any) -> StageContext:
    """A stage that is ready to train in this process."""
    folder.mkdir(parents=True, exist_ok=True)
    stage = {
        "name": "rm", "kind": "reward_model", "data": str(data), "max_length": 256, "held_out": 0.2, "trainer": TRAINER, **fields,
    }  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(
        yaml.safe_dump({"name": "small", "model": "embedded", "seed": 3, "stages": [stage]}), encoding="utf-8"
    )
    plan = RunPlan.load(path, [], folder / "run")
    plan.prepare()
    context = StageContext(
        plan.recipe, plan.recipe.stage("rm"), plan.run, plan.folder("rm"), str(resource("data/base"))
    )
    context.folder.path.mkdir(parents=True, exist_ok=True)
    return context


def run_stage(folder: Path, data: Path, **fields: Any) -> tuple[StageContext, Path]:
    """Train a stage in this process; returns its context and output folder."""
    context = stage_of(folder, data, **fields)
    train_reward_model(context)
    return context, context.folder.output


def reward(output: Path, question: str, answer: str) -> float:
    """What plain transformers says of an answer."""
    model = AutoModelForSequenceClassification.from_pretrained(output).eval()
    tokenizer = AutoTokenizer.from_pretrained(output)
    talk = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    text = tokenizer.apply_chat_template(talk, tokenize=False)
    with torch.no_grad():
        return float(model(**tokenizer(text, return_tensors="pt", add_special_tokens=False)).logits[0, 0])


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[StageContext, Path]:
    """A stage that was trained on pairs without margins."""
    folder = tmp_path_factory.mktemp("learned")
    return run_stage(folder, pairs_file(folder / "pairs.jsonl"))


def test_it_learns_to_tell_answers_apart_and_loads_in_plain_transformers(learned: tuple[StageContext, Path]) -> None:
    context, output = learned
    found = RewardModelRecord.read(context.folder.evaluations / "reward_model.json")
    assert found.pairs == context.counts["held_out_rows"] > 5
    assert found.accuracy.value == 1.0 == context.counts["pair_accuracy"]
    assert found.length_alone.value == 0.0, "the right answer is the shorter one here"
    assert reward(output, "12 + 13 =", "25.") > reward(output, "12 + 13 =", "It is 32!")
    assert AutoModelForSequenceClassification.from_pretrained(output).config.num_labels == 1
    assert f"{found.pairs} held-out pairs" in (output / "README.md").read_text(encoding="utf-8")


def test_the_report_has_a_table_of_reward_models(learned: tuple[StageContext, Path]) -> None:
    context, _ = learned
    run = read_run(context.run.path)
    document = build_report(run)
    page, text = render_page(document, run), render_markdown(document)
    assert document.reward_models[0].measured.accuracy.value == 1.0
    assert "<h2>Reward models</h2>" in page and "| rm |" in text and "100.0" in text


def test_an_adapter_is_merged_with_its_head(tmp_path: Path) -> None:
    _, output = run_stage(tmp_path, pairs_file(tmp_path / "pairs.jsonl"), lora={"rank": 8})
    assert reward(output, "12 + 13 =", "25.") > reward(output, "12 + 13 =", "It is 32!")


def test_pairs_that_length_explains_are_shown_as_such(tmp_path: Path) -> None:
    few = {**TRAINER, "max_steps": 1}
    context, _ = run_stage(tmp_path, pairs_file(tmp_path / "pairs.jsonl", longer=True), trainer=few)
    found = RewardModelRecord.read(context.folder.evaluations / "reward_model.json")
    assert found.length_alone.value == 1.0
    assert found.accuracy_if_shorter.value is None, "no chosen answer is shorter, so nobody knows"


def test_pairs_that_are_too_long_are_counted_and_too_many_are_refused(tmp_path: Path) -> None:
    data = pairs_file(tmp_path / "pairs.jsonl", count=40)
    long = {"prompt": "1 + 1 =", "chosen": "2. " * 200, "rejected": "3."}
    with data.open("a", encoding="utf-8") as file:
        file.write((json.dumps(long) + "\n") * 2)
    few = {**TRAINER, "max_steps": 1}
    context, _ = run_stage(tmp_path / "few", data, trainer=few)
    assert context.counts["left_out_too_long"] in (1, 2), "equal pairs may be counted once"
    with data.open("a", encoding="utf-8") as file:
        for number in range(12):
            file.write(json.dumps({**long, "prompt": f"1 + {number} ="}) + "\n")
    with pytest.raises(DataError, match="more than max_too_long_fraction 0.1"):
        run_stage(tmp_path / "many", data, trainer=few)


def with_margins(path: Path, *margins: float | None) -> Path:
    """Pairs of which these have a margin, or none for None."""
    rows = [json.loads(line) for line in pairs_file(path, count=len(margins)).read_text(encoding="utf-8").splitlines()]
    said = [row if margin is None else {**row, "margin": margin} for row, margin in zip(rows, margins, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in said), encoding="utf-8")
    return path


def loss_at_equal_rewards(context: StageContext) -> tuple[float, list[float]]:
    """The loss over all pairs of a model that gives every answer 0, and the margins that its rows have."""
    trainer, _ = build(context)
    torch.nn.init.zeros_(trainer.model.score.weight)
    rows = list(trainer.train_dataset)
    with torch.no_grad():
        loss = trainer.compute_loss(trainer.model, trainer.data_collator(rows))
    return float(loss), [row["margin"] for row in rows if "margin" in row]


def test_a_margin_changes_the_loss_as_its_formula_says(tmp_path: Path) -> None:
    data = with_margins(tmp_path / "pairs.jsonl", 1.0, 3.0, None, None)
    context = stage_of(tmp_path / "with", data, held_out=None)
    loss, margins = loss_at_equal_rewards(context)
    assert sorted(margins) == [0.0, 0.0, 1.0, 3.0] and context.counts["margins"] == 2
    assert loss == pytest.approx(1.437036, abs=1e-5)  # mean of log(1 + e^m): 1.313262, 3.048587, and twice log 2
    plain = stage_of(tmp_path / "without", with_margins(tmp_path / "plain.jsonl", None, None), held_out=None)
    loss, margins = loss_at_equal_rewards(plain)
    assert margins == [] and "margins" not in plain.counts
    assert loss == pytest.approx(0.693147, abs=1e-5)


def test_a_stage_with_margins_trains_and_pulls_rewards_further_apart(
    learned: tuple[StageContext, Path], tmp_path: Path
) -> None:
    _, output = run_stage(tmp_path, with_margins(tmp_path / "pairs.jsonl", *[8.0] * 60))
    without, apart = (
        reward(one, "12 + 13 =", "25.") - reward(one, "12 + 13 =", "It is 32!") for one in (learned[1], output)
    )
    assert apart > without + 0.5


def pair(chosen: float, rejected: float, lengths: tuple[int, int] = (5, 5)) -> ScoredPair:
    return ScoredPair(chosen, rejected, *lengths)


def test_ties_count_half_and_length_bias_is_seen() -> None:
    pairs = [pair(1, 0, (9, 3)), pair(0, 1, (3, 9)), pair(2, 2, (4, 4))]
    assert preference.accuracy(pairs).value == pytest.approx(0.5)
    assert preference.prefers_longer(pairs).value == 1.0
    assert preference.length_alone(pairs).value == pytest.approx(0.5)
    assert preference.accuracy_if_shorter(pairs).value == 0.0
    correlation = preference.length_correlation([pair(9, 3, (90, 30)), pair(5, 1, (50, 10))])
    assert correlation == pytest.approx(1.0)
    assert preference.length_correlation([pair(1, 1), pair(1, 1)]) is None


def test_a_sure_model_that_is_right_half_the_time_is_badly_calibrated() -> None:
    sure = preference.calibration([pair(5, 0), pair(0, 5)])
    assert preference.calibration_error(sure) == pytest.approx(0.4933, abs=1e-3)  # sigmoid(5) - 0.5
    unsure = preference.calibration([pair(0.01, 0), pair(0, 0.01)])
    assert preference.calibration_error(unsure) == pytest.approx(0.0025, abs=1e-3)
    assert preference.calibration_error(()) is None
