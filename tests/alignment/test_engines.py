"""Both engines on the embedded model: same tokens, true log-probs, budgets, and weights that really arrive."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from alignment.core.errors import WeightsNotSynchronised
from alignment.core.resources import resource
from alignment.inference.engine import Engine, EngineSettings, GenerationRequest, SamplingSettings, in_order
from alignment.inference.sampler import Sampler
from alignment.inference.start import start_engine
from alignment.inference.vllm.kind import vllm_fault
from alignment.inference.weights.sync_check import Gap, check_weight_sync, largest_gap, refuse_gap
from alignment.recipe.blocks.engine import engine_options
from alignment.rollout.guided import line_break_ids

BASE = str(resource("data/base"))
GREEDY = SamplingSettings(temperature=0.0)
needs_vllm = pytest.mark.skipif(bool(vllm_fault()), reason=str(vllm_fault()))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(BASE)


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32).eval()


@pytest.fixture(scope="module", params=["transformers", "vllm"])
def engine(request: pytest.FixtureRequest, tokenizer: PreTrainedTokenizerBase) -> Iterator[Engine]:
    if request.param == "vllm" and (problem := vllm_fault()):
        pytest.skip(problem)
    options = engine_options(request.param, dtype="float32", max_sequences=16)
    started = start_engine(EngineSettings(BASE, 256, (tokenizer.eos_token_id,), tokenizer.pad_token_id, options))
    yield started
    started.close()


def sampled(
    engine: Engine, prompts: list[list[int]], settings: SamplingSettings, max_tokens: int, seed: int = 0
) -> list[list[int]]:
    requests = [
        GenerationRequest(prompt, "thinking", max_tokens=max_tokens, seed=seed + number)
        for number, prompt in enumerate(prompts)
    ]
    return [made.token_ids for made in in_order(engine.generate(requests, settings))]


@pytest.fixture
def prompts(tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    texts = ["<|endoftext|>12 + 7 - 4 =\n", "<|endoftext|>55 + 98 =\n", "<|endoftext|>9 - 3 + 5 - 1 =\n"]
    return [tokenizer(text)["input_ids"] for text in texts]


def test_whoever_asks_for_nothing_gets_nothing(engine: Engine, tokenizer: PreTrainedTokenizerBase) -> None:
    assert Sampler(engine, tokenizer, None).sample([], GREEDY) == []  # as of the mode that a set of questions lacks


def test_greedy_tokens_are_those_of_the_model_itself(
    engine: Engine, model: torch.nn.Module, prompts: list[list[int]]
) -> None:
    for prompt, found in zip(prompts, sampled(engine, prompts, GREEDY, 12), strict=True):
        ids = list(prompt)
        for token in found:
            assert int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()) == token
            ids.append(token)


def test_logprobs_are_the_policys_own(engine: Engine, model: torch.nn.Module, prompts: list[list[int]]) -> None:
    for prompt, found in zip(prompts, engine.logprobs(prompts), strict=True):
        logits = model(input_ids=torch.tensor([prompt])).logits[0, :-1].log_softmax(-1)
        expected = logits.gather(-1, torch.tensor(prompt[1:])[:, None])[:, 0]
        assert torch.allclose(torch.tensor(found), expected, atol=1e-3)


def test_the_same_seed_samples_the_same_and_another_does_not(engine: Engine, prompts: list[list[int]]) -> None:
    hot = SamplingSettings(temperature=1.5)
    first, again, other = (sampled(engine, prompts, hot, 24, seed) for seed in (1, 1, 20))
    assert first == again
    assert first != other


def test_what_a_request_samples_does_not_depend_on_what_else_is_asked(engine: Engine, prompts: list[list[int]]) -> None:
    """Alone, among others, among equal prompts with other seeds, and in another order: the seed is the request's own."""
    hot = SamplingSettings(temperature=1.2)
    requests = [
        GenerationRequest(prompts[number % 3], "thinking", max_tokens=8 + number % 17, seed=number)
        for number in range(40)
    ]
    together = in_order(engine.generate(requests, hot))
    backwards = in_order(engine.generate(requests[::-1], hot))[::-1]
    alone = [in_order(engine.generate([one], hot))[0] for one in requests[:6]]
    assert [made.token_ids for made in backwards] == [made.token_ids for made in together]
    assert [made.token_ids for made in alone] == [made.token_ids for made in together[:6]]
    assert len({tuple(made.token_ids) for made in together}) > 30


def test_a_request_is_handed_back_after_its_own_stop_token_and_no_other_is(
    engine: Engine, tokenizer: PreTrainedTokenizerBase, prompts: list[list[int]]
) -> None:
    breaks, hot = line_break_ids(tokenizer), SamplingSettings(temperature=1.2)
    whole = [GenerationRequest(prompts[0], "thinking", max_tokens=24, seed=seed) for seed in range(6)]
    cut = [replace(one, stop_after=breaks) for one in whole]
    plain = in_order(engine.generate(whole, hot))
    mixed = in_order(engine.generate([*whole, *cut], hot))
    assert [one.token_ids for one in mixed[:6]] == [one.token_ids for one in plain]
    handed_back = 0
    for before, after in zip(plain, mixed[6:], strict=True):
        ends = [place + 1 for place, token in enumerate(before.token_ids) if token in breaks]
        assert after.token_ids == before.token_ids[: ends[0] if ends else None]
        assert after.stop_reason == ("length" if ends else before.stop_reason)
        handed_back += bool(ends)
    assert handed_back


