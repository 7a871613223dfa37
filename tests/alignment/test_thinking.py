"""Budgets and minimums of thinking: one rule in both engines, written tokens marked, and what vLLM gets wrong put right."""

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, MistralConfig, MistralForCausalLM, PreTrainedTokenizerBase

from alignment.core.errors import EngineError
from alignment.core.resources import resource
from alignment.data.mixture import load_parts, problems_of
from alignment.data.template import render_prompt
from alignment.inference.engine import Ask, Draw, EngineSettings, SamplingSettings
from alignment.inference.sampler import Completion, Request, Sampler
from alignment.inference.start import Serving, serve, start_engine, vllm_problem
from alignment.inference.thinking_budget import ThinkTokens, forced_tokens, thinking_so_far
from alignment.inference.weights.sync_check import logprob_gap
from alignment.run.plan import Pipeline
from grpo_trainer import grpo_trainer
from thinking_policy import train_thinker

BASE = resource("data/base")
GREEDY = SamplingSettings(temperature=0.0)
STOP_TEXT = "\n</think>\n\n"
BUDGETS = (0, 4, 8, 16, 32, None)
LIMIT = 64
needs_vllm = pytest.mark.skipif(bool(vllm_problem()), reason=str(vllm_problem()))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(BASE)


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_thinker(tmp_path_factory.mktemp("thinker"))


