"""Held-out rows: chosen by what they ask, never trained on, measured exactly, and the best checkpoint is what is left."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, TrainerCallback

from alignment.checks.recipe import checked
from alignment.core.errors import ArtifactError, RecipeError
from alignment.core.files import read_json_lines
from alignment.core.resources import resource
from alignment.data.chat.template import IGNORED, render_conversation
from alignment.data.held_out import held_out, question_key
from alignment.data.rows import Conversation, Preference
from alignment.data.sources.rows import LeftOut
from alignment.records.run_folder import RunFolder
from alignment.run.identity import stage_identity
from alignment.training.context import StageContext
from alignment.training.main import train
from alignment.training.stages import dpo, sft

STAGES: dict[str, Any] = {"sft": sft.build, "dpo": dpo.build}


def write(folder: Path, kind: str, held: str, trainer: str = "learning_rate: 1.0e-3") -> Path:
    """A recipe and its rows. The rows are contradictory, so that more steps make the held-out loss worse."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [{"prompt": f"{n} + 1 =", "chosen": str(n % 3), "rejected": f"{n + 1}!"} for n in range(40)]
    rows = [{"prompt": one["prompt"], "completion": one["chosen"]} for one in pairs] if kind == "sft" else pairs
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    path = folder / "recipe.yaml"
    path.write_text(
        "name: own\nmodel: embedded\nseed: 3\nhardware: {accelerate: cpu}\nstages:\n"
        f"  - {{name: tune, kind: {kind}, data: rows.jsonl, max_length: 128, held_out: {held}, "
        f"trainer: {{max_steps: 6, per_device_train_batch_size: 2, {trainer}}}}}\n",
        encoding="utf-8",
    )
    return path


def context_of(folder: Path, kind: str, held: str, **more: str) -> StageContext:
    plan, run = checked(write(folder, kind, held, **more), []), RunFolder(folder / "run")
    return StageContext(plan.recipe, plan.recipe.stages[0], run, run.stage(1, "tune"), str(resource("data/base")))


def lines(context: StageContext) -> dict[int, float]:
    found = [line for line in read_json_lines(context.folder.metrics) if "held_out_loss" in line]
    assert len({line["step"] for line in found}) == len(found)
    return {line["step"]: line["held_out_loss"] for line in found}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return AutoModelForCausalLM.from_pretrained(folder).state_dict()


def same(first: Path, second: Path) -> bool:
    ours, theirs = weights(first), weights(second)
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


