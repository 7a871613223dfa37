"""A GGUF file's weights as a model folder, so that engines which read none can answer with them.

Neighbours: writing.py (writes and proves such a file), commands/export/gguf_file.py (measures its answers).
"""

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_model
from transformers import AutoConfig, AutoModelForCausalLM

BESIDE_WEIGHTS = (".json", ".jinja", ".txt", ".model")  # configs, tokenizer and template of an export


def read_gguf(file: Path, into: Path) -> None:
    """Write what transformers reads from the file in float32, with the files beside it in its export, into a new folder."""
    config = AutoConfig.from_pretrained(file.parent)
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32, config=config)
    into.mkdir()
    for one in file.parent.iterdir():
        if one.is_file() and one.suffix in BESIDE_WEIGHTS and not one.name.endswith(".index.json"):
            shutil.copyfile(one, into / one.name)
    save_model(model, str(into / "model.safetensors"), metadata={"format": "pt"})
