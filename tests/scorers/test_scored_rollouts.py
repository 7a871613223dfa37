"""GRPO with scores of a model: what a reward model and the starting policy say of rollouts enters the reward as stated."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from alignment.core.resources import resource
from alignment.data.chat.template import render_preference
from alignment.data.rows import Preference
from alignment.records.rollout import RolloutRow
from grpo_trainer import grpo_trainer
from scorers.reward_models import untrained_reward_model

STAGE = "stages.reasoning_rl."
SMALL = (
    f"{STAGE}rollout.generations=4",
    f"{STAGE}rollout.problems_per_step=2",
    f"{STAGE}rollout.max_completion_tokens=24",
    f"{STAGE}rollout.dynamic_sampling=false",
    f"{STAGE}micro_batch=8",
    f"{STAGE}trainer.max_steps=2",
)


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_reward_model(tmp_path_factory.mktemp("reward-model"))


def trained(run: Path, monkeypatch: pytest.MonkeyPatch, *settings: str) -> tuple[Any, list[RolloutRow]]:
    """The trainer after two steps, and all of its rollouts."""
    trainer = grpo_trainer(resource("data/base"), run, monkeypatch, *SMALL, *settings)
    trainer.train()
    (file,) = run.glob("*/rollouts.jsonl")
    return trainer, list(RolloutRow.read_lines(file))


def verified(row: RolloutRow) -> float:
    """The reward by the recipe's verifiers."""
    return (row.verdicts["math_answer"].score or 0) + 0.2 * (row.verdicts["think_format"].score or 0)


