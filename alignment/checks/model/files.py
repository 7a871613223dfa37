"""Checks by its files, without loading them, that the recipe's model can be loaded.

Neighbours: ../recipe.py (runs the checks), ../plan.py (reads the model's size from the same headers).
"""

import difflib
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alignment.core.errors import ArtifactError
from alignment.core.files import json_or_empty
from alignment.core.resources import EMBEDDED
from alignment.recipe.issue import Issue
from alignment.recipe.schema import Recipe
from alignment.records.adapter import ADAPTER_CONFIG, base_of, is_adapter_alone

PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
MAX_HEADER = 100_000_000  # bytes; safetensors itself refuses longer headers
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
LOCAL_LOOKS = (".", "~", "models/", "runs/")


def model_files(recipe: Recipe) -> Iterator[Issue]:
    """The model is `embedded`, a folder with config, safetensors and tokenizer, or a hub id; never a pickle."""
    if recipe.revision is not None and (recipe.model == EMBEDDED or Path(recipe.model).is_dir()):
        what = "the embedded model" if recipe.model == EMBEDDED else f"{recipe.model} is a folder, which"
        yield Issue(("revision",), f"{what} has no revisions; leave `revision` out, or write a hub id as `model`")
    if recipe.model != EMBEDDED:
        yield from (Issue(("model",), fault) for fault in _faults(recipe.model))


def _faults(model: str) -> Iterator[str]:
    folder = Path(model)
    if folder.is_file():
        what = "a pickle, which can run code when loaded" if folder.suffix in PICKLED else "a file"
        yield f"{folder} is {what}; a model is a folder with config.json and *.safetensors"
    elif is_adapter_alone(folder):
        yield from _adapter_faults(folder)
    elif folder.is_dir():
        yield from folder_faults(folder)
        yield from _quantised(folder)
    elif not HUB_ID.fullmatch(model) or model.startswith(LOCAL_LOOKS):
        hint = "write `embedded`, a folder beside the recipe, or a hub id such as Qwen/Qwen3-8B-Base"
        misspelt = difflib.get_close_matches(model, [EMBEDDED])
        yield f"there is no folder {model}; {'did you mean `embedded`?' if misspelt else hint}"


def _adapter_faults(folder: Path) -> Iterator[str]:
    """An adapter folder has its weights as safetensors, and its base can be found."""
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file():
        yield f"{folder} is an adapter without {weights.name}; save it as safetensors (PEFT: save_pretrained)"
    config = json_or_empty(folder / ADAPTER_CONFIG)
    method, task = config.get("peft_type", "LORA"), config.get("task_type") or "CAUSAL_LM"
    if method != "LORA" or task != "CAUSAL_LM":
        yield (
            f"{folder} is an adapter of another kind (peft_type {method}, task_type {task}); only LoRA adapters of causal "
            "language models are merged and trained on; merge it with PEFT, and write the merged model"
        )
    try:
        base = base_of(folder)
    except ArtifactError as error:
        yield str(error)
        return
    if Path(base).is_dir():
        yield from folder_faults(Path(base))
        yield from _quantised(Path(base))
    elif not HUB_ID.fullmatch(base) or base.startswith(LOCAL_LOOKS):
        yield f"{folder} is an adapter on {base}, which is not there; write its folder as base_model_name_or_path"


def weight_files(folder: Path) -> list[Path]:
    """The safetensors of a model folder that transformers reads: one file, else the shards of its index, else all."""
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    listed = json_or_empty(folder / INDEX).get("weight_map")
    shards = sorted(set(map(str, listed.values()))) if isinstance(listed, dict) else []
    return [folder / name for name in shards] or sorted(folder.glob("*.safetensors"))


def folder_faults(folder: Path) -> Iterator[str]:
    """What is wrong with a model folder, by its files."""
    weights = [path for path in weight_files(folder) if path.is_file()]
    yield from _forms_of_weights(folder)
    ends = folder / "generation_config.json"
    if ends.is_file() and not _is_json(ends):
        yield f"{ends} is damaged, and says where answers end; download it again, or remove it"
    if not (folder / "config.json").is_file():
        yield f"{folder} has no config.json, so it is not a model folder; write the folder that save_pretrained made"
    else:
        fault = _config_fault(folder / "config.json")
        if fault is not None:
            yield fault
    if not weights:
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLED)
        found = f"only {', '.join(pickles)}, pickles that can run code when loaded" if pickles else "no weights"
        yield f"{folder} holds {found}; convert it to safetensors (transformers: save_pretrained) first"
    for path in weights:
        try:
            safetensors_header(path)
        except ValueError as error:
            yield f"{error}; download or convert it again"
    if weights and not any((folder / name).is_file() for name in TOKENIZERS):
        yield f"{folder} has no tokenizer ({', '.join(TOKENIZERS)}); copy the one of the model it was made from into it"


def _forms_of_weights(folder: Path) -> Iterator[str]:
    """One file or the shards of an index, and not both or neither: transformers would read other weights, or none."""
    if (folder / ADAPTER_CONFIG).is_file():
        yield (
            f"{folder} has {ADAPTER_CONFIG} beside a model's weights, and transformers would load the adapter's base in their "
            "place; move one of the two into a folder of its own"
        )
    present, single, indexed = (
        sorted(folder.glob("*.safetensors")),
        (folder / SINGLE).is_file(),
        (folder / INDEX).is_file(),
    )
    if present and not single and not indexed:
        yield f"{folder} has {present[0].name} and neither {SINGLE} nor {INDEX}; download it again, or rename a single file"
    elif single and indexed:
        yield f"{folder} has {SINGLE} beside {INDEX}, and only the first would be read; remove the one that is not meant"
    for path in weight_files(folder):
        if not path.is_file():
            yield f"{path} is missing, and {INDEX} names it; download the model again"


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def _quantised(folder: Path) -> Iterator[str]:
    """Weights that were quantised for inference (fp8, AWQ, GPTQ, ...) cannot be trained, nor merged with an adapter."""
    quantisation = json_or_empty(folder / "config.json").get("quantization_config")
    if isinstance(quantisation, dict):
        method = quantisation.get("quant_method", "of a kind that it does not name")
        yield (
            f"the weights of {folder} are quantised ({method}), for inference alone: their gradients are none, or those of "
            "other weights; write the model that it was made from, in bfloat16 or float32, and `lora: {quantise: nf4}` where "
            "memory is short"
        )


def _config_fault(path: Path) -> str | None:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return f"{path} is damaged: {error}; download or convert the model again"
    if not isinstance(config, dict) or "model_type" not in config:
        return f"{path} is not a model's config: it has no model_type; download or convert the model again"
    return None


def safetensors_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: `{tensor: {dtype, shape, data_offsets}}`, without the tensors.

    Raises ValueError that names the file if it is damaged or shorter than its header says.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > MAX_HEADER:
                raise ValueError("the length of its header is impossible")
            header: dict[str, Any] = json.loads(file.read(length)) if length <= size else {}
        tensors = {name: tensor for name, tensor in header.items() if name != "__metadata__"}
        whole = 8 + length + max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: it has no safetensors header") from error
    if size < whole:
        raise ValueError(f"{path} is truncated: it has {size} bytes, and its header says {whole}")
    return tensors
