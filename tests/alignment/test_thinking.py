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
from alignment.data.chat.template import render_prompt
from alignment.data.mixture import load_parts, problems_of
from alignment.inference.engine import (
    EngineSettings,
    Generation,
    GenerationRequest,
    SamplingSettings,
    as_generation,
    in_order,
)
from alignment.inference.sampler import Sampler
from alignment.inference.start import Serving, serve, start_engine
from alignment.inference.thinking_budget import BudgetRule, ThinkTokens, forced_tokens, thinking_so_far
from alignment.inference.transformers.clock import ThinkingClock
from alignment.inference.vllm.kind import vllm_fault
from alignment.recipe.blocks.engine import engine_options
from alignment.recipe.blocks.sampling import ThinkingBudget
from alignment.run.plan import RunPlan
from grpo_trainer import grpo_trainer
from thinking_policy import a_thinker

BASE = resource("data/base")
GREEDY = SamplingSettings(temperature=0.0)
STOP_TEXT = "\n</think>\n\n"
BUDGETS = (0, 4, 8, 16, 32, None)
LIMIT = 64
needs_vllm = pytest.mark.skipif(bool(vllm_fault()), reason=str(vllm_fault()))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(BASE)


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_thinker(tmp_path_factory)


def serving(engine: str, stop_text: str = STOP_TEXT) -> Serving:
    return Serving(engine_options(engine, dtype="float32"), 128, LIMIT, stop_text)


def asked(
    prompt: list[int], most: int | None, least: int = 0, limit: int = LIMIT, seed: int = 0, stop_text: str = STOP_TEXT
) -> GenerationRequest:
    budget = ThinkingBudget(most=most, least=least, stop_text=stop_text)
    return GenerationRequest(prompt, "thinking", budget, limit, seed)


