"""A key-value cache with one slot per row for continuous batching, and attention over it.

Rows of a batch have prompts of different lengths and end at different steps. Each row's slot is filled from its start,
so there is no left padding and a new token is one write; the last active row moves into a finished row's slot.
Neighbour: inference/transformers/decoding.py (fills the slots).
"""

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, Cache, PretrainedConfig, PreTrainedModel

from alignment.inference.attention.packed import packed_attention

NAME = "slot_sdpa"


class SlotCache(Cache):
    """Key-value cache of shape (slots, capacity, key heads, head size) per layer.

    Call `place` before each forward pass to say where its tokens go and what it attends to.
    """

    def __init__(self, config: PretrainedConfig, slots: int, capacity: int, like: torch.Tensor) -> None:
        super().__init__(layers=[])
        self.slots, self.capacity = slots, capacity
        shape = (slots * capacity, *heads_of(config))
        self._keys, self._values = (
            [torch.zeros(shape, dtype=like.dtype, device=like.device) for _ in range(config.num_hidden_layers)]
            for _ in range(2)
        )
        self._from: torch.Tensor | None = None
        self._to = torch.empty(0, dtype=torch.long)
        self._seen = (0, 0)

    def place(self, to: torch.Tensor, source: torch.Tensor | None = None, attended: int = 0, length: int = 0) -> None:
        """Set where the next forward pass writes and what it attends to.

        Args:
            to: flat positions (slot * capacity + position), one per token to keep.
            source: index of each kept token in the pass, or None for all in order.
            attended: the pass attends to this many first slots; 0 for its own tokens alone.
            length: and to this many first positions of each.
        """
        self._to, self._from, self._seen = to, source, (attended, length)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store a pass's keys and values, of shape (B, K, T, D); returns the keys and values that it attends to."""
        attended, length = self._seen
        kept = []
        for new_BKTD, held in ((key_states, self._keys[layer_idx]), (value_states, self._values[layer_idx])):
            new_NKD = new_BKTD.transpose(1, 2).flatten(0, 1)
            held.index_copy_(0, self._to, new_NKD if self._from is None else new_NKD[self._from])
            slots_SCKD = held.view(self.slots, self.capacity, *held.shape[1:])
            kept.append(slots_SCKD[:attended, :length].transpose(1, 2) if attended else new_BKTD)
        return kept[0], kept[1]

    def move(self, source: torch.Tensor, to: torch.Tensor, length: int) -> None:
        """Copy the first `length` positions of some slots over others."""
        for held in (*self._keys, *self._values):
            slots_SCKD = held.view(self.slots, self.capacity, *held.shape[1:])
            slots_SCKD[to, :length] = slots_SCKD[source, :length]

    def get_seq_length(self, *_: Any) -> int:
        """Number of positions that the next pass attends to, for transformers' Cache interface."""
        return self._seen[1]


def slot_attention(
    module: torch.nn.Module,
    query_BHTD: torch.Tensor,
    key_BKTD: torch.Tensor,
    value_BKTD: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one new token per row over its slot, or of packed prompts (packed.py).

    The query heads of one key head are treated as positions, so keys and values are read once and never repeated.
    attention_mask is (B, 1, 1, T), true where a row has a token. Returns (B, 1, H, D).
    """
    if attention_mask is None:
        return packed_attention(module, query_BHTD, key_BKTD, value_BKTD, None, **options)
    rows, heads, _, size = query_BHTD.shape
    query_BKGD = query_BHTD.reshape(rows, key_BKTD.shape[1], -1, size)
    attended_BKGD = scaled_dot_product_attention(
        query_BKGD, key_BKTD, value_BKTD, attn_mask=attention_mask, scale=options.get("scaling")
    )
    return attended_BKGD.reshape(rows, 1, heads, size), None


def heads_of(config: PretrainedConfig) -> tuple[int, int]:
    """(key heads, head size) of a model."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return heads, getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def token_bytes(config: PretrainedConfig, dtype: torch.dtype) -> int:
    """Bytes of one token's keys and values in all layers."""
    heads, size = heads_of(config)
    return 2 * config.num_hidden_layers * heads * size * dtype.itemsize


def takes_slots(model: PreTrainedModel) -> bool:
    """Whether every layer of a model has full causal attention, through transformers' attention interface."""
    config = model.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    windowed = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    plain = kinds == {"full_attention"} and (not windowed or hasattr(config, "layer_types"))
    return plain and getattr(model, "_supports_attention_backend", False) and hasattr(config, "num_hidden_layers")


def register() -> str:
    """Register the attention with transformers; returns its name for `attn_implementation`."""
    AttentionInterface.register(NAME, slot_attention)
    return NAME
