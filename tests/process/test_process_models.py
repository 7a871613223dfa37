"""prm stages: what they leave loads anywhere and scores steps; the head is trained first; Qwen's own models load as well."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from alignment.core.resources import resource
from alignment.data.generators.corrupted import corrupted
from alignment.data.rows import Stepwise, write_rows
from alignment.data.sources.named import load_source
from alignment.data.sources.rows import source_problems
from alignment.data.steps.template import render_steps, step_token_id
from alignment.inference.process_model import ProcessModel, Solution
from alignment.training.process_trainer import Rates, step_loss
from process.stages import in_process

SHORT = {"min_terms": 2, "max_terms": 3, "max_digits": 1}


def solutions(count: int, seed: int = 1) -> list[Stepwise]:
    problems = source_problems(load_source("chain-sum"), seed=seed, parameters=SHORT, path=None, splits=("fusion",))
    return [row for row, _ in zip(corrupted(problems, seed), range(count), strict=False)]


def prm_stage(rows: Path, **changes: Any) -> dict[str, Any]:
    stage = {"name": "prm", "kind": "prm", "data": str(rows), "max_length": 256, "steps": "line"}
    trainer = {"max_steps": 6, "per_device_train_batch_size": 8, "learning_rate": 1.0e-3}
    return {**stage, "trainer": trainer, "head_fraction": 0.5, "head_learning_rate": 1.0e-2, **changes}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    write_rows(path, solutions(48))
    return path


@pytest.fixture(scope="module")
def trained(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a prm stage of a few steps."""
    folder = tmp_path_factory.mktemp("prm")
    with pytest.MonkeyPatch.context() as patch:
        counts = in_process(folder, resource("data/base"), prm_stage(rows), patch)
    assert counts["rows"] == 48
    assert min(counts["right_steps"], counts["wrong_steps"]) > 0
    return folder / "run" / "01-prm" / "output"


def text_of(row: Stepwise) -> str:
    """A worked solution as a policy writes it, with the step token in place of line breaks."""
    thinking, answer = row.steps[: row.thinking_steps], row.steps[row.thinking_steps :]
    before, after = ("".join(f"{step}<extra_0>" for step in part) for part in (thinking, answer))
    return f"<think>\n{before}</think>\n\n{after}"


def by_hand(folder: Path, found: Sequence[Stepwise]) -> list[list[float]]:
    """Step scores by plain transformers, one solution at a time."""
    model, tokenizer = (
        AutoModelForTokenClassification.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
    )
    scores = []
    for row in found:
        text = tokenizer.apply_chat_template(row.prompt, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text + text_of(row), add_special_tokens=False, return_tensors="pt")
        with torch.no_grad():
            right_T = model(**ids).logits[0].softmax(-1)[:, 1]
        scores.append(right_T[ids["input_ids"][0] == model.config.step_token_id].tolist())
    return scores


def test_the_folder_loads_in_plain_transformers_and_gives_the_same_scores(trained: Path) -> None:
    found = solutions(20, seed=7)
    model = ProcessModel(str(trained))
    scores = model.scores([Solution(row.prompt, row.steps, row.thinking_steps) for row in found])
    for ours, plain, row in zip(scores, by_hand(trained, found), found, strict=True):
        assert ours is not None and len(ours) == len(row.steps)
        assert ours == pytest.approx(plain, abs=1e-5)
    assert (model.rule.by, model.scores([Solution(found[0].prompt, [])])) == ("line", [[]])
    card = (trained / "README.md").read_text(encoding="utf-8")
    assert "48 solutions" in card and "<extra_0>" in card


def test_steps_have_the_tokens_that_the_whole_text_has(trained: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained)
    rows, step_id = list(solutions(20, seed=3)), step_token_id(tokenizer, "<extra_0>")
    for row, rendered in zip(rows, render_steps(tokenizer, rows, step_id), strict=True):
        text = tokenizer.apply_chat_template(row.prompt, tokenize=False, add_generation_prompt=True)
        whole = text + text_of(row)
        assert rendered.input_ids == tokenizer(whole, add_special_tokens=False)["input_ids"]
        assert [tokenizer.decode(rendered.input_ids[place]) for place in rendered.positions] == ["<extra_0>"] * len(
            row.steps
        )


def test_a_step_cannot_pass_for_two_by_holding_the_step_token(trained: Path) -> None:
    row = solutions(1)[0]
    ((plain,), (forged,)) = (
        ProcessModel(str(trained)).scores([Solution(row.prompt, steps)])
        for steps in (row.steps[:1], [f"{row.steps[0]}<extra_0>"])
    )
    assert plain == forged