def test_a_reward_models_score_is_centred_and_clipped_within_its_group(
    scorer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = f"[{{kind: reward_model, name: taste, model: {scorer}, weight: 0.5, clip: 0.05}}]"
    trainer, rows = trained(tmp_path, monkeypatch, f"{STAGE}scorers={listed}")
    scores = [row.verdicts["taste"].score or 0.0 for row in rows]
    assert len(set(scores)) > 1
    for start in range(0, len(rows), 4):
        middle = sum(scores[start : start + 4]) / 4
        for row, score in zip(rows[start : start + 4], scores[start : start + 4], strict=True):
            assert row.reward == pytest.approx(verified(row) + 0.5 * min(max(score - middle, -0.05), 0.05))
    first = trainer.state.log_history[0]
    assert first["reward/taste/mean"] == pytest.approx(sum(scores[:8]) / 8, abs=1e-5)
    assert 0 < first["distinct_bigrams"] <= 1 and first["answer_tokens"] > 0


def test_a_reward_model_sees_what_its_stage_would_have_trained_on(
    scorer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = f"[{{kind: reward_model, model: {scorer}}}]"
    _, rows = trained(tmp_path, monkeypatch, f"{STAGE}scorers={listed}", f"{STAGE}rollout.thinking_fraction=0")
    model = AutoModelForSequenceClassification.from_pretrained(scorer, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(scorer)
    row = rows[0]
    answer = {"role": "assistant", "content": row.text.removeprefix("<think>\n\n</think>\n\n")}
    question = [{"role": "user", "content": row.question}]
    seen = render_preference(tokenizer, Preference("p", question, answer, answer, row.mode))
    with torch.no_grad():
        alone = float(model(input_ids=torch.tensor([[*seen.prompt_ids, *seen.chosen_ids]])).logits[0, 0])
    assert row.verdicts["reward_model"].score == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("held", ["copy", "adapter off", "reference", "adapter off, tempered", "reference, tempered"])
def test_fluency_is_the_same_whoever_holds_the_starting_policy(
    held: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = f"{STAGE}scorers=[{{kind: fluency, weight: 0.1, at_most: -0.5}}]"
    by, _, tempered = held.partition(", ")
    setting = {"copy": (), "adapter off": (f"{STAGE}lora.rank=4", f"{STAGE}trainer.learning_rate=0.01"),
               "reference": (f"{STAGE}algorithm={{type: dapo, beta: 0.01}}",)}[by]  # fmt: skip
    if tempered:  # the trainer's own log-probs are at another temperature than fluency's
        setting = (*setting, f"{STAGE}rollout.temperature=0.7", f"{STAGE}algorithm={{type: dapo, beta: 0.01}}")
    _, rows = trained(tmp_path, monkeypatch, listed, f"{STAGE}rollout.thinking_fraction=0", *setting)
    start = AutoModelForCausalLM.from_pretrained(resource("data/base"), dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(resource("data/base"))
    compared = 0
    for row in (rows[0], rows[-1]):  # the last is of a policy that has been trained
        score = row.verdicts["fluency"].score
        assert score is not None
        assert row.reward == pytest.approx(verified(row) + 0.1 * max(-10, min(score, -0.5)))
        talk = [{"role": "user", "content": row.question}]
        prompt = tokenizer.apply_chat_template(
            talk, add_generation_prompt=True, enable_thinking=False, return_dict=False
        )
        ids = tokenizer(row.text, add_special_tokens=False)["input_ids"]
        ids += [tokenizer.eos_token_id] * (row.completion_tokens - len(ids))
        if tokenizer.decode(ids).startswith(row.text) and len(ids) == row.completion_tokens:
            with torch.no_grad():
                logits_TV = start(input_ids=torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1]
            of_token = logits_TV.log_softmax(-1).gather(-1, torch.tensor(ids)[:, None])
            compared += abs(float(of_token.mean()) - score) < 1e-3
    assert compared, "an answer whose text gives its tokens again has the fluency that plain transformers computes"


def test_what_fluency_has_asked_of_the_starting_policy_is_the_references_log_probs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = (f"{STAGE}scorers=[{{kind: fluency, weight: 0.5, at_most: -0.0001}}]", f"{STAGE}algorithm={{type: dapo, beta: 0.01}}",
               f"{STAGE}rollout.thinking_fraction=0")  # fmt: skip
    trainer = grpo_trainer(resource("data/base"), tmp_path, monkeypatch, *SMALL, *setting)
    asked = trainer.policy_logprobs
    compute, computed = asked._reference, []

    def counted(batch: Any, *how: Any) -> torch.Tensor:
        computed.append([tuple(ids[kept].tolist()) for ids, kept in zip(batch.ids, batch.mask.bool(), strict=True)])
        return compute(batch, *how)

    monkeypatch.setattr(asked, "_reference", counted)
    trainer.train()
    assert len(computed) == 2, "once in each of two steps, though a scorer and the KL term ask"
    assert all(0 < len(rows) == len(set(rows)) <= 8 for rows in computed), "each row once, alike ones together"
    first, second = (line["kl"] for line in trainer.state.log_history if "kl" in line)
    assert first == pytest.approx(0, abs=1e-6) and second > 0


def test_a_scorer_of_weight_0_changes_no_reward(scorer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = f"[{{kind: reward_model, model: {scorer}, weight: 0}}, {{kind: fluency}}]"
    _, rows = trained(tmp_path, monkeypatch, f"{STAGE}scorers={listed}")
    for row in rows:
        assert row.reward == pytest.approx(verified(row))
        assert row.verdicts["reward_model"].score is not None and row.verdicts["fluency"].score is not None


def test_a_folder_whose_tokenizer_is_another_models_is_refused_in_words(tmp_path: Path) -> None:
    from alignment.training.kinds.scorers import folder_faults

    folder = untrained_reward_model(tmp_path / "mixed")
    assert list(folder_faults(folder)) == []
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 64}), encoding="utf-8")
    (problem,) = folder_faults(folder)
    assert "its embedding 64 rows" in problem and "copy the tokenizer" in problem
    (only,) = folder_faults(Path(resource("data/base")))
    assert "classifies sequences with one label" in only
