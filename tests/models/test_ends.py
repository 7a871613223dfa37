"""Generation ends where the model's own files and its chat template say, in engines as in plain transformers."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from families import build, family, tokenizer_of
from family_runs import engine_greedy, plain_greedy
from transformers import GenerationConfig

from alignment.inference.start import end_tokens
from alignment.training.main import end_at_turns


def test_an_engine_ends_at_a_token_that_generation_config_lists_alone(tmp_path: Path) -> None:
    """Case 12: the model's first greedy token is made its end of turn; the tokenizer's eos token is another."""
    model = build(family("Gemma 3"), tmp_path / "model")
    before = engine_greedy(model, "transformers")
    end = before[0][0]
    assert len(before[0]) > 1
    settings = GenerationConfig.from_pretrained(model)
    settings.eos_token_id = [1, end]
    settings.save_pretrained(model)
    made = engine_greedy(model, "transformers")
    assert made[0] == [end] and made == plain_greedy(model)


@pytest.mark.parametrize(("name", "listed"), [("Qwen2.5 (base)", 0), ("Phi-4-mini", [2, 0]), ("Llama 3", None)])
def test_what_a_stage_leaves_lists_the_end_of_a_turn(name: str, listed: int | list[int] | None) -> None:
    tokenizer = tokenizer_of(family(name))
    model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=listed))
    end_at_turns(model, tokenizer)
    ends = {tokenizer.convert_ids_to_tokens(one) for one in model.generation_config.eos_token_id}
    assert ends >= {"Qwen2.5 (base)": {"<|im_end|>", "<|endoftext|>"}, "Phi-4-mini": {"<|end|>", "<|endoftext|>"},
                    "Llama 3": {"<|eot_id|>"}}[name]  # fmt: skip


def test_a_base_model_with_a_chat_template_ends_at_the_templates_token(tmp_path: Path) -> None:
    model = build(family("Qwen2.5 (base)"), tmp_path / "model")
    tokenizer = tokenizer_of(family("Qwen2.5 (base)"))
    assert set(end_tokens(str(model), tokenizer)) == {
        tokenizer.convert_tokens_to_ids("<|im_end|>"),
        tokenizer.convert_tokens_to_ids("<|endoftext|>"),
    }


@pytest.mark.parametrize("name", ["Gemma 3", "Qwen3"])  # of `generate`, and of slots
def test_the_penalties_of_a_models_generation_config_are_not_those_of_a_policy(tmp_path: Path, name: str) -> None:
    """`transformers.generate` fills what is not asked for from the model's own file; log-probs would be another policy's."""
    model = build(family(name), tmp_path / "model")
    before = engine_greedy(model, "transformers")
    settings = GenerationConfig.from_pretrained(model)
    settings.update(repetition_penalty=5.0, no_repeat_ngram_size=1, suppress_tokens=[before[0][0]])
    settings.save_pretrained(model)
    assert engine_greedy(model, "transformers") == before
