"""A GGUF file's weights as a model folder, so that engines which read none can answer with them.

Neighbours: writing.py (writes and proves such a file), commands/export/gguf_file.py (measures its answers).
"""

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_model
from transformers import AutoConfig, AutoModelForCausalLM

from alignment.core.errors import ArtifactError

BESIDE_WEIGHTS = (".json", ".jinja", ".txt", ".model")  # configs, tokenizer and template of an export


def read_gguf(file: Path, export: Path, into: Path) -> None:
    """Write what transformers reads from the file in float32, with the files beside an export's weights, into a new folder.

    Raises ArtifactError if it does not find every weight in the file.
    """
    config = AutoConfig.from_pretrained(export)
    model, loaded = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32, config=config, output_loading_info=True
    )
    if missing := sorted(loaded["missing_keys"]):
        raise ArtifactError(
            f"{file.name}: transformers does not find {', '.join(missing[:5])} in it, so it cannot be measured"
        )
    into.mkdir()
    for one in export.iterdir():
        if one.is_file() and one.suffix in BESIDE_WEIGHTS and not one.name.endswith(".index.json"):
            shutil.copyfile(one, into / one.name)
    save_model(model, str(into / "model.safetensors"), metadata={"format": "pt"})
