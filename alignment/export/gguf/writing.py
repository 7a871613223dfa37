"""Writes a model folder as GGUF, and proves it: the file is read back and every tensor compared with the folder's.

The forms are those that the package gguf can make and undo by itself, so that each is compared here. Norms and other vectors
stay float32, as llama.cpp has them. Neighbours: architecture.py, vocabulary.py (what else the file says).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from safetensors import safe_open

from alignment.core.errors import ArtifactError, OptionError
from alignment.export.gguf.architecture import Sizes, add_sizes, sizes_of
from alignment.export.gguf.vocabulary import PROBE, RULES, add_vocabulary, nearest_rule

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

GgufType = Literal["auto", "f32", "f16", "bf16", "q8_0"]
OWN_TYPE = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}
# Largest difference of a weight that was read back: what the form rounds away, as a fraction of the largest weight beside it.
ROUNDING = {"F32": 0.0, "BF16": 2**-8, "F16": 2**-10, "Q8_0": 1 / 127}
ABSOLUTE = 1e-7  # float16 has no numbers between 0 and this


@dataclass(frozen=True)
class GgufCheck:
    """What was read back: how many tensors, the largest difference of a weight, and the forms they lie in."""

    tensors: int
    largest_difference: float
    forms: dict[str, int]


def write_gguf(model: Path, file: Path, form: GgufType, rule: str | None = None) -> GgufCheck:
    """Write a model folder as one GGUF file, whole or not at all, and read it back.

    rule: llama.cpp's name of the splitting rule, where the tokenizer's own is none of llama.cpp's.
    Raises ArtifactError if the model cannot be written so, or if what is read back differs; OptionError without the package.
    """
    gguf = _package()
    from transformers import AutoConfig, AutoTokenizer

    sizes, tokenizer = sizes_of(AutoConfig.from_pretrained(model)), AutoTokenizer.from_pretrained(model)
    chosen = rule or _exact_rule(tokenizer)
    weights = model_weights(model)
    form = form if form != "auto" else OWN_TYPE[next(weights)[1].dtype]  # type: ignore[assignment]
    partial = file.with_name(f".{file.name}.unfinished")
    writer = gguf.GGUFWriter(partial, sizes.architecture)
    writer.add_name(model.name)
    add_sizes(writer, sizes)
    add_vocabulary(writer, tokenizer, sizes.vocabulary, chosen)
    writer.add_file_type(_file_type(form))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for name, tensor in model_weights(model):
        values, kind = _as_stored(_as_floats(name, tensor, sizes), form)
        writer.add_tensor(_their_name(name, sizes), values, raw_dtype=kind)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        found = check_gguf(model, partial)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return found


def check_gguf(model: Path, file: Path) -> GgufCheck:
    """Read a GGUF file back and compare every tensor, and the tokens, with the folder's. Raises ArtifactError that names one."""
    gguf = _package()
    from transformers import AutoConfig, AutoTokenizer

    sizes, reader = sizes_of(AutoConfig.from_pretrained(model)), gguf.GGUFReader(file)
    found = {tensor.name: tensor for tensor in reader.tensors}
    forms: dict[str, int] = {}
    largest, names = 0.0, set()
    for name, tensor in model_weights(model):
        theirs = _their_name(name, sizes)
        names.add(theirs)
        if theirs not in found:
            raise ArtifactError(f"{file}: {theirs} is missing, which is {name} in {model}")
        read, kind = found[theirs], found[theirs].tensor_type.name
        values = gguf.dequantize(read.data, read.tensor_type)
        largest = max(largest, _difference(f"{file}: {theirs}", values, _as_floats(name, tensor, sizes), kind))
        forms[kind] = forms.get(kind, 0) + 1
    if set(found) != names:
        raise ArtifactError(f"{file}: has {', '.join(sorted(set(found) - names)[:3])}, which {model} does not have")
    _refuse_other_tokens(
        file, reader.get_field("tokenizer.ggml.tokens").contents(), AutoTokenizer.from_pretrained(model)
    )
    return GgufCheck(len(names), largest, forms)