def serving(engine: str, stop_text: str = STOP_TEXT) -> Serving:
    return Serving(engine, 128, LIMIT, stop_text, dtype="float32")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def prompts(tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    recipe = Pipeline.load(resource("recipes/tiny-thinking.yaml"), []).recipe
    problems = problems_of(recipe, load_parts(recipe.stage("reasoning_rl").data))[:200]
    return [
        render_prompt(tokenizer, [{"role": "user", "content": problem.question}], "thinking", flagged=False)
        for problem in problems
    ]


def differences(one: Sequence[Completion], other: Sequence[Completion]) -> list[tuple[str, str]]:
    return [
        (first.text, second.text)
        for first, second in zip(one, other, strict=True)
        if first.token_ids != second.token_ids or first.forced != second.forced
    ]


@needs_vllm
@pytest.mark.parametrize("stop_text", [STOP_TEXT, ". so\n</think>\n"])
def test_both_engines_give_the_same_tokens_under_every_budget(
    thinker: Path, prompts: list[list[int]], stop_text: str
) -> None:
    """200 prompts and 6 budgets, and a minimum beside: greedy, so that one token of difference shows."""
    requests = [Request(prompt, "thinking", budget) for budget in BUDGETS for prompt in prompts]
    requests += [Request(prompt, "thinking", None, minimum=24) for prompt in prompts[:50]]
    requests += [Request(prompt, "thinking", 40, minimum=24) for prompt in prompts[:50]]
    made = {}
    for name in ("transformers", "vllm"):
        sampler = serve(str(thinker), serving(name, stop_text))
        made[name] = sampler.sample(requests, GREEDY, seed=0)
        sampler.engine.close()
    assert differences(made["transformers"], made["vllm"]) == []

    by_budget = {budget: [row for row in made["vllm"] if row.request.budget == budget] for budget in BUDGETS}
    for budget, rows in by_budget.items():
        closing = [row for row in rows if "</think>" in row.text]
        assert len(closing) > len(rows) / 2, "the policy has learned to think, or this shows nothing"
        if budget is not None:
            assert all(row.thinking_tokens - row.forced_tokens <= budget for row in closing)
    assert all(row.forced_tokens for row in by_budget[0] if "<think>" in row.text)
    waited = [row for row in made["vllm"] if row.request.minimum and "Wait" in row.text]
    assert len(waited) > 10
    assert all(row.thinking_tokens >= 24 for row in waited if "</think>" in row.text)


@pytest.mark.parametrize("name", ["transformers", pytest.param("vllm", marks=needs_vllm)])
def test_written_tokens_are_marked_and_the_others_have_the_policys_logprobs(
    thinker: Path, tokenizer: PreTrainedTokenizerBase, prompts: list[list[int]], name: str
) -> None:
    sampler = serve(str(thinker), serving(name))
    opened = [prompt + tokenizer("<think>\n1")["input_ids"] for prompt in prompts[:8]]
    requests = [Request(prompt, "thinking", 6) for prompt in opened + prompts[8:16]]
    made = sampler.sample(requests, SamplingSettings(), seed=3)
    sampler.engine.close()
    written = [row for row in made if row.forced_tokens]
    assert len(written) >= 8, "what a prompt has opened is counted from its opening"
    for row in written:
        text = tokenizer.decode([token for token, forced in zip(row.token_ids, row.forced, strict=True) if forced])
        assert not text.replace(STOP_TEXT, ""), "once for each block that the row has opened"
        assert row.thinking_tokens <= 6 + len("\n")
    model = AutoModelForCausalLM.from_pretrained(thinker, dtype=torch.float32).eval()
    assert logprob_gap(model, made, torch.device("cpu")) < 1e-3


def test_a_model_with_a_sliding_window_is_generated_under_the_same_budget(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = MistralForCausalLM(MistralConfig(vocab_size=512, sliding_window=8, num_key_value_heads=1, **shape))
    model.save_pretrained(tmp_path)
    tokens = ThinkTokens.of(tokenizer, STOP_TEXT)
    assert tokens is not None
    engine = start_engine("transformers", EngineSettings(str(tmp_path), 64, (2,), 0, thinking=tokens))
    prompt = [20, 21, tokens.open_id, 30]
    (drawn,) = engine.draw([Ask(prompt, 12, budget=3)], GREEDY, seed=0)
    assert tuple(drawn.token_ids[2:])[: len(tokens.stop_ids)] == tokens.stop_ids
    assert forced_tokens(prompt, drawn.token_ids, 3, tokens)[:5] == [False, False, True, True, True]


class Scripted:
    """An engine that says what it was told to, and keeps what it was asked."""

    name = "scripted"

    def __init__(self, *answers: list[int]) -> None:
        self.answers, self.asked = iter(answers), []  # type: ignore[var-annotated]

    def draw(self, asked: Sequence[Ask], settings: SamplingSettings, seed: int) -> list[Draw]:
        self.asked += asked
        drawn = [next(self.answers)[: one.most_tokens] for one in asked]
        return [Draw(ids, [-1.0] * len(ids), ids[-1] == 2) for ids in drawn]

    def logprobs(self, sequences: Sequence[list[int]]) -> list[list[float]]:
        raise NotImplementedError

    def load_weights(self, weights: Iterator[tuple[str, torch.Tensor]]) -> None:  # type: ignore[override]
        raise NotImplementedError

    def close(self) -> None: ...


def scripted(tokenizer: PreTrainedTokenizerBase, *answers: str, limit: int = 64) -> tuple[Sampler, Scripted]:
    engine = Scripted(*(list(tokenizer(text)["input_ids"]) for text in answers))
    return Sampler(engine, tokenizer, limit, ThinkTokens.of(tokenizer, STOP_TEXT)), engine  # type: ignore[arg-type]


def test_a_stop_text_that_an_engine_wrote_into_the_answer_is_drawn_anew(tokenizer: PreTrainedTokenizerBase) -> None:
    sampler, engine = scripted(tokenizer, "<think>12</think>345\n</think>\n\n9<|im_end|>", "678<|im_end|>")
    (made,) = sampler.sample([Request([9], "thinking", 6)], GREEDY, seed=0)
    assert made.text == "<think>12</think>345678" and not made.forced_tokens
    assert engine.asked[1].budget is None


def test_a_block_closed_too_early_goes_on_with_the_wait_text(tokenizer: PreTrainedTokenizerBase) -> None:
    sampler, _ = scripted(tokenizer, "<think>12</think>3<|im_end|>", "4567890</think>1<|im_end|>")
    (made,) = sampler.sample([Request([9], "thinking", None, minimum=8)], GREEDY, seed=0)
    assert made.text == "<think>12Wait4567890</think>1"
    written = tokenizer.decode([token for token, forced in zip(made.token_ids, made.forced, strict=True) if forced])
    assert written == "Wait" and [lp == 0.0 for lp in made.logprobs] == made.forced


def test_a_policy_that_never_thinks_long_enough_is_let_go(tokenizer: PreTrainedTokenizerBase) -> None:
    sampler, engine = scripted(tokenizer, *["<think></think>3<|im_end|>"], *["</think>3<|im_end|>"] * 20, limit=1000)
    (made,) = sampler.sample([Request([9], "thinking", None, minimum=500)], GREEDY, seed=0)
    assert made.stop_reason == "end" and len(engine.asked) == 9


def test_forced_tokens_are_told_from_the_policys_own() -> None:
    tokens = ThinkTokens(1, 2, "", (7, 2, 8))
    assert thinking_so_far([5, 1, 6, 6], tokens) == 2 and thinking_so_far([1, 6, 2, 6], tokens) == -1
    for prompt, drawn, forced in (
        ([5], [1, 6, 6, 7, 2, 8, 9], [0, 0, 0, 1, 1, 1, 0]),
        ([1], [6, 6, 7, 2], [0, 0, 1, 1]),
        ([5], [1, 6, 2, 9, 1, 6, 6, 7, 2, 8], [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]),
        ([5], [1, 6, 6, 2, 9], [0, 0, 0, 1, 1]),
    ):
        if drawn[3:4] == [2]:
            continue  # the engine never draws where the stop text is due
        assert forced_tokens(prompt, drawn, 2, tokens) == [bool(one) for one in forced]


def test_a_budget_without_an_end_or_below_a_minimum_says_what_to_write(tokenizer: PreTrainedTokenizerBase) -> None:
    engine = Scripted()
    without_end = Sampler(engine, tokenizer, 16, ThinkTokens.of(tokenizer, "stop now"))  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="must hold </think>"):
        without_end.sample([Request([1, 2], "thinking", 4)], GREEDY, seed=0)
    sampler, _ = scripted(tokenizer)
    with pytest.raises(EngineError, match="minimum of 8 thinking tokens is above the budget of 4"):
        sampler.sample([Request([1, 2], "thinking", 4, minimum=8)], GREEDY, seed=0)
    unknown = Sampler(engine, tokenizer, 16, None)  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="add_tokens"):
        unknown.sample([Request([1, 2], "thinking", 4)], GREEDY, seed=0)


