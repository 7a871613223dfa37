"""Process reward models with layers and width beyond their policy's: what the policy computed stays, and tokens stay readable."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedModel,
)

from alignment.checks.recipe import checked
from alignment.core.errors import RecipeError
from alignment.core.resources import resource
from alignment.data.rows import write_rows
from alignment.inference.process_model import ProcessModel, Solution
from alignment.recipe.blocks.expansion import Expansion
from alignment.training.expansion import WRITES, expanded, keep_codes
from process.stages import in_process
from process.test_process_models import by_hand, prm_stage, solutions

EXPAND: dict[str, Any] = {"expand": {"layers": 2, "token_width": 32}, "head_fraction": 0.0}
IDS = torch.tensor([[31, 77, 140, 200, 31, 90, 64, 77, 333, 12, 45, 8]])


def policy(architecture: str) -> PreTrainedModel:
    """The embedded model's body, or a random one of another architecture, under a new head, with plain attention."""
    torch.manual_seed(0)
    if architecture == "embedded":
        base = resource("data/base")
        return AutoModelForTokenClassification.from_pretrained(
            base, num_labels=2, dtype=torch.float32, attn_implementation="eager"
        ).eval()
    config = AutoConfig.for_model(
        architecture, vocab_size=512, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, num_labels=2,
    )  # fmt: skip
    return AutoModelForTokenClassification.from_config(config, attn_implementation="eager").eval()


@pytest.mark.parametrize("architecture", ["embedded", "llama", "qwen2"])
def test_lower_layers_compute_what_the_policy_does_and_the_next_one_looks_one_token_back(architecture: str) -> None:
    before = policy(architecture)
    after = expanded(before, Expansion(layers=2, token_width=32), IDS).eval()
    layers, d = before.config.num_hidden_layers, before.config.hidden_size
    assert (after.config.num_hidden_layers, after.config.hidden_size) == (layers + 2, d + 32)
    asked = {"input_ids": IDS, "output_hidden_states": True, "output_attentions": True}
    with torch.no_grad():
        old, new = before.base_model(**asked), after.base_model(**asked)
    for place in range(layers):  # the last is the norm's
        changed = (new.hidden_states[place][..., :d] - old.hidden_states[place]).abs().max()
        assert changed < 0.05 * old.hidden_states[place].abs().max()
        assert torch.equal(new.hidden_states[place][..., d:], new.hidden_states[0][..., d:]), (
            "a token stays as it was written"
        )
    heads_HTT = new.attentions[layers][0]
    back_HT = heads_HTT.diagonal(-1, dim1=1, dim2=2)
    assert back_HT.min() > 0.99 if architecture == "embedded" else back_HT.median() > 0.9, (
        "without norms of queries, some less"
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("expanded")
    write_rows(folder / "rows.jsonl", solutions(48))
    with pytest.MonkeyPatch.context() as patch:
        counts = in_process(folder, resource("data/base"), prm_stage(folder / "rows.jsonl", **EXPAND), patch)
    assert counts["likely_tokens"] > counts["unlikely_tokens"] > 0
    return folder / "run" / "01-prm" / "output"


def test_the_folder_loads_in_plain_transformers_and_no_layer_has_learned_to_write_over_tokens(trained: Path) -> None:
    found = solutions(10, seed=7)
    scores = ProcessModel(str(trained)).scores([Solution(row.prompt, row.steps, row.thinking_steps) for row in found])
    for ours, plain in zip(scores, by_hand(trained, found), strict=True):
        assert ours == pytest.approx(plain, abs=1e-5)
    model = AutoModelForTokenClassification.from_pretrained(trained)
    assert (model.config.num_hidden_layers, model.config.hidden_size) == (6, 160)
    begun = expanded(policy("embedded"), Expansion(layers=2, token_width=32), IDS)
    for layer, first in zip(model.base_model.layers, begun.base_model.layers, strict=True):
        for name in WRITES:
            weight = layer.get_submodule(name).weight
            assert not weight[-32:].any()
            assert not torch.equal(weight[:-32], first.get_submodule(name).weight[:-32]), "the rest is trained"
    card = (trained / "README.md").read_text(encoding="utf-8")
    assert "2 layers on top and 32 more numbers in each hidden state" in card
    AutoTokenizer.from_pretrained(trained)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"head_fraction": 0.5}, "head_fraction: found 0.5"),
        ({"lora": {"rank": 4}}, "an adapter would write over the tokens"),
        ({"expand": {"layers": 1}}, "greater than or equal to 2"),
    ],
)
def test_what_cannot_work_is_said_before_anything_starts(fields: dict[str, Any], words: str, tmp_path: Path) -> None:
    import yaml

    write_rows(tmp_path / "rows.jsonl", solutions(8))
    stage = {**prm_stage(tmp_path / "rows.jsonl", **EXPAND), **fields}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"name": "small", "model": "embedded", "stages": [stage]}))
    with pytest.raises(RecipeError, match=words):
        checked(tmp_path / "recipe.yaml", [])


def test_other_architectures_are_refused_in_words() -> None:
    config = AutoConfig.for_model(
        "gpt_neox", vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    other = AutoModelForSequenceClassification.from_config(config)
    with pytest.raises(RecipeError, match=r"`expand` knows the layers of llama, .*and this is gpt_neox"):
        expanded(other, Expansion(), IDS)


def test_codes_get_no_gradient() -> None:
    model = expanded(policy("embedded"), Expansion(layers=2, token_width=8), IDS)
    keep_codes(model, 8)
    model(input_ids=IDS).logits.sum().backward()
    for layer in model.base_model.layers:
        gradient = layer.self_attn.o_proj.weight.grad
        assert not gradient[-8:].any() and gradient[:-8].any()