@pytest.fixture(scope="module")
def prompts(tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    recipe = RunPlan.load(resource("recipes/tiny-thinking.yaml"), []).recipe
    problems = problems_of(recipe, load_parts(recipe.stage("reasoning_rl").data))[:200]
    return [
        render_prompt(tokenizer, [{"role": "user", "content": problem.question}], "thinking", flagged=False)
        for problem in problems
    ]


def differences(one: Sequence[Generation], other: Sequence[Generation]) -> list[tuple[str, str]]:
    return [
        (first.text, second.text)
        for first, second in zip(one, other, strict=True)
        if first.token_ids != second.token_ids or first.forced != second.forced
    ]


@needs_vllm
@pytest.mark.parametrize(
    ("stop_text", "count"),
    [
        (STOP_TEXT, 25),
        (". so\n</think>\n", 25),
        pytest.param(STOP_TEXT, 200, marks=pytest.mark.long),
        pytest.param(". so\n</think>\n", 200, marks=pytest.mark.long),
    ],
)
def test_both_engines_give_the_same_tokens_under_every_budget(
    thinker: Path, prompts: list[list[int]], stop_text: str, count: int
) -> None:
    """`count` prompts and 6 budgets, and a minimum beside: greedy, so that one token of difference shows."""
    prompts = prompts[:count]
    requests = [asked(prompt, budget, stop_text=stop_text) for budget in BUDGETS for prompt in prompts]
    requests += [asked(prompt, None, 24, stop_text=stop_text) for prompt in prompts[:50]]
    requests += [asked(prompt, 40, 24, stop_text=stop_text) for prompt in prompts[:50]]
    made = {}
    for name in ("transformers", "vllm"):
        sampler = serve(str(thinker), serving(name, stop_text))
        made[name] = sampler.sample(requests, GREEDY)
        sampler.engine.close()
    assert differences(made["transformers"], made["vllm"]) == []

    by_budget = {budget: [row for row in made["vllm"] if row.request.most_thinking == budget] for budget in BUDGETS}
    for budget, rows in by_budget.items():
        closing = [row for row in rows if "</think>" in row.text]
        assert len(closing) > len(rows) / 2, "the policy has learned to think, or this shows nothing"
        if budget is not None:
            assert all(row.thinking_tokens - row.forced_tokens <= budget for row in closing)
    assert all(row.forced_tokens for row in by_budget[0] if "<think>" in row.text)
    waited = [row for row in made["vllm"] if row.request.least_thinking and "Wait" in row.text]
    assert len(waited) > 5
    assert all(row.thinking_tokens >= 24 for row in waited if "</think>" in row.text)


@pytest.mark.parametrize("name", ["transformers", pytest.param("vllm", marks=needs_vllm)])
def test_written_tokens_are_marked_and_the_others_have_the_policys_logprobs(
    thinker: Path, tokenizer: PreTrainedTokenizerBase, prompts: list[list[int]], name: str
) -> None:
    sampler = serve(str(thinker), serving(name))
    opened = [prompt + tokenizer("<think>\n1")["input_ids"] for prompt in prompts[:8]]
    requests = [asked(prompt, 6, seed=number) for number, prompt in enumerate(opened + prompts[8:16])]
    made = sampler.sample(requests, SamplingSettings())
    sampler.engine.close()
    written = [row for row in made if row.forced_tokens]
    assert len(written) >= 8, "what a prompt has opened is counted from its opening"
    for row in written:
        text = tokenizer.decode([token for token, forced in zip(row.token_ids, row.forced, strict=True) if forced])
        assert not text.replace(STOP_TEXT, ""), "once for each block that the row has opened"
        assert row.thinking_tokens <= 6, "the stop text is none of it"
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
    engine = start_engine(EngineSettings(str(tmp_path), 64, (2,), 0, engine_options("transformers"), thinking=tokens))
    prompt = [20, 21, tokens.open_id, 30]
    (made,) = in_order(engine.generate([asked(prompt, 3, limit=12)], GREEDY))
    assert tuple(made.token_ids[2:])[: len(tokens.stop_ids)] == tokens.stop_ids
    assert made.forced[:5] == [False, False, True, True, True]
    hot = SamplingSettings(temperature=2.0)
    requests = [asked([*prompt, 40 + number], None, limit=9, seed=number) for number in range(5)]
    together = [one.token_ids for one in in_order(engine.generate(requests, hot))]
    assert together == [in_order(engine.generate([one], hot))[0].token_ids for one in requests]


class Scripted:
    """An engine that says what it was told to, and keeps what it was asked."""

    name = "scripted"

    def __init__(self, *answers: list[int]) -> None:
        self.answers, self.asked = iter(answers), list[GenerationRequest]()
        self.thinking: ThinkTokens | None = None

    def generate(
        self, requests: Sequence[GenerationRequest], settings: SamplingSettings
    ) -> Iterator[tuple[int, Generation]]:
        self.asked += requests
        for index, request in enumerate(requests):
            ids = next(self.answers)[: request.max_tokens]
            yield index, as_generation(request, ids, [-1.0] * len(ids), self.thinking, ended=ids[-1] == 2)

    def logprobs(self, sequences: Sequence[list[int]]) -> list[list[float]]:
        raise NotImplementedError

    def load_weights(self, weights: Iterator[tuple[str, torch.Tensor]]) -> None:  # type: ignore[override]
        raise NotImplementedError

    def rest(self) -> None: ...

    def close(self) -> None: ...


def scripted(tokenizer: PreTrainedTokenizerBase, *answers: str) -> tuple[Sampler, Scripted]:
    engine = Scripted(*(list(tokenizer(text)["input_ids"]) for text in answers))
    engine.thinking = ThinkTokens.of(tokenizer, STOP_TEXT)
    return Sampler(engine, tokenizer, engine.thinking), engine  # type: ignore[arg-type]


def test_a_stop_text_that_an_engine_wrote_into_the_answer_is_sampled_again(tokenizer: PreTrainedTokenizerBase) -> None:
    sampler, engine = scripted(tokenizer, "<think>12</think>345\n</think>\n\n9<|im_end|>", "678<|im_end|>")
    (made,) = sampler.sample([asked([9], 6)], GREEDY)
    assert made.text == "<think>12</think>345678" and not made.forced_tokens
    assert engine.asked[1].most_thinking is None


def test_a_block_closed_too_early_continues_with_the_wait_text(tokenizer: PreTrainedTokenizerBase) -> None:
    sampler, _ = scripted(tokenizer, "<think>12</think>3<|im_end|>", "4567890</think>1<|im_end|>")
    (made,) = sampler.sample([asked([9], None, 8)], GREEDY)
    assert made.text == "<think>12Wait4567890</think>1"
    written = tokenizer.decode([token for token, forced in zip(made.token_ids, made.forced, strict=True) if forced])
    assert written == "Wait" and [lp == 0.0 for lp in made.logprobs] == made.forced


def test_a_policy_that_never_thinks_long_enough_is_let_go(tokenizer: PreTrainedTokenizerBase) -> None:
    sampler, engine = scripted(tokenizer, *["<think></think>3<|im_end|>"], *["</think>3<|im_end|>"] * 20)
    (made,) = sampler.sample([asked([9], None, 500, limit=1000)], GREEDY)
    assert made.stop_reason == "end" and len(engine.asked) == 9


def test_forced_tokens_are_distinguished_from_the_policys_own() -> None:
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


@pytest.mark.parametrize("stop_ids", [(7, 2, 8), (2,), (7, 7, 2, 3)])
def test_the_rule_on_tensors_is_the_rule(stop_ids: tuple[int, ...]) -> None:
    """Many rows of random tokens that open and close think blocks, under every budget, some of them open in the prompt."""
    tokens = ThinkTokens(1, 2, "", stop_ids)
    draw = torch.Generator().manual_seed(7)
    prompts = torch.randint(0, 6, (300, 4), generator=draw).tolist()
    budgets = [None if row % 7 == 6 else row % 7 for row in range(300)]
    sampled_RT = torch.randint(0, 6, (300, 40), generator=draw)
    clock, rows = ThinkingClock(prompts, budgets, tokens), torch.arange(300)
    rules = [
        None if most is None else BudgetRule(ids, most, tokens) for ids, most in zip(prompts, budgets, strict=True)
    ]
    written = 0
    for step in range(40):
        forced = clock.forced(rows)
        expected = [None if rule is None else rule.forced() for rule in rules]
        assert forced.tolist() == [-1 if token is None else token for token in expected], step
        came = torch.where(forced >= 0, forced, sampled_RT[:, step])
        clock.advance(rows, came)
        for rule, token in zip(rules, came.tolist(), strict=True):
            if rule is not None:
                rule.advance(token)
        written += int((forced >= 0).sum())
    assert written > 500


def test_a_budget_whose_stop_text_is_not_the_engines_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    sampler, _ = scripted(tokenizer)
    with pytest.raises(EngineError, match="started with the stop text"):
        sampler.sample([asked([1, 2], 4, stop_text="enough\n</think>\n\n")], GREEDY)


def test_a_budget_without_an_end_or_below_a_minimum_says_what_to_write(tokenizer: PreTrainedTokenizerBase) -> None:
    engine = Scripted()
    without_end = Sampler(engine, tokenizer, ThinkTokens.of(tokenizer, "stop now"))  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="has no </think>"):
        without_end.sample([asked([1, 2], 4)], GREEDY)
    sampler, _ = scripted(tokenizer)
    with pytest.raises(EngineError, match="minimum of 8 thinking tokens is above the budget of 4"):
        sampler.sample([asked([1, 2], 4, 8)], GREEDY)
    unknown = Sampler(engine, tokenizer, None)  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="add_tokens"):
        unknown.sample([asked([1, 2], 4)], GREEDY)