def test_what_a_row_draws_does_not_depend_on_which_rows_share_its_batch(
    thinker: Path, tokenizer: PreTrainedTokenizerBase, prompts: list[list[int]]
) -> None:
    """Ragged rows that join, end and move among few slots draw what they draw with a slot each."""
    drawn = []
    for slots in (3, 64):
        settings = EngineSettings(str(thinker), 256, (tokenizer.eos_token_id,), 0, "float32", max_sequences=slots)
        engine = start_engine("transformers", settings)
        asked = [Ask(prompt, most) for prompt, most in zip(prompts[:24], itertools.cycle((5, 64, 20)), strict=False)]
        drawn.append([draw.token_ids for draw in engine.draw(asked, SamplingSettings(), seed=4)])
    assert drawn[0] == drawn[1]


def test_forced_tokens_carry_no_loss(
    thinker: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads the mask under which TRL's trainer takes the loss, in a step whose thinking is cut off after 4 tokens."""
    from trl import GRPOTrainer

    settings = [f"model={thinker}", "stages.reasoning_rl.trainer.max_steps=1"]
    rollout = {"budget": 4, "budget_stop_text": STOP_TEXT, "generations": 4, "problems_per_step": 4}
    settings += [f"stages.reasoning_rl.rollout.{key}={json.dumps(value)}" for key, value in rollout.items()]
    trainer = grpo_trainer(thinker, tmp_path, monkeypatch, *settings)
    seen: list[dict[str, torch.Tensor]] = []
    compute_loss = GRPOTrainer._compute_loss

    def spy(self: GRPOTrainer, model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        seen.append(inputs)
        return compute_loss(self, model, inputs)

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", spy)
    trainer.train()

    tokens = ThinkTokens.of(tokenizer, STOP_TEXT)
    assert tokens is not None
    written = 0
    for inputs in seen:
        trained_BT = (inputs["completion_mask"] * inputs["tool_mask"]).bool()
        for ids_T, real_T, trained_T in zip(
            inputs["completion_ids"], inputs["completion_mask"].bool(), trained_BT, strict=True
        ):
            forced = forced_tokens([], ids_T[real_T].tolist(), 4, tokens)
            assert trained_T[real_T].tolist() == [not one for one in forced]
            written += sum(forced)
    assert written >= 8 * len(tokens.stop_ids), "most of sixteen completions were cut off"
