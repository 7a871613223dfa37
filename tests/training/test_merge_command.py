"""`alignment merge` leaves one model that computes what base and adapter compute, or nothing."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from alignment.cli import app
from alignment.core.resources import resource
from alignment.training.saved import loaded_logits
from training.lora_stage import plan_of, trained

BASE = str(resource("data/base"))


def merge(*arguments: object) -> str:
    """What the command printed, or the error it ended with."""
    done = CliRunner().invoke(app, ["merge", *map(str, arguments)])
    return " ".join((done.output + str(done.exception or "")).split())


def saved_adapter(folder: Path, std: float) -> torch.Tensor:
    """A PEFT adapter of the embedded model on disk, as other people have them; returns what it computes."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype="auto")
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", use_dora=True, task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=std)
    adapted.save_pretrained(folder)
    return loaded_logits(adapted)


def test_an_adapter_of_peft_is_merged_with_its_tokenizer_and_proved(tmp_path: Path) -> None:
    expected = saved_adapter(tmp_path / "adapter", std=0.1)
    said = merge(tmp_path / "adapter", "--into", tmp_path / "whole", "--dtype", "float32")
    assert "on a probe its logits are" in said and "warning" not in said
    assert sorted(path.suffix for path in (tmp_path / "whole").glob("model*")) == [".safetensors"]
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "whole", dtype="auto")
    assert whole.dtype == torch.float32
    assert torch.allclose(loaded_logits(whole), expected, atol=0.2)  # the base's own type is coarse
    assert AutoTokenizer.from_pretrained(tmp_path / "whole").chat_template
    assert "exists already" in merge(tmp_path / "adapter", "--into", tmp_path / "whole")


def test_updates_that_rounding_takes_away_are_said(tmp_path: Path) -> None:
    saved_adapter(tmp_path / "adapter", std=1e-5)
    said = merge(tmp_path / "adapter", "--into", tmp_path / "whole", "--dtype", "bfloat16")
    assert "of the adapter's updates are left" in said and "--dtype float32" in said


@pytest.mark.parametrize("output", ["adapter", "model"])
def test_the_adapter_of_a_run_is_merged_and_a_run_without_one_is_refused(output: str, tmp_path: Path) -> None:
    fields = {"lora": {"rank": 4, "output": output}}
    left = trained(plan_of(tmp_path, fields), "one")
    assert "merged" in merge(left, "--into", tmp_path / "whole", "--dtype", "float32")
    assert load_file(tmp_path / "whole" / "model.safetensors")
    assert "there is no folder" in merge(tmp_path / "nothing", "--into", tmp_path / "other")
    assert not (tmp_path / "other").exists()
