"""Checks that a local model's config, weights and tokenizer fit each other: what does not would be dropped, or fail late.

Neighbours: ../recipe.py (runs the checks), files.py (whether the files can be read), folder.py (reads them).
"""

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from alignment.checks.model.folder import ModelFolder
from alignment.core.resources import EMBEDDED
from alignment.recipe.blocks.lora import EMBEDDINGS
from alignment.recipe.issue import Issue
from alignment.recipe.schema import Recipe

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
_OTHER_PARTS = re.compile(
    r"vision|visual|image|audio|speech|mtp|tower|encoder", re.IGNORECASE
)  # have layers of their own
FURTHER = (
    "num_nextn_predict_layers",
    "mtp_num_hidden_layers",
)  # layers above num_hidden_layers, which a policy does not use


def model_config(recipe: Recipe) -> Iterator[Issue]:
    """A model folder's config is of a causal language model, has all layers of the weights, and rows for special tokens."""
    folder = ModelFolder(Path(recipe.model))
    if recipe.model == EMBEDDED or not folder.config:
        return
    faults = (*_architecture(folder, recipe.trust_remote_code), *_layers(folder), *_special_tokens(folder))
    yield from (Issue(("model",), fault) for fault in faults)


def _architecture(folder: ModelFolder, trusted: bool) -> Iterator[str]:
    known = causal_families()
    if "AutoModelForCausalLM" in (folder.config.get("auto_map") or {}):
        if folder.family not in known and not trusted:
            yield (
                f"{folder.path} comes with code of its own for its architecture ({folder.family}), which would be run; set "
                "`trust_remote_code` in the recipe if you trust it, or choose another model"
            )
    elif known and folder.family and folder.family not in known:
        yield (
            f"{folder.path} is a {folder.family} model, which the installed transformers does not load as a causal language "
            "model; choose another model, or install a version of transformers that has it"
        )


@cache
def causal_families() -> frozenset[str]:
    """The model types that transformers loads as causal language models, read from its source; empty without it."""
    spec = importlib.util.find_spec("transformers")
    if spec is None or spec.origin is None:
        return frozenset()
    file = Path(spec.origin).parent / "models" / "auto" / "modeling_auto.py"
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES":
            pairs = [pair for pair in ast.walk(node.value) if isinstance(pair, ast.Tuple) and len(pair.elts) == 2]
            return frozenset(ast.literal_eval(pair.elts[0]) for pair in pairs)
    return frozenset()


def _layers(folder: ModelFolder) -> Iterator[str]:
    """More layers in the weights than in the config: transformers would drop them and train a shorter model."""
    asked = folder.text_config.get("num_hidden_layers")
    found = [int(one[1]) for name in folder.tensors if not _OTHER_PARTS.search(name) and (one := _LAYER.search(name))]
    further = sum(int(folder.text_config.get(name) or 0) for name in FURTHER)
    if isinstance(asked, int) and found and max(found) + 1 > asked + further:
        yield (
            f"the weights of {folder.path} have {max(found) + 1} layers, and its config.json says num_hidden_layers: {asked}: "
            "the others would be dropped; write the config that the weights were saved with"
        )


def _special_tokens(folder: ModelFolder) -> Iterator[str]:
    """A special token of the tokenizer without a row in the embeddings: the first text with it would end the stage."""
    matrices = [one["shape"][0] for name, one in folder.tensors.items()
                if name.removesuffix(".weight").rpartition(".")[2] in EMBEDDINGS and len(one["shape"]) > 1]  # fmt: skip
    for name in ("bos_token", "eos_token", "pad_token"):
        token = folder.special(name)
        number = folder.vocabulary.get(token or "", -1)
        if matrices and number >= max(matrices):
            yield (
                f"{folder.path}: its {name} {token} has the id {number}, and its embeddings have {max(matrices)} rows; name "
                "another token in tokenizer_config.json, or resize the embeddings (transformers: resize_token_embeddings)"
            )