class Kill(TrainerCallback):  # type: ignore[misc]
    """Ends a stage right behind the checkpoint of a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


def killed(context: StageContext, kind: str, step: int) -> None:
    def build(given: StageContext) -> Any:
        trainer, recorder = STAGES[kind](given)
        trainer.add_callback(Kill(step))
        return trainer, recorder

    with pytest.raises(KeyboardInterrupt):
        train(context, build)


def chat(question: str, answer: str = "a") -> Conversation:
    return Conversation(
        question, [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], "non_thinking"
    )


def test_a_question_is_on_one_side_whatever_else_the_file_holds_and_another_seed_draws_others() -> None:
    rows = [chat(f"question {number // 2}", f"answer {number}") for number in range(2000)]
    kept, measured = held_out(rows, 0.1, seed=0)
    assert {question_key(row) for row in kept}.isdisjoint(question_key(row) for row in measured)
    assert len(kept) + len(measured) == 2000 and 150 < len(measured) < 250
    fewer = held_out(rows[::-1][:1000], 0.1, seed=0)[1]
    assert {row.id for row in fewer} <= {row.id for row in measured}
    assert {row.id for row in held_out(rows, 0.1, seed=1)[1]} != {row.id for row in measured}


def test_the_held_out_loss_is_the_mean_over_trained_tokens_of_rows_that_are_not_trained_on(tmp_path: Path) -> None:
    context = context_of(tmp_path, "sft", "{fraction: 0.2, every_steps: 3}")
    train(context, sft.build)
    rows, measured = sft._sound_rows(context)
    assert {row.id for row in rows}.isdisjoint(row.id for row in measured)
    assert context.counts["held_out_rows"] == len(measured) and context.counts["rows"] == len(rows)
    model = AutoModelForCausalLM.from_pretrained(context.policy_path, dtype=torch.float32)
    total, tokens = 0.0, 0
    for row in measured:
        rendered = render_conversation(context.tokenizer(), row)
        with torch.no_grad():
            logits_TV = model(torch.tensor([rendered.input_ids])).logits[0, :-1].log_softmax(-1)
        for position, label in enumerate(rendered.labels[1:]):
            if label != IGNORED:
                total, tokens = total - float(logits_TV[position, label]), tokens + 1
    assert set(lines(context)) == {0, 3, 6}
    assert lines(context)[0] == pytest.approx(total / tokens, rel=1e-4)


RISING = "learning_rate: 0.1, warmup_steps: 6"  # of sft: the lowest held-out loss is in the middle


def contrary(folder: Path, kind: str) -> StageContext:
    """A stage whose held-out loss is lowest before its last step; of dpo because its own held-out pairs prefer the other way."""
    if kind == "sft":
        return context_of(folder, kind, "{fraction: 0.2, every_steps: 2}", trainer=RISING)
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [{"prompt": f"{n} + 8 =", "chosen": f"{n + 1}!", "rejected": str(n % 3)} for n in range(4)]
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs), encoding="utf-8")
    return context_of(folder, kind, "{data: mine.jsonl, every_steps: 2}")


def best_of(context: StageContext) -> int:
    measured = lines(context)
    return min((step for step in measured if step), key=measured.__getitem__)


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        pytest.param("sft", [2, 4, 6], marks=pytest.mark.long),
        pytest.param("dpo", [2, 4, 6], marks=pytest.mark.long),
    ],
)
def test_the_best_checkpoint_is_what_a_stage_leaves_and_a_killed_stage_leaves_the_same(
    tmp_path: Path, kind: str, steps: list[int]
) -> None:
    whole = contrary(tmp_path / "whole", kind)
    train(whole, STAGES[kind])
    best = best_of(whole)
    assert best != 6 and whole.counts["best_step"] == best
    assert whole.counts["held_out_loss"] == pytest.approx(lines(whole)[best], abs=1e-6)
    assert same(whole.folder.output, whole.folder.checkpoints / f"checkpoint-{best}")
    assert not same(whole.folder.output, whole.folder.checkpoints / "checkpoint-6")
    for step in steps:
        killed(contrary(tmp_path / f"killed-{step}", kind), kind, step)
        moved = (tmp_path / f"killed-{step}").rename(tmp_path / f"renamed-{step}")
        context = contrary(moved, kind)
        train(context, STAGES[kind])
        assert lines(context) == lines(whole)
        assert same(context.folder.output, whole.folder.output)


def test_a_stage_that_was_killed_and_renamed_leaves_its_best_checkpoint(tmp_path: Path) -> None:
    killed(contrary(tmp_path / "killed", "sft"), "sft", 4)
    context = contrary((tmp_path / "killed").rename(tmp_path / "renamed"), "sft")
    train(context, sft.build)
    assert set(lines(context)) == {0, 2, 4, 6} and best_of(context) == context.counts["best_step"] == 4
    assert same(context.folder.output, context.folder.checkpoints / "checkpoint-4")
    assert not same(context.folder.output, context.folder.checkpoints / "checkpoint-6")


@pytest.mark.long
def test_an_adapter_is_left_as_it_was_at_the_best_checkpoint(tmp_path: Path) -> None:
    held = "{fraction: 0.2, every_steps: 2}, lora: {rank: 4, alpha: 8, targets: [q_proj, v_proj]}"
    context = context_of(tmp_path, "sft", held, trainer="learning_rate: 12.0, warmup_steps: 6")
    train(context, sft.build)
    best = best_of(context)
    assert best == context.counts["best_step"] == 2
    left = load_file(context.folder.output / "adapter/adapter_model.safetensors")
    kept = load_file(context.folder.checkpoints / f"checkpoint-{best}/adapter_model.safetensors")
    assert left.keys() == kept.keys() and all(torch.equal(left[name], kept[name]) for name in kept)


@pytest.mark.long
def test_the_last_policy_is_left_where_the_recipe_says_so(tmp_path: Path) -> None:
    context = context_of(
        tmp_path, "sft", "{fraction: 0.2, every_steps: 2, keep: last}", trainer="learning_rate: 1.0e-2"
    )
    train(context, sft.build)
    assert "best_step" not in context.counts and set(lines(context)) == {0, 2, 4, 6}
    assert same(context.folder.output, context.folder.checkpoints / "checkpoint-6")


@pytest.mark.long
def test_a_best_checkpoint_that_is_gone_is_an_error_and_not_another_policy(tmp_path: Path) -> None:
    held, slower = "{fraction: 0.2, every_steps: 2}", "learning_rate: 0.03, warmup_steps: 6"
    context = context_of(tmp_path, "sft", held, trainer=slower)
    killed(context, "sft", 4)
    best = best_of(context)
    assert best == 2
    shutil.rmtree(context.folder.checkpoints / f"checkpoint-{best}")
    with pytest.raises(ArtifactError, match=f"checkpoint-{best} had the lowest held-out loss and is missing"):
        train(context, sft.build)


def test_how_rows_are_held_out_is_part_of_a_stages_identity(tmp_path: Path) -> None:
    def identity(held: str) -> dict[str, Any]:
        plan = checked(write(tmp_path, "sft", held), [])
        return stage_identity(plan.recipe, plan.recipe.stages[0], {})

    assert identity("0.1") == identity("{fraction: 0.1}")
    assert len({json.dumps(identity(one)) for one in ("0.1", "0.2", "{keep: last}", "{every_steps: 9}", "null")}) == 5
    assert "held_out" not in json.dumps(identity("null"))


def test_rows_of_ones_own_are_measured_and_training_rows_among_them_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "sft", "{data: mine.jsonl, every_steps: 3}")
    with pytest.raises(RecipeError, match=r"held_out.data: there is no file .*mine.jsonl"):
        checked(path, [])
    (tmp_path / "mine.jsonl").write_text('{"prompt": "1  + 1 =", "completion": "2"}\n', encoding="utf-8")
    with pytest.raises(RecipeError, match="1 of its 1 questions are among the stage's training rows"):
        checked(path, [])
    (tmp_path / "mine.jsonl").write_text('{"prompt": "7 + 70 =", "completion": "77"}\n', encoding="utf-8")
    plan, run = checked(path, []), RunFolder(tmp_path / "run")
    context = StageContext(plan.recipe, plan.recipe.stages[0], run, run.stage(1, "tune"), str(resource("data/base")))
    rows, measured = sft._sound_rows(context)
    assert len(rows) == 40 and [row.messages[0]["content"] for row in measured] == ["7 + 70 ="]


def test_a_checkpoint_interval_without_effect_and_trls_own_keys_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "sft", "0.1, save_every_steps: 7", trainer="eval_steps: 5")
    with pytest.raises(RecipeError, match=r"(?s)save_every_steps: has no effect.*|eval_steps") as refused:
        checked(path, [])
    assert "save_every_steps: has no effect" in str(refused.value)
    assert "eval_steps: write `held_out` beside `trainer`" in str(refused.value) or "write `held_out`" in str(
        refused.value
    )


def test_a_pair_that_the_template_writes_alike_is_left_out_and_named(tmp_path: Path) -> None:
    context, alike = context_of(tmp_path, "dpo", "0.5"), list[LeftOut]()
    asked: list[dict[str, str]] = [{"role": "user", "content": "1 + 2?"}]
    chosen, same_text, other = ({"role": "assistant", "content": text} for text in ("3", "\n\n3", "4"))
    pairs = [Preference(one["content"], asked, chosen, one, "non_thinking") for one in (same_text, other)]
    assert len(list(dpo._rendered(context, context.tokenizer(), pairs, alike))) == 1
    assert [one.place for one in alike] == ["\n\n3"] and "white space that the template removes" in alike[0].why
