"""`alignment model inspect` says what a model has and lacks, and what it says to write is what the stages need."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from families import build, family

from alignment.checks.model.folder import ModelFolder
from alignment.commands.model.inspection import inspected, printed
from alignment.core.errors import ArtifactError


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    for name in ("Llama 3", "Qwen3", "LFM2", "GPT-OSS", "OLMo 2"):
        build(family(name), folder / name)
    return folder


@pytest.mark.parametrize("name", ["Llama 3", "LFM2", "OLMo 2", "GPT-OSS"])
def test_what_it_says_to_write_is_the_template_of_the_family_and_the_missing_tokens(built: Path, name: str) -> None:
    facts, chosen = inspected(str(built / name)), family(name)
    assert f"chat_template: {chosen.template}" in facts.advice.recipe
    assert 'add_tokens: ["<think>", "</think>"]' in facts.advice.recipe
    assert facts.template is not None and not facts.template.marks_loss
    assert set(facts.ends) == set(chosen.ends) and facts.tokenizer.bos == chosen.bos


def test_a_llama_is_described_by_its_files(built: Path) -> None:
    facts = inspected(str(built / "Llama 3"))
    assert (facts.family, facts.architecture, facts.tied, facts.stateful) == ("llama", "LlamaForCausalLM", False, ())
    assert facts.template is not None and facts.template.turn_end == "<|eot_id|>" and facts.template.opens_with_bos
    assert facts.tokenizer.adds_bos and facts.tokenizer.pad is None and facts.tokenizer.pieces[0] > 1
    assert set(facts.lora_targets) == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    text = printed(facts, as_json=False)
    assert "LoRA needs `train_tokens`" in text and "116 thousand parameters" in text
    assert json.loads(printed(facts, as_json=True))["parameters"] == facts.parameters


def test_windows_experts_sinks_and_states_are_seen(built: Path) -> None:
    hybrid, mixture = inspected(str(built / "LFM2")), inspected(str(built / "GPT-OSS"))
    assert hybrid.stateful == ("conv",) and hybrid.tied and "pad its rows" in " ".join(hybrid.advice.lacks)
    assert hybrid.advice.works["sft"].startswith("padded rows")
    assert mixture.experts == 4 and mixture.window == 16 and mixture.advice.works["grpo"] == "packed rows"


def test_a_model_that_thinks_lacks_nothing(built: Path) -> None:
    facts = inspected("embedded")
    assert facts.advice.recipe == ("model: embedded",) and facts.advice.lacks[0].startswith("nothing")
    qwen = inspected(str(built / "Qwen3"))
    assert qwen.tokenizer.pieces == (1, 1) and "add_tokens" not in " ".join(qwen.advice.recipe)


def test_a_damaged_folder_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"(?s)config.json is damaged.*no weights"):
        inspected(str(tmp_path))
    with pytest.raises(ArtifactError, match="there is no folder"):
        inspected(str(tmp_path / "nowhere"))
    assert ModelFolder(tmp_path).template is None and ModelFolder(tmp_path).parameters == 0


def test_it_needs_no_torch(built: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from alignment.commands.model.inspection import inspected, printed\n"
        f"print(printed(inspected({str(built / 'Llama 3')!r}), as_json=False))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert "chat_template: llama3" in found.stdout, found.stderr
