"""QLoRA's 4-bit weights: what a stage leaves is what its codes stand for, with the adapter. Needs the extra `qlora`."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from alignment.core.errors import ArtifactError
from alignment.core.resources import resource
from alignment.inference.adapters import load_adapted
from alignment.training.saved import loaded_logits
from training.lora_stage import plan_of, trained

bitsandbytes = pytest.importorskip("bitsandbytes", reason="the extra `qlora` is not installed")


def test_a_stage_on_4_bit_weights_leaves_a_whole_model_and_its_adapter_is_refused_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On some CPUs the codes are packed anew for a kernel when the model first answers; a GPU has one layout.
    monkeypatch.setattr(bitsandbytes.nn.modules, "has_avx512bf16", lambda: False)
    plan = plan_of(tmp_path, {"lora": {"rank": 4, "quantise": "nf4"}}, {"lora": {"rank": 4, "quantise": "nf4", "adapter": "continue"}})  # fmt: skip
    for name in ("one", "two"):
        output = trained(plan, name)  # proves the logits itself
        whole = AutoModelForCausalLM.from_pretrained(output, dtype="auto")
        assert not hasattr(whole.config, "quantization_config")
        name_of_weight = "model.layers.0.mlp.up_proj.weight"
        base = AutoModelForCausalLM.from_pretrained(resource("data/base"), dtype=whole.dtype)
        moved = (whole.get_parameter(name_of_weight) - base.get_parameter(name_of_weight)).abs().mean()
        assert moved > 1e-3, "the values of the codes, not those that were quantised"
        assert torch.isfinite(loaded_logits(whole)).all()
        with pytest.raises(ArtifactError, match="trained on a base in 4 bits"):
            load_adapted(str(output))
