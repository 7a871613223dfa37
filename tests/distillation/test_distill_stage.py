"""A distill stage: its gradient is that of whole logits, forced tokens teach nothing, and it records what it did."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from alignment.core.errors import RecipeError
from alignment.training.distillation.divergences import beta_of, divergence
from alignment.training.main import train
from alignment.training.rl.batch import Row, StepBatch, as_tensors
from alignment.training.stages import distill
from distillation.small_stage import context_of, recipe, write_model

LORA = {"rank": 4, "alpha": 8}


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}.items():
        monkeypatch.setenv(name, value)


def rows() -> list[Row]:
    """Four ragged rows; the third has two forced tokens."""
    draw, found = torch.Generator().manual_seed(5), []
    for number, (before, after) in enumerate(((5, 12), (9, 4), (3, 20), (7, 9))):
        prompt, completion = (torch.randint(20, 400, (length,), generator=draw).tolist() for length in (before, after))
        sampled = [not (number == 2 and token in (3, 4)) for token in range(after)]
        found.append(Row(prompt, completion, [-1.0] * after, sampled, truncated=False))
    return found


def by_whole_logits(folder: Path, beta: float) -> dict[str, torch.Tensor]:
    """The gradient of the mean divergence over sampled tokens, each row alone under plain attention."""
    student, teacher = (
        AutoModelForCausalLM.from_pretrained(folder / name, dtype=torch.float32) for name in ("student", "teacher")
    )
    found = []
    for row in rows():
        ids_1T = torch.tensor([[*row.prompt_ids, *row.completion_ids]])
        places = [len(row.prompt_ids) - 1 + place for place, sampled in enumerate(row.sampled) if sampled]
        with torch.no_grad():
            teacher_NV = teacher(input_ids=ids_1T).logits[0, places]
        found.append(divergence(student(input_ids=ids_1T).logits[0, places], teacher_NV, beta))
    torch.cat(found).mean().backward()
    return {name: weight.grad for name, weight in student.named_parameters()}


@pytest.mark.parametrize(("name", "packs"), [("reverse_kl", True), ("jsd", True), ("forward_kl", False)])
def test_the_gradient_is_that_of_whole_logits_of_rows_alone(tmp_path: Path, name: str, packs: bool) -> None:
    weight = {"teacher_weight": 0.3} if name == "jsd" else {}
    trainer, _ = distill.build(context_of(recipe(tmp_path, divergence=name, **weight), tmp_path / "run"))
    if not packs:
        from alignment.training.packing import align

        trainer._lay_out = align
        for model in (trainer.model, trainer.teacher_model):
            model.set_attn_implementation("sdpa")
    batch = as_tensors(rows(), pad_id=0, mask_truncated=False, device=torch.device("cpu"))
    trainer.model.train().zero_grad()
    trainer.compute_loss(trainer.model, {**batch.columns(), "num_items_in_batch": batch.step_tokens}).backward()
    wanted = by_whole_logits(tmp_path, beta_of(name, 0.3))
    for key, gradient in trainer.model.named_parameters():
        torch.testing.assert_close(gradient.grad, wanted[key], rtol=1e-3, atol=1e-6, msg=key)


def test_a_stage_comes_closer_to_its_teacher_and_says_how_close(tmp_path: Path) -> None:
    trainer = {"max_steps": 12, "learning_rate": 2.0e-2}
    context = context_of(recipe(tmp_path, trainer=trainer, rewards=[{"kind": "math_answer"}]), tmp_path / "run")
    done = train(context, distill.build)
    lines = [json.loads(line) for line in context.folder.metrics.read_text(encoding="utf-8").splitlines()]
    assert done.steps == len(lines) == 12 and done.tokens == lines[-1]["tokens"] > 0
    assert lines[-1]["reverse_kl"] < 0.8 * lines[0]["reverse_kl"]
    for line in lines:
        assert line["logprob_gap"] < 1e-5
        assert line["loss"] == pytest.approx(line["reverse_kl"], rel=0.05), "all positions of a small step are measured"
        assert line["student_entropy"] > 0 and line["teacher_entropy"] > 0 and line["forward_kl"] > 0
        assert "zero_variance_groups" not in line and line["reward/math_answer/mean"] == 0
    kept = [json.loads(line) for line in context.folder.rollouts.read_text(encoding="utf-8").splitlines()]
    assert {row["step"] for row in kept} == set(range(1, 13)) and kept[0]["verdicts"]["math_answer"]["score"] == 0


def test_without_verifiers_nothing_is_called_right_or_wrong(tmp_path: Path) -> None:
    context = context_of(recipe(tmp_path, lora=LORA), tmp_path / "run")
    train(context, distill.build)
    (line, *_) = [json.loads(one) for one in context.folder.metrics.read_text(encoding="utf-8").splitlines()]
    assert "reward" not in line and line["unknown_fraction"] == 0
    (kept, *_) = [json.loads(one) for one in context.folder.rollouts.read_text(encoding="utf-8").splitlines()]
    assert kept.get("reward") is None
    moved = load_file(context.folder.output / "adapter" / "adapter_model.safetensors")
    assert any(float(weight.abs().max()) > 0 for name, weight in moved.items() if "lora_B" in name)


def test_the_teacher_is_not_trained(tmp_path: Path) -> None:
    trainer, _ = distill.build(context_of(recipe(tmp_path), tmp_path / "run"))
    before = {name: weight.clone() for name, weight in trainer.teacher_model.state_dict().items()}
    trainer.train()
    after: dict[str, Any] = trainer.teacher_model.state_dict()
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())


def test_a_teacher_with_other_tokens_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    write_model(tmp_path / "teacher", vocab_size=520)
    with pytest.raises(RecipeError, match="gives 512 logits and the teacher 520"):
        distill.build(context_of(path, tmp_path / "run"))


def test_a_batch_keeps_its_tokens_in_their_order_however_rows_are_laid_out() -> None:
    from alignment.training.distillation.heads import following
    from alignment.training.packing import align, pack

    batch: StepBatch = as_tensors(rows(), pad_id=0, mask_truncated=False, device=torch.device("cpu"))
    mask_BL = torch.nn.functional.pad(batch.loss_mask_BC, (batch.prompt_ids_BP.shape[1], 0))
    wanted = [token for row in rows() for token, own in zip(row.completion_ids, row.sampled, strict=True) if own]
    for lay_out in (pack, align):
        laid_out = lay_out(batch.ids, batch.mask)
        found_N = laid_out.model_inputs()["input_ids"][:, 1:][following(laid_out, mask_BL)]
        assert found_N.tolist() == wanted
