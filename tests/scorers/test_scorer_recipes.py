"""What `alignment check` says of scorers, before anything is loaded."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from alignment.checks.recipe import checked
from alignment.core.errors import RecipeError
from alignment.core.resources import resource
from alignment.run.identity import stage_identity
from alignment.sizing.estimate import estimates

TASTE = {"name": "taste", "kind": "reward_model", "data": "pairs.jsonl", "max_length": 256}
PAIRS = '{"prompt": "1 + 1 =", "chosen": "2.", "rejected": "It is 3!"}\n' * 8


def recipe(folder: Path, scorers: list[dict[str, Any]], **fields: Any) -> Path:
    """A reward_model stage and a grpo stage with these scorers."""
    (folder / "pairs.jsonl").write_text(PAIRS, encoding="utf-8")
    rl = {
        "name": "rl", "kind": "grpo", "data": [{"source": "chain-sum", "split": "reasoning", "count": 64}], "scorers": scorers,
        "rollout": {"generations": 4, "problems_per_step": 2, "engine": "transformers", "max_prompt_tokens": 128,
                    "max_completion_tokens": 32},
        "rewards": [{"kind": "math_answer"}], "trainer": {"max_steps": 1}, **fields,
    }  # fmt: skip
    path = folder / "recipe.yaml"
    taste = {**TASTE, "data": str(folder / "pairs.jsonl"), "trainer": {"max_steps": 1}}
    path.write_text(yaml.safe_dump({"name": "small", "model": "embedded", "stages": [taste, rl]}), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("scorer", "said"),
    [
        ({"kind": "reward_model", "stage": "tast"}, "no reward_model stage before this one; did you mean `taste`"),
        ({"kind": "reward_model", "stage": "rl"}, "found `rl`, which is no reward_model stage before this one"),
        ({"kind": "reward_model"}, "write exactly one of `stage` and `model`"),
        ({"kind": "reward_model", "model": "no/such/folder"}, "there is no folder no/such/folder"),
        ({"kind": "reward_model", "model": "BASE"}, "classifies sequences with one label"),
        ({"kind": "reward_model", "stage": "taste", "engine": "sglang"}, "engine"),
        ({"kind": "reward_model", "stage": "taste", "gpu_memory_fraction": 1.5}, "gpu_memory_fraction"),
        ({"kind": "fluency", "name": "math_answer"}, "another score called `math_answer`"),
        ({"kind": "fluency", "at_most": 1}, "at_most"),
    ],
)
def test_a_scorer_that_cannot_work_is_refused(scorer: dict[str, Any], said: str, tmp_path: Path) -> None:
    named = {key: str(resource("data/base")) if value == "BASE" else value for key, value in scorer.items()}
    with pytest.raises(RecipeError) as refused:
        checked(recipe(tmp_path, [named]), [])
    assert said in str(refused.value)


def test_a_reward_models_stage_is_an_input_and_its_memory_is_counted(tmp_path: Path) -> None:
    scorers = [{"kind": "reward_model", "stage": "taste"}, {"kind": "fluency"}]
    plan = checked(recipe(tmp_path, scorers), [])
    assert "taste" in plan.needed_stages("rl")

    def held(*settings: str) -> float:
        found = estimates(checked(tmp_path / "recipe.yaml", list(settings)).recipe, plan.base.path)
        assert found is not None
        one, parameters = found.of("rl"), found.shape.parameters
        assert one is not None
        return one.memory.scorers / parameters

    assert held() == 8, "a reward model and a frozen policy, in float32"
    assert held("stages.rl.algorithm={type: dapo, beta: 0.1}") == 4, "the KL term's reference measures fluency"
    assert held("stages.rl.scorers=[]") == 0
    pooled = held("stages.rl.scorers=[{kind: reward_model, stage: taste, engine: vllm}]")
    parameters = sum(value.numel() for value in load_file(resource("data/base") / "model.safetensors").values())
    assert pooled == pytest.approx(4 + 2**30 / parameters, rel=0.05), "float32, and vLLM's cache of 1 GiB"


def test_an_engine_decides_scores_and_the_memory_it_may_take_does_not(tmp_path: Path) -> None:
    def identity(**fields: Any) -> Any:
        plan = checked(recipe(tmp_path, [{"kind": "reward_model", "stage": "taste", **fields}]), [])
        return stage_identity(plan.recipe, plan.recipe.stage("rl"), {})["stage"]["scorers"]

    assert "engine" not in identity()[0] and identity() == identity(gpu_memory_fraction=0.4)
    assert identity(engine="vllm")[0]["engine"] == "vllm"


def test_smollm2_instructions_passes_its_checks_with_any_model_of_its_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(resource("recipes").parent)
    tokenizer = AutoTokenizer.from_pretrained(resource("data/base"))
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=1024, tie_word_embeddings=True, **sizes)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    plan = checked(Path("recipes/smollm2-instructions.yaml"), [f"model={tmp_path}"])
    assert plan.recipe.stage("instruction_rl").reads == []