def test_what_a_row_draws_does_not_depend_on_which_rows_share_its_batch(
    thinker: Path, tokenizer: PreTrainedTokenizerBase, prompts: list[list[int]]
) -> None:
    """Ragged rows that join, end and move among few slots draw what they draw with a slot each."""
    drawn = []
    for slots in (3, 64):
        options = engine_options("transformers", dtype="float32", max_sequences=slots)
        engine = start_engine(EngineSettings(str(thinker), 256, (tokenizer.eos_token_id,), 0, options))
        requests = [
            GenerationRequest(prompt, "thinking", None, most, seed=most)
            for prompt, most in zip(prompts[:24], itertools.cycle((5, 64, 20)), strict=False)
        ]
        drawn.append([made.token_ids for made in in_order(engine.generate(requests, SamplingSettings()))])
    assert drawn[0] == drawn[1]


def test_forced_tokens_carry_no_loss(
    thinker: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads the mask under which the trainer takes the loss, in a step whose thinking is cut off after 4 tokens."""
    from alignment.training.rl.trainer import PolicyGradientTrainer

    settings = [f"model={thinker}", "stages.reasoning_rl.trainer.max_steps=1"]
    budget = {"most": 4, "stop_text": STOP_TEXT}
    rollout = {"thinking_budget": budget, "generations": 4, "problems_per_step": 4}
    settings += [f"stages.reasoning_rl.rollout.{key}={json.dumps(value)}" for key, value in rollout.items()]
    trainer = grpo_trainer(thinker, tmp_path, monkeypatch, *settings)
    seen: list[dict[str, torch.Tensor]] = []
    compute_loss = PolicyGradientTrainer._compute_loss

    def spy(self: PolicyGradientTrainer, model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        seen.append(inputs)
        return compute_loss(self, model, inputs)

    monkeypatch.setattr(PolicyGradientTrainer, "_compute_loss", spy)
    trainer.train()

    tokens = ThinkTokens.of(tokenizer, STOP_TEXT)
    assert tokens is not None
    written = 0
    for inputs in seen:
        trained_BT = inputs["loss_mask_BC"].bool()
        for ids_T, real_T, trained_T in zip(
            inputs["completion_ids_BC"], inputs["completion_mask_BC"].bool(), trained_BT, strict=True
        ):
            forced = forced_tokens([], ids_T[real_T].tolist(), 4, tokens)
            assert trained_T[real_T].tolist() == [not one for one in forced]
            written += sum(forced)
    assert written >= 8 * len(tokens.stop_ids), "most of sixteen completions were cut off"


def logprob_gap(model: torch.nn.Module, generations: Sequence[Generation], device: torch.device) -> float:
    """Mean distance in nats between the engine's log-probs of sampled tokens and the model's."""
    distances = []
    for made in generations:
        prompt = made.request.prompt_ids
        with torch.no_grad():
            logits_TV = model(input_ids=torch.tensor([prompt + made.token_ids], device=device)).logits[0]
        logprobs_T = logits_TV.log_softmax(-1)[range(len(prompt) - 1, len(logits_TV) - 1), made.token_ids]
        own_T = ~torch.tensor(made.forced)
        distances.append((logprobs_T - torch.tensor(made.logprobs)).abs()[own_T])
    return float(torch.cat(distances).mean())
