"""Quantises a model folder with llm-compressor: `python -m alignment.export.quantised.job WORK`, started by making.py.

llm-compressor comes from the folder at the head of PYTHONPATH, and no other process of this project imports it. What it leaves is
in the form of compressed-tensors, which transformers and vLLM read. Neighbours: forms.py.
"""

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from datasets import Dataset
from transformers import AutoModelForCausalLM

from alignment.core.entry import run_child
from alignment.core.errors import ArtifactError
from alignment.export.quantised.forms import FORMS, Form, QuantisationWork

HEAD = "lm_head"  # stays whole, as its loss is the largest
GROUPS = (128, 64, 32)  # columns that share a scale: what vLLM has kernels for


def main(file: Annotated[Path, typer.Argument(help="What to quantise.")]) -> None:
    """Quantise one model folder."""
    work = QuantisationWork.read(file)
    form = FORMS[work.form]
    # Scales are searched in float32, in which nothing else is rounded.
    model = AutoModelForCausalLM.from_pretrained(work.model, dtype=torch.float32, use_safetensors=True)
    _refuse_experts(model)
    asked: dict[str, Any] = {}
    if form.calibrated:
        rows = [list(row) for row in work.rows]
        table = Dataset.from_dict({"input_ids": rows, "attention_mask": [[1] * len(row) for row in rows]})
        asked = {"dataset": table, "max_seq_length": work.longest, "num_calibration_samples": len(rows)}
    if not torch.cuda.is_available():
        _without_pinned_memory()
    import_module("llmcompressor").oneshot(model=model, recipe=_modifiers(form, model), **asked)
    # What is not quantised: vLLM takes no float32 beside it.
    model.to(torch.bfloat16).save_pretrained(work.output, save_compressed=True)


def _modifiers(form: Form, model: torch.nn.Module) -> list[Any]:
    """llm-compressor's recipe for a form."""
    quantisation = import_module("llmcompressor.modifiers.quantization")
    presets = import_module("compressed_tensors.quantization")
    scheme = presets.preset_name_to_scheme(form.scheme, ["Linear"])
    if form.calibrated:
        scheme.weights.group_size = _group_size(model)
    asked = {"config_groups": {"group_0": scheme}, "ignore": [HEAD]}
    if form.name == "gptq":
        return [quantisation.GPTQModifier(**asked)]
    if form.name == "awq":
        awq = import_module("llmcompressor.modifiers.transform.awq")
        # "both": scales are searched by activations alone too, not only by activations and weights.
        return [awq.AWQModifier(duo_scaling="both"), quantisation.QuantizationModifier(**asked)]
    return [quantisation.QuantizationModifier(**asked)]


def _group_size(model: torch.nn.Module) -> int:
    """The largest group that every quantised matrix can be cut into. Raises ArtifactError where there is none."""
    columns = {
        one.in_features for name, one in model.named_modules() if isinstance(one, torch.nn.Linear) and name != HEAD
    }
    fitting = [size for size in GROUPS if all(count % size == 0 for count in columns)]
    if not fitting:
        raise ArtifactError(
            f"matrices with {sorted(columns)} columns cannot be cut into groups of {', '.join(map(str, GROUPS))}, which are "
            "the sizes that vLLM reads; write --quantise fp8"
        )
    return fitting[0]


def _refuse_experts(model: Any) -> None:
    config = model.config.get_text_config()
    if any(getattr(config, name, None) for name in ("num_experts", "num_local_experts", "n_routed_experts")):
        raise ArtifactError("a mixture of experts is not quantised here: its experts are no linear layers of their own")


def _without_pinned_memory() -> None:
    """Turn off what llm-compressor 0.14 does for its copies to a GPU, which fails where there is none."""
    cache = import_module("llmcompressor.pipelines.cache").IntermediatesCache
    cache.pin_memory = lambda *_, **__: None


if __name__ == "__main__":
    run_child(main)
