"""The sizes of a decoder that memory and time depend on, from its config.json, without torch and without weights.

A hub id's config comes from the local cache or the hub; Qwen3's are known without a network. Neighbours: memory.py and
duration.py (what follows from them), checks/model/files.py (other facts of a folder).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Of the config.json of Qwen/Qwen3-*: hidden, layers, query heads, key heads, MLP, tied; experts: count, active, their MLP.
_QWEN3: dict[str, tuple[int, int, int, int, int, bool]] = {
    "0.6B": (1024, 28, 16, 8, 3072, True),
    "1.7B": (2048, 28, 16, 8, 6144, True),
    "4B": (2560, 36, 32, 8, 9728, True),
    "8B": (4096, 36, 32, 8, 12288, False),
    "14B": (5120, 40, 40, 8, 17408, False),
    "32B": (5120, 64, 64, 8, 25600, False),
    "30B-A3B": (2048, 48, 32, 4, 6144, False),
}
SECONDS = 5.0  # that the hub has to answer in
_EXPERTS = {"30B-A3B": {"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768}}


@dataclass(frozen=True)
class Shape:
    """A decoder of Llama's kind: each layer has attention with grouped keys and a gated MLP, or experts of it."""

    hidden: int
    layers: int
    vocabulary: int
    query_width: int  # heads times their size
    key_width: int
    mlp: int  # width of the MLP, or of all experts that one token takes
    experts: int = 1  # whose MLPs there are for each one that a token takes, as a multiple
    tied: bool = False
    heads: int = 1
    key_heads: int = 1
    head_norms: int = 0  # parameters of a layer's norms of queries and keys

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> "Shape":
        """From a config.json. Raises KeyError for one without the sizes of a decoder."""
        config = config.get("text_config") or config
        heads = int(config["num_attention_heads"])
        size = int(config.get("head_dim") or config["hidden_size"] // heads)
        keys = int(config.get("num_key_value_heads") or heads)
        count = int(config.get("num_experts") or config.get("num_local_experts") or 0)
        active = int(config.get("num_experts_per_tok") or 1) if count else 1
        width = int(config.get("moe_intermediate_size") or config["intermediate_size"]) if count else 0
        return cls(
            hidden=int(config["hidden_size"]),
            layers=int(config["num_hidden_layers"]),
            vocabulary=int(config["vocab_size"]),
            query_width=heads * size,
            key_width=keys * size,
            mlp=active * width if count else int(config["intermediate_size"]),
            experts=max(1, count // active),
            tied=bool(config.get("tie_word_embeddings", False)),
            heads=heads,
            key_heads=keys,
            head_norms=2 * size if str(config.get("model_type", "")).startswith("qwen3") else 0,
        )

    @property
    def embeddings(self) -> int:
        """Parameters of the input embedding and, where it is another matrix, of the output head."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def layer(self) -> int:
        """Parameters of one layer."""
        attention = 2 * self.hidden * (self.query_width + self.key_width)
        return attention + 3 * self.hidden * self.mlp * self.experts + 2 * self.hidden + self.head_norms

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.embeddings + self.layers * self.layer + self.hidden

    @property
    def active(self) -> int:
        """Parameters that one token is multiplied with: the experts it takes, and the output head."""
        attention = 2 * self.hidden * (self.query_width + self.key_width)
        return self.vocabulary * self.hidden + self.layers * (attention + 3 * self.hidden * self.mlp)

    @property
    def adapted_widths(self) -> int:
        """Input and output widths of a layer's linear maps, summed: what a rank of an adapter costs."""
        attention = 2 * (2 * self.hidden + self.query_width + self.key_width)
        return attention + 3 * (self.hidden + self.mlp) * self.experts


def shape_of(model: str, revision: str | None = None) -> Shape | None:
    """The shape of a model folder or hub id; None where no config can be read or it is no such decoder."""
    found = _of_folder(Path(model)) or _of_cache(model, revision) or _known(model) or _of_hub(model, revision)
    try:
        return None if found is None else Shape.of_config(found)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _of_folder(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _of_cache(model: str, revision: str | None) -> dict[str, Any] | None:
    """A hub model's config from the local cache."""
    if model.count("/") != 1:
        return None
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(model, "config.json", revision=revision)
    return _of_folder(Path(path).parent) if isinstance(path, str) else None


def _of_hub(model: str, revision: str | None) -> dict[str, Any] | None:
    """A hub model's config from the hub, if it answers within seconds."""
    if model.count("/") != 1 or Path(model).exists():
        return None
    import httpx
    from huggingface_hub import constants, get_token, hf_hub_url

    if constants.HF_HUB_OFFLINE:
        return None
    url, token = hf_hub_url(model, "config.json", revision=revision), get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx.get(url, headers=headers, follow_redirects=True, timeout=SECONDS)
        found = answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _known(model: str) -> dict[str, Any] | None:
    """The config of a Qwen3 model by its hub id."""
    owner, _, name = model.partition("/")
    size = name.removeprefix("Qwen3-").removesuffix("-Base")
    if owner != "Qwen" or size not in _QWEN3:
        return None
    hidden, layers, heads, keys, mlp, tied = _QWEN3[size]
    return {
        "model_type": "qwen3", "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": keys,
        "head_dim": 128, "intermediate_size": mlp, "vocab_size": 151_936, "tie_word_embeddings": tied, **_EXPERTS.get(size, {}),
    }  # fmt: skip