def model_weights(model: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights of a folder's safetensors, one at a time."""
    for path in sorted(model.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in sorted(file.keys()):
                yield name, file.get_tensor(name)


def _exact_rule(tokenizer: "PreTrainedTokenizerBase") -> str:
    nearest = nearest_rule(tokenizer)
    if not nearest.exact:
        raise ArtifactError(
            f"llama.cpp has no name for the rule by which this tokenizer splits text; the nearest is {nearest.name}, which gives "
            f"other ids in {len(PROBE) - nearest.same} of {len(PROBE)} texts. Write --gguf-splitting {nearest.name} if texts of "
            f"yours are split alike by it (known: {', '.join(RULES)}), or leave --gguf out"
        )
    return nearest.name


def _as_floats(name: str, tensor: torch.Tensor, sizes: Sizes) -> np.ndarray:
    """A weight in float32, with the rows of q and k in llama.cpp's order."""
    values: np.ndarray = tensor.to(torch.float32).numpy()
    if sizes.permutes and name.endswith(("q_proj.weight", "k_proj.weight", "q_proj.bias", "k_proj.bias")):
        heads = sizes.heads if "q_proj" in name else sizes.key_value_heads
        halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
        values = np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))
    return values


def _as_stored(values: np.ndarray, form: str) -> tuple[np.ndarray, object]:
    """The bytes of a weight in its form, and the form: a row that blocks of 32 do not fill stays float16."""
    gguf = _package()
    kinds = gguf.GGMLQuantizationType
    kind = kinds.F32 if values.ndim == 1 else kinds[form.upper()]
    if kind == kinds.Q8_0 and values.shape[-1] % 32:
        kind = kinds.F16
    return gguf.quantize(values, kind), kind


def _difference(where: str, read: np.ndarray, expected: np.ndarray, kind: str) -> float:
    """The largest difference of a weight. Raises ArtifactError if it is more than the form rounds away."""
    if read.shape != expected.shape:
        raise ArtifactError(f"{where} has shape {read.shape}, and the folder's {expected.shape}")
    difference = np.abs(read.astype(np.float64) - expected)
    beside = np.abs(expected) if kind != "Q8_0" else _block_largest(expected)
    if not bool((difference <= ROUNDING[kind] * beside + ABSOLUTE).all()):
        raise ArtifactError(f"{where} differs from the folder's by {difference.max():.2g}, more than {kind} rounds")
    return float(difference.max(initial=0.0))


def _block_largest(values: np.ndarray) -> np.ndarray:
    blocks = np.abs(values).reshape(-1, 32)
    return np.broadcast_to(blocks.max(axis=1, keepdims=True), blocks.shape).reshape(values.shape)


def _refuse_other_tokens(file: Path, tokens: list[str], tokenizer: "PreTrainedTokenizerBase") -> None:
    for token, token_id in tokenizer.get_vocab().items():
        if tokens[token_id] != token:
            raise ArtifactError(f"{file}: token {token_id} is {tokens[token_id]!r}, and the folder's {token!r}")


def _their_name(name: str, sizes: Sizes) -> str:
    """llama.cpp's name of a weight. Raises ArtifactError if it has none: the file would lack it."""
    gguf = _package()
    architecture = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == sizes.architecture)
    found = gguf.get_tensor_name_map(architecture, sizes.layers).get_name(name, try_suffixes=(".weight", ".bias"))
    if found is None:
        raise ArtifactError(f"llama.cpp has no name for the weight {name} in a {sizes.architecture}")
    return str(found)


def _file_type(form: str) -> int:
    types = _package().LlamaFileType
    return int(types.ALL_F32 if form == "f32" else types[f"MOSTLY_{form.upper()}"])


def _package() -> ModuleType:
    try:
        import gguf
    except ImportError as error:
        raise OptionError("--gguf needs the package gguf: pip install 'alignment[gguf]'") from error
    return gguf
