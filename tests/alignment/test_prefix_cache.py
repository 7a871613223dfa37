"""vLLM keeps what requests with one prefix share: the same results for fewer tokens read, and nothing of old weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, JambaConfig, Lfm2Config, Qwen3Config

from alignment.core.errors import EngineError
from alignment.core.resources import resource
from alignment.inference.engine import Engine, EngineSettings, GenerationRequest, SamplingSettings, in_order
from alignment.inference.start import start_engine
from alignment.inference.vllm import in_process
from alignment.inference.vllm.kind import vllm_fault
from alignment.inference.vllm.prefix_cache import keeps_prefixes
from alignment.inference.vllm.server.launch import command
from alignment.inference.vllm.server.place import Place
from alignment.inference.weights.merged import adapter_weights
from alignment.recipe.blocks.engine import engine_options

BASE = str(resource("data/base"))
HOT = SamplingSettings(temperature=1.2)
Made = list[tuple[list[int], list[float]]]
needs_vllm = pytest.mark.skipif(bool(vllm_fault()), reason=str(vllm_fault()))


def settings(**changes: Any) -> EngineSettings:
    options = engine_options("vllm", dtype="float32", max_sequences=16)
    given = {"model": BASE, "max_length": 256, "stop_ids": (2,), "pad_id": 0, "options": options}
    return EngineSettings(**{**given, **changes})


def requests() -> list[GenerationRequest]:
    """16 prompts that share 190 tokens, more than a block of vLLM's cache on a CPU, and 8 that end within one."""
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    shared = (tokenizer("<|endoftext|>12 + 7 - 4 =\n")["input_ids"] * 60)[:190]
    ends = [tokenizer(text)["input_ids"] for text in ("55 + 98 =\n", "9 - 3 + 5 =\n", "")]
    alike = [GenerationRequest(shared + ends[one % 3], "thinking", max_tokens=20, seed=one) for one in range(16)]
    return alike + [GenerationRequest(shared[: 110 + one], "thinking", max_tokens=40, seed=one) for one in range(8)]


def made(engine: Engine, asked: list[GenerationRequest]) -> Made:
    return [(one.token_ids, one.logprobs) for one in in_order(engine.generate(asked, HOT))]


def continued(first: Made) -> list[GenerationRequest]:
    """Short prompts with a part of what was sampled: prefixes whose cache was computed token by token."""
    pairs = list(zip(requests(), first, strict=True))[16:]
    return [
        GenerationRequest(one.prompt_ids + ids[:30], "thinking", max_tokens=12, seed=one.seed)
        for one, (ids, _) in pairs
    ]


def louder() -> dict[str, torch.Tensor]:
    """Weights that sample other tokens."""
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    return {
        name: weight.detach() * (1.3 if "mlp" in name or "v_proj" in name else 1.0)
        for name, weight in model.named_parameters()
    }


def everything(engine: Engine) -> list[Made]:
    """Results before and after other weights, with requests that were asked before as well."""
    first = made(engine, requests())
    more, again = made(engine, continued(first)), made(engine, requests())
    engine.load_weights(louder().items())
    return [first, more, again, made(engine, requests())]


@pytest.fixture(scope="module")
def without() -> list[Made]:
    """The results of an engine that keeps no prefix."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_process, "keeps_prefixes", lambda *_: False)
        engine = start_engine(settings())
    found = everything(engine)
    engine.close()
    return found


class Hits:
    """Counts the tokens that an engine did not read again, and what its cache holds."""

    def __init__(self, engine: Any) -> None:
        self._manager, self.tokens = engine._llm.llm_engine.engine_core.engine_core.scheduler.kv_cache_manager, 0
        found = self._manager.get_computed_blocks

        def counted(request: Any) -> Any:
            answer = found(request)
            self.tokens += answer[1]
            return answer

        self._manager.get_computed_blocks = counted

    @property
    def held(self) -> int:
        """Blocks of tokens that can be found again."""
        return len(self._manager.block_pool.cached_block_hash_to_block)


@needs_vllm
def test_a_new_adapter_empties_the_cache() -> None:
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], base_model_name_or_path=BASE)
    policy = get_peft_model(AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32), config)
    engine = start_engine(settings(weights_change=True, adapter=config))
    hits = Hits(engine)
    engine.load_weights(adapter_weights(policy))
    first = made(engine, requests())
    assert hits.held > 0
    with torch.no_grad():
        for name, weight in policy.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.3)
    engine.load_weights(adapter_weights(policy))
    assert hits.held == 0
    assert made(engine, requests()) != first
    engine.close()


@pytest.fixture(scope="module")
def engine(without: list[Made]) -> Iterator[Engine]:  # after the other, since a process has one at a time
    started = start_engine(settings())
    yield started
    started.close()


@needs_vllm
def test_results_are_the_same_bits_with_shared_prefixes_and_nothing_of_old_weights_is_used(
    engine: Engine, without: list[Made]
) -> None:
    hits = Hits(engine)
    found = everything(engine)
    assert hits.tokens > 32 * 128, "most requests share a block of 128 tokens with one before"
    if not torch.cuda.is_available():
        assert found == without
    for shared, alone in zip(found, without, strict=True):
        same = [one for one, other in zip(shared, alone, strict=True) if one[0] == other[0]]
        assert len(same) >= len(alone) - 1, "rounding may tip one over"
        for (_, ours), (_, theirs) in zip(shared, alone, strict=True):
            assert ours[0] == pytest.approx(theirs[0], abs=2e-4)
    assert found[0] == found[2] != found[3], "the weights that were loaded sample other tokens"


@needs_vllm
def test_a_load_empties_the_cache_and_is_refused_while_a_completion_needs_it(engine: Engine) -> None:
    hits = Hits(engine)
    made(engine, requests())
    assert hits.held > 0
    engine.load_weights(louder().items())
    assert hits.held == 0
    made(engine, requests())
    under_way = engine.generate([GenerationRequest([5, 9], "thinking", max_tokens=1), *requests()], HOT)
    next(under_way)
    with pytest.raises(EngineError, match="a completion is still under way"):
        engine.load_weights(louder().items())
    under_way.close()  # type: ignore[attr-defined]
    engine.load_weights(louder().items())
    assert hits.held == 0


def test_states_along_a_row_are_not_shared_and_servers_are_told_so(tmp_path: Path) -> None:
    state = {"lfm2": Lfm2Config(layer_types=["conv", "full_attention"], num_hidden_layers=2), "jamba": JambaConfig()}
    windows = Qwen3Config(use_sliding_window=True, sliding_window=8, layer_types=["sliding_attention"] * 32)
    for name, config in {**state, "windows": windows}.items():
        config.save_pretrained(tmp_path / name)
    assert [keeps_prefixes(str(tmp_path / name), settings()) for name in ("lfm2", "jamba", "windows")] == [
        False,
        False,
        True,
    ]
    place, served = Place(cores=(0,)), engine_options("vllm_server", workers=1)
    assert "--enable-prefix-caching" in command(settings(options=served), place)
    assert "--no-enable-prefix-caching" in command(settings(options=served, model=str(tmp_path / "lfm2")), place)
