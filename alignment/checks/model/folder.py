"""What a model folder's files say of it, read without torch: config.json, the tokenizer's files, headers of safetensors.

Neighbours: files.py (whether they can be read at all), templates.py and commands/model/ (what asks).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from alignment.checks.model.files import safetensors_header, weight_files
from alignment.core.errors import AlignmentError
from alignment.core.files import json_or_empty
from alignment.core.resources import model_place
from alignment.core.vocabulary import ATTENTION_LAYERS
from alignment.records.adapter import base_of, is_adapter_alone

TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")


@dataclass(frozen=True)
class ModelFolder:
    """A model folder. Files that are missing or damaged read as empty."""

    path: Path

    @classmethod
    def of(cls, model: str) -> "ModelFolder":
        """The folder of a recipe's `model`, of an adapter's base; of a hub id, one that is not there."""
        folder = Path(model_place(model))
        try:
            return cls(Path(base_of(folder)) if is_adapter_alone(folder) else folder)
        except AlignmentError:
            return cls(folder)  # the check of the model's files says that the base is gone

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """config.json."""
        return json_or_empty(self.path / "config.json")

    @cached_property
    def text_config(self) -> Mapping[str, Any]:
        """The part of config.json that describes the language model, where a model has several parts."""
        inner = self.config.get("text_config")
        return inner if isinstance(inner, dict) else self.config

    @property
    def family(self) -> str:
        """transformers' name of the architecture, such as `llama`."""
        return str(self.config.get("model_type", ""))

    @cached_property
    def tensors(self) -> dict[str, dict[str, Any]]:
        """dtype and shape of every tensor by name; empty where a file is damaged."""
        found: dict[str, dict[str, Any]] = {}
        for path in weight_files(self.path):
            try:
                found |= safetensors_header(path)
            except (OSError, ValueError):
                return {}
        return found

    @cached_property
    def modules(self) -> set[str]:
        """The modules that hold a matrix; empty where the weights cannot be read, which `model_files` reports."""
        return {name.removesuffix(".weight") for name, tensor in self.tensors.items() if len(tensor["shape"]) > 1}

    @property
    def parameters(self) -> int:
        """Number of weights; a head that is tied to the embeddings counts once."""
        return sum(math.prod(tensor["shape"]) for tensor in self.tensors.values())

    @property
    def dtypes(self) -> list[str]:
        """The dtypes of the weights, as safetensors names them."""
        return sorted({str(tensor["dtype"]) for tensor in self.tensors.values()})

    @property
    def tied(self) -> bool:
        """Whether the output head is the embedding matrix: as the config says, or since there is no head."""
        says = self.text_config.get("tie_word_embeddings", self.config.get("tie_word_embeddings"))
        heads = any(name.endswith(("lm_head.weight", "embed_out.weight")) for name in self.tensors)
        return bool(says) if says is not None else bool(self.tensors) and not heads

    @property
    def layer_kinds(self) -> dict[str, int]:
        """Number of layers by kind (`full_attention`, `sliding_attention`, `conv`, ...); empty where the config has no list."""
        kinds = self.text_config.get("layer_types") or self.text_config.get("layers_block_type") or []
        return {str(kind): kinds.count(kind) for kind in dict.fromkeys(kinds)}

    @property
    def stateful_layers(self) -> list[str]:
        """Kinds of layers that carry a state along a row, so that rows cannot be packed."""
        return [kind for kind in self.layer_kinds if kind not in (*ATTENTION_LAYERS, "attention")]

    @property
    def window(self) -> int | None:
        """Positions that sliding attention sees, or None where there is none."""
        size = self.text_config.get("sliding_window")
        uses = self.text_config.get("use_sliding_window", True)
        return int(size) if isinstance(size, int) and uses else None

    @property
    def positions(self) -> int | None:
        """Number of positions; None where the config does not say.

        With scaled rotary embeddings it may be larger than `max_position_embeddings`, if that holds the unscaled number.
        """
        text = self.text_config
        try:
            rotary = text.get("rope_scaling") or text.get("rope_parameters") or {}
            own = int(text["max_position_embeddings"])
            scaled = float(rotary.get("factor") or 1) * int(rotary.get("original_max_position_embeddings") or own)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return max(own, int(scaled))

    @property
    def experts(self) -> int:
        """Experts of a layer; 0 for a dense model."""
        names = ("num_experts", "num_local_experts", "n_routed_experts")
        return next((int(self.text_config[name]) for name in names if self.text_config.get(name)), 0)

    @cached_property
    def tokenizer_config(self) -> Mapping[str, Any]:
        """tokenizer_config.json."""
        return json_or_empty(self.path / "tokenizer_config.json")

    @cached_property
    def added_tokens(self) -> set[str]:
        """The tokens that stand apart from the vocabulary, special ones and others."""
        listed = [one.get("content") for one in self._tokenizer.get("added_tokens", [])]
        decoder = self.tokenizer_config.get("added_tokens_decoder", {})
        listed += [one.get("content") for one in decoder.values()] if isinstance(decoder, dict) else []
        return {str(one) for one in listed if one}

    @cached_property
    def vocabulary(self) -> Mapping[str, int]:
        """Every token with its id, where tokenizer.json can be read."""
        entries = self._tokenizer.get("model", {}).get("vocab", {})
        pairs = entries.items() if isinstance(entries, dict) else ((one[0], at) for at, one in enumerate(entries))
        found = {str(token): int(number) for token, number in pairs}
        return found | {str(one["content"]): int(one["id"]) for one in self._tokenizer.get("added_tokens", [])}

    @cached_property
    def _tokenizer(self) -> Mapping[str, Any]:
        return json_or_empty(self.path / "tokenizer.json")

    def special(self, name: str) -> str | None:
        """A special token by its name in tokenizer_config.json, such as `eos_token`."""
        found = self.tokenizer_config.get(name)
        content = found.get("content") if isinstance(found, dict) else found
        return str(content) if content else None

    @cached_property
    def end_ids(self) -> tuple[int, ...]:
        """The ids at which generation ends by generation_config.json, or else by config.json."""
        for source in (json_or_empty(self.path / "generation_config.json"), self.text_config, self.config):
            found = source.get("eos_token_id")
            if isinstance(found, int):
                return (found,)
            if isinstance(found, list):
                return tuple(int(one) for one in found)
        return ()

    @cached_property
    def template(self) -> str | None:
        """The text of the chat template, as transformers chooses among the folder's; None without one."""
        own = self.path / "chat_template.jinja"
        if own.is_file():
            return own.read_text(encoding="utf-8", errors="replace")
        return next((found for source in self._template_sources() if (found := _template_in(source))), None)

    def _template_sources(self) -> Iterator[Any]:
        yield json_or_empty(self.path / "chat_template.json").get("chat_template")
        yield self.tokenizer_config.get("chat_template")
        for path in sorted((self.path / "additional_chat_templates").glob("*.jinja")):
            yield path.read_text(encoding="utf-8", errors="replace")


def _template_in(found: Any) -> str | None:
    if isinstance(found, list):  # several, by name
        named = {one.get("name"): one.get("template") for one in found if isinstance(one, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else None
