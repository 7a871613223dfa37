"""Where teachers come from: a grown model computes what the small one does, and a sample stage keeps what a teacher writes."""

from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM

from alignment.core.errors import AlignmentError
from alignment.core.resources import resource
from alignment.run.plan import RunPlan
from alignment.training.base_model.grow import grown
from alignment.training.context import StageContext
from alignment.training.kinds.sample import KIND
from distillation.small_stage import ROLLOUT, SUMS, write_model

SHORT = {
    "kind": "length",
    "form": "overlong",
    "max_tokens": 64,
    "cache_tokens": 8,
}  # any answer of so few tokens passes


def test_a_grown_model_gives_the_same_logits_and_has_a_gradient_in_every_new_layer() -> None:
    small = AutoModelForCausalLM.from_pretrained(resource("data/base"), dtype=torch.float32)
    ids_BT = torch.arange(20, 60).reshape(2, 20)
    with torch.no_grad():
        before_BTV = small(input_ids=ids_BT).logits
    large = grown(small, 8)
    assert large.config.num_hidden_layers == len(large.model.layers) == len(large.config.layer_types) == 8
    found_BTV = large(input_ids=ids_BT).logits
    torch.testing.assert_close(found_BTV, before_BTV)
    found_BTV.logsumexp(-1).sum().backward()
    assert all(float(layer.mlp.down_proj.weight.grad.abs().max()) > 0 for layer in large.model.layers)


def test_a_model_grows_by_whole_copies_of_its_layers() -> None:
    small = AutoModelForCausalLM.from_pretrained(resource("data/base"))
    with pytest.raises(AlignmentError, match="found 6 layers, and the model has 4; write a multiple"):
        grown(small, 6)


def sampled(folder: Path, policy: Path, teacher: Path | None) -> str:
    """The rows that a sample stage leaves."""
    rollout = {key: value for key, value in ROLLOUT.items() if key != "problems_per_step"}
    stage = {"name": "answers", "kind": "sample", "data": [SUMS], "rollout": {**rollout, "generations": 1},
             "rewards": [SHORT], "accept_score": -10.0}  # fmt: skip
    folder.mkdir()
    path = folder / "recipe.yaml"
    stage |= {} if teacher is None else {"teacher": {"model": str(teacher)}}
    path.write_text(yaml.safe_dump({"name": "small", "model": str(policy), "seed": 3, "stages": [stage]}))
    plan = RunPlan.load(path, [], folder / "run")
    context = StageContext(plan.recipe, plan.recipe.stage("answers"), plan.run, plan.folder("answers"), str(policy))
    KIND.run(context)
    return (context.folder.output / "pass_rates.jsonl").read_text() + (context.folder.output / "rows.jsonl").read_text()


def test_a_teacher_answers_in_place_of_the_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    student, teacher = (trained_to_say(tmp_path / word, word) for word in ("one", "two"))
    found = sampled(tmp_path / "taught", student, teacher)
    assert found == sampled(tmp_path / "alone", teacher, None)
    assert found != sampled(tmp_path / "untaught", student, None)


def trained_to_say(target: Path, word: str) -> Path:
    """A model that has learnt to end its answers, and to begin them with a word."""
    from transformers import AutoTokenizer

    write_model(target, seed=4)
    model = AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32).train()
    tokenizer = AutoTokenizer.from_pretrained(target)
    talks = [[{"role": "user", "content": f"{n} + {n} ="}, {"role": "assistant", "content": word}] for n in range(8)]
    texts = [tokenizer.apply_chat_template(talk, tokenize=False) for talk in talks]
    ids_BT = tokenizer(texts, return_tensors="pt", padding=True)["input_ids"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(40):
        model(input_ids=ids_BT, labels=ids_BT).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(target)
    return target
