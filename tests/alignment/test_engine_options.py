"""`engine:` in a recipe: one list of engines, short and long forms, errors in words, and an engine from another package."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field
from transformers import AutoTokenizer

from alignment.core import registry
from alignment.core.errors import EngineError, RecipeError
from alignment.core.resources import resource
from alignment.inference.engine import (
    EngineSettings,
    Generation,
    GenerationRequest,
    SamplingSettings,
    as_generation,
)
from alignment.inference.start import Serving, end_tokens, serve, start_engine
from alignment.recipe.blocks import engine as engines
from alignment.recipe.blocks.engine import EngineKind, EngineOptions, VllmOptions, engine_options, retyped
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.recipe.blocks.sampling import Rollout
from alignment.recipe.reading.load import Document

BASE = resource("data/base")


class ParrotOptions(EngineOptions):
    """Options of an engine that another package brings."""

    times: int = Field(1, description="How often the prompt is said again.")


class Parrot:
    """Says the last token of the prompt again and again."""

    name = "parrot"
    weight_version = 0

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings

    def generate(
        self, requests: Sequence[GenerationRequest], settings: SamplingSettings
    ) -> Iterator[tuple[int, Generation]]:
        for index, request in reversed(list(enumerate(requests))):
            ids = request.prompt_ids[-1:] * getattr(self._settings.options, "times", 1)
            yield index, as_generation(request, ids, [0.0] * len(ids), self._settings.thinking, ended=False)

    def logprobs(self, sequences: Sequence[list[int]]) -> list[list[float]]:
        return [[0.0] * (len(ids) - 1) for ids in sequences]

    def load_weights(self, weights: Iterable[tuple[str, Any]]) -> int:
        """It has none."""
        return self.weight_version

    def rest(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing is held."""


PARROT = EngineKind("parrot", ParrotOptions, lambda processes: "it is shy" if processes > 4 else None, Parrot)


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine as an installed package would declare it."""
    point = EntryPoint("parrot", "alignment.test_engine_options:PARROT", engines.REGISTRY.group)
    monkeypatch.setattr(EntryPoint, "load", lambda self: PARROT)
    monkeypatch.setattr(registry, "_read", lambda group, path: {"parrot": [point]} if group == point.group else {})


def test_a_name_is_short_for_a_type() -> None:
    short, long = (Rollout.model_validate({"engine": one}).engine for one in ("vllm", {"type": "vllm"}))
    assert short == long and isinstance(short, VllmOptions)
    assert Rollout().engine.type == "auto"
    assert Evaluations.model_validate({"engine": {"dtype": "bfloat16"}}).engine.dtype == "bfloat16"
    assert Rollout.model_validate({"engine": "transformers"}).model_dump(exclude_unset=True) == {
        "engine": {"type": "transformers"}
    }


def test_options_follow_to_another_engine_where_it_has_them() -> None:
    options = engine_options("vllm", dtype="bfloat16", gpu_memory_fraction=0.5)
    moved = retyped(options, "transformers")
    assert (moved.type, moved.dtype) == ("transformers", "bfloat16") and "gpu_memory_fraction" not in moved.model_dump()
    with pytest.raises(RecipeError, match="no engine `vlm`; did you mean `vllm`"):
        retyped(options, "vlm")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("vlm", "rollout.engine: found 'vlm'; did you mean `vllm`?"),
        ("{type: vlm}", "rollout.engine.type: found 'vlm'; did you mean `vllm`?"),
        ("{type: vllm, dtypes: float32}", "rollout.engine.dtypes: unknown key; did you mean `dtype`?"),
        ("{type: transformers, gpu_memory_fraction: 0.5}", "rollout.engine.gpu_memory_fraction: unknown key"),
        ("{type: vllm, gpu_memory_fraction: 2}", "rollout.engine.gpu_memory_fraction: found 2"),
        ("[vllm]", "rollout.engine: found ['vllm'], and a mapping is needed"),
    ],
)
def test_what_is_written_wrong_is_said_in_words_with_its_place(written: str, said: str) -> None:
    document = Document(resource("recipes/tiny-thinking.yaml"), [f"stages.reasoning_rl.rollout.engine={written}"])
    _, issues = document.recipe()
    assert len(issues) == 1 and said in document.describe(issues[0])


@pytest.mark.usefixtures("parrot")
def test_an_engine_of_another_package_is_written_checked_and_started() -> None:
    document = Document(
        resource("recipes/tiny-thinking.yaml"),
        ["stages.reasoning_rl.rollout.engine={type: parrot, times: 3}", "evaluations.engine=parrot"],
    )
    recipe, issues = document.recipe()
    assert recipe is not None and not issues
    options = recipe.stage("reasoning_rl").rollout.engine  # type: ignore[attr-defined]
    sampler = serve(str(BASE), Serving(options, 64, 64, "\n</think>\n\n"))
    prompts = [sampler.tokenizer(text)["input_ids"] for text in ("7 1", "7 2")]
    made = sampler.sample([GenerationRequest(ids, "non_thinking") for ids in prompts], SamplingSettings())
    assert [one.text for one in made] == ["111", "222"], "in the order of the requests, though the last came first"
    settings = EngineSettings(str(BASE), 64, (2,), 0, options)
    with pytest.raises(EngineError, match="engine parrot cannot run here: it is shy"):
        start_engine(replace(settings, processes=8))


@pytest.mark.parametrize("listed", [None, 5, [5, 7]])
def test_a_completion_ends_at_every_token_that_the_model_lists(
    tmp_path: Path, listed: Literal[5] | list[int] | None
) -> None:
    """Llama's <|eot_id|> and Gemma's <end_of_turn> stand in generation_config.json alone."""
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    (tmp_path / "config.json").write_text((BASE / "config.json").read_text(encoding="utf-8"), encoding="utf-8")
    if listed is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": listed}), encoding="utf-8")
    more = [listed] if isinstance(listed, int) else listed or []
    assert end_tokens(str(tmp_path), tokenizer) == (tokenizer.eos_token_id, *more)


def test_a_model_that_nothing_ends_is_refused(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text("{}", encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    tokenizer.eos_token = tokenizer.chat_template = None
    with pytest.raises(EngineError, match="end-of-text token"):
        end_tokens(str(tmp_path), tokenizer)