def test_while_the_head_alone_is_trained_nothing_below_it_moves(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_process(tmp_path, resource("data/base"), prm_stage(rows, head_fraction=1.0), monkeypatch)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run" / "01-prm" / "output")
    step, line_break = tokenizer.convert_tokens_to_ids("<extra_0>"), tokenizer("\n")["input_ids"][0]
    after = AutoModelForTokenClassification.from_pretrained(tmp_path / "run" / "01-prm" / "output")
    before = AutoModelForTokenClassification.from_pretrained(resource("data/base"), num_labels=2)
    still = dict(before.named_parameters())
    for name, weight in after.named_parameters():
        expected = still.get(name, weight.new_zeros(0)).to(weight.dtype)
        if name == "model.embed_tokens.weight":  # the step token alone is new, and begins as a line break
            expected[step, :] = expected[line_break]
        assert torch.equal(weight, expected) != name.startswith("score"), name


def test_packed_and_padded_rows_train_the_same_model(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of several lengths, both phases of training. Large epsilon, else Adam makes whole steps of rounding."""
    trainer = {"max_steps": 6, "per_device_train_batch_size": 8, "learning_rate": 1.0e-3, "adam_epsilon": 1.0e-3}
    losses, scores, found = [], [], solutions(20, seed=7)
    for name in ("packed", "padded"):
        folder = tmp_path / name
        folder.mkdir()
        if name == "padded":
            monkeypatch.setattr("alignment.training.stages.prm.unpackable", lambda _: "it is compared")
        counts = in_process(folder, resource("data/base"), prm_stage(rows, trainer=trainer), monkeypatch)
        assert counts.get("not_packed") == (None if name == "packed" else "it is compared")
        lines = (folder / "run" / "01-prm" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        losses.append([line["loss"] for line in map(json.loads, lines) if line.get("loss") is not None])
        model = ProcessModel(str(folder / "run" / "01-prm" / "output"))
        made = model.scores([Solution(row.prompt, row.steps, row.thinking_steps) for row in found])
        scores.append([score for one in made for score in one or []])
    assert len(losses[0]) == 6 and len(set(losses[0])) == 6
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    assert len(scores[0]) > 40
    assert scores[1] == pytest.approx(scores[0], abs=1e-5)


def test_an_adapter_is_merged_into_a_folder_that_loads_whole(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = prm_stage(rows, lora={"rank": 4, "alpha": 8}, labels="soft", class_weights="balanced", head_fraction=0.0)
    in_process(tmp_path, resource("data/base"), stage, monkeypatch)
    output = tmp_path / "run" / "01-prm" / "output"
    _, report = AutoModelForTokenClassification.from_pretrained(output, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert (output / "adapter").is_dir()


def test_rates_are_the_heads_first_and_fall_for_all_weights_after() -> None:
    head, body = Rates(head=1e-2, all=1e-3, head_fraction=0.5).factors(8)
    assert [head(step) for step in (0, 3)] == pytest.approx([10, 10])
    assert [body(step) for step in (0, 3, 4, 6, 8)] == pytest.approx([0, 0, 1, 0.5, 0])
    assert head(4) == body(4)


def test_the_loss_is_cross_entropy_against_soft_targets_weighted_by_class() -> None:
    logits_SC = torch.tensor([[0.0, 0.0], [0.0, 2.0]])
    half = step_loss(logits_SC, torch.tensor([1.0, 1.0]), torch.ones(2))
    assert float(half) == pytest.approx((0.6931 + 0.1269) / 2, abs=1e-3)
    soft = step_loss(logits_SC[1:], torch.tensor([0.25]), torch.ones(2))
    assert float(soft) == pytest.approx(0.25 * 0.1269 + 0.75 * 2.1269, abs=1e-3)
    weighted = step_loss(logits_SC, torch.tensor([0.0, 1.0]), torch.tensor([3.0, 1.0]))
    assert float(weighted) == pytest.approx((3 * 0.6931 + 0.1269) / 4, abs=1e-3)


def test_qwens_own_process_reward_models_load_with_their_head_of_two_layers(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file
    from transformers import Qwen2Config, Qwen2Model

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(resource("data/base"))
    tokenizer.add_tokens(["<extra_0>"], special_tokens=True)
    tokenizer.save_pretrained(tmp_path)
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2,
    )  # fmt: skip
    body = Qwen2Model(config).eval()
    body.save_pretrained(tmp_path)
    head = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2))
    weights = {f"model.{name}": one for name, one in load_file(tmp_path / "model.safetensors").items()}
    weights |= {f"score.{name}": one for name, one in head.state_dict().items()}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    written = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    written["architectures"] = ["Qwen2ForProcessRewardModel"]
    (tmp_path / "config.json").write_text(json.dumps(written), encoding="utf-8")
    row = solutions(1)[0]
    (scores,) = ProcessModel(str(tmp_path)).scores([Solution(row.prompt, row.steps)])
    # transformers reads the tokenizer of a qwen2 folder as Qwen's, whatever its file says: words are split in another way.
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    text = theirs.apply_chat_template(row.prompt, tokenize=False, add_generation_prompt=True)
    ids = theirs(
        text + "".join(f"{step}<extra_0>" for step in row.steps), add_special_tokens=False, return_tensors="pt"
    )
    with torch.no_grad():
        right_T = head(body(**ids).last_hidden_state)[0].softmax(-1)[:, 1]
    at = ids["input_ids"][0] == theirs.convert_tokens_to_ids("<extra_0>")
    assert scores == pytest.approx(right_T[at].tolist(), abs=1e-5)


@pytest.mark.long
def test_vllm_gives_the_scores_of_transformers(trained: Path) -> None:
    pytest.importorskip("vllm")
    asked = [Solution(row.prompt, row.steps, row.thinking_steps) for row in solutions(1000, seed=9)]
    plain = ProcessModel(str(trained)).scores(asked)
    served = ProcessModel(str(trained), "vllm").scores(asked)
    for ours, theirs in zip(plain, served, strict=True):
        assert ours is not None and theirs is not None
        assert theirs == pytest.approx(ours, abs=1e-3)
        assert [one < 0.5 for one in theirs] == [one < 0.5 for one in ours]