def test_long_prompts_that_fill_many_batches_change_nothing(engine: Engine, prompts: list[list[int]]) -> None:
    """Together they are more tokens than vLLM reads in one step."""
    hot = SamplingSettings(temperature=1.2, top_p=0.9, top_k=30)
    requests = [
        GenerationRequest((prompts[number % 3] * 40)[:240], "thinking", max_tokens=6, seed=number)
        for number in range(24)
    ]
    together = [made.token_ids for made in in_order(engine.generate(requests, hot))]
    assert together == [in_order(engine.generate([one], hot))[0].token_ids for one in requests]


@needs_vllm
def test_on_a_cpu_both_engines_sample_the_same_tokens_from_the_same_seeds(prompts: list[list[int]]) -> None:
    if torch.cuda.is_available():
        pytest.skip("on a GPU vLLM seeds rows in its own way")
    settings = SamplingSettings(temperature=0.8, top_p=0.95, top_k=20)
    requests = [GenerationRequest(prompts[number % 3], "thinking", max_tokens=24, seed=number) for number in range(60)]
    made = []
    for name in ("transformers", "vllm"):
        one = start_engine(EngineSettings(BASE, 256, (2,), 0, engine_options(name, dtype="float32")))
        made.append([generation.token_ids for generation in in_order(one.generate(requests, settings))])
        one.close()
    assert sum(first == second for first, second in zip(*made, strict=True)) >= 59, "rounding may tip one over"


def test_sampling_leaves_the_trainers_random_numbers_alone(engine: Engine, prompts: list[list[int]]) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    sampled(engine, prompts, SamplingSettings(), 4, seed=3)
    assert torch.equal(torch.rand(1), expected)


def test_new_weights_arrive_and_can_be_taken_back(
    engine: Engine, model: torch.nn.Module, prompts: list[list[int]]
) -> None:
    check_weight_sync(engine, lambda: iter(model.named_parameters()), prompts[0])
    with pytest.raises(WeightsNotSynchronised, match="never changes"):
        check_weight_sync(engine, lambda: iter(()), prompts[0])
    engine.load_weights(iter(model.named_parameters()))


def test_every_matrix_arrives_the_tied_head_among_them(
    engine: Engine, model: torch.nn.Module, prompts: list[list[int]]
) -> None:
    """Weights that differ everywhere, as after a step of training: the engine's log-probs are the changed model's."""
    changed = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.mul_(1 + 0.01 * torch.randn_like(parameter))
        logits = changed(input_ids=torch.tensor([prompts[2]])).logits[0, :-1].log_softmax(-1)
    expected = logits.gather(-1, torch.tensor(prompts[2][1:])[:, None])[:, 0]
    engine.load_weights(iter(changed.named_parameters()))
    found = torch.tensor(engine.logprobs([prompts[2]])[0])
    engine.load_weights(iter(model.named_parameters()))
    assert torch.allclose(found, expected, atol=1e-4)


def test_an_engine_that_rested_samples_again_once_weights_come(
    engine: Engine, model: torch.nn.Module, prompts: list[list[int]]
) -> None:
    """On a GPU vLLM gives its memory back while the trainer computes; on a CPU its scheduler pauses and goes on."""
    if engine.name == "vllm":
        engine._sleeps = True  # type: ignore[attr-defined]  as beside a trainer on a GPU
    before = sampled(engine, prompts, SamplingSettings(), 12)
    for _ in range(2):
        engine.rest()
        engine.rest()
        engine.load_weights(iter(model.named_parameters()))
        assert sampled(engine, prompts, SamplingSettings(), 12) == before


def test_a_gap_between_trainer_and_engine_stops_the_stage_and_its_cause_is_named() -> None:
    exact, coarse = ("float32", "float32"), ("bfloat16", "float32")
    refuse_gap(Gap(0.01, 0.01, exact), largest_gap(None, exact=False), step=3)
    with pytest.raises(
        WeightsNotSynchronised, match="step 2.*max_logprob_gap 0.0002.*holds other weights, or computes"
    ):
        refuse_gap(Gap(3e-4, 3e-4, exact), largest_gap(None, exact=True), step=2)
    with pytest.raises(WeightsNotSynchronised, match="step 3.*max_logprob_gap 0.05.*write `engine: {dtype: float32}`"):
        refuse_gap(Gap(0.2, 0.2, coarse), 0.05, step=3)
    with pytest.raises(WeightsNotSynchronised, match="packed rows are computed otherwise"):
        refuse_gap(Gap(0.2, 1e-5, coarse), 0.05, step=3)
