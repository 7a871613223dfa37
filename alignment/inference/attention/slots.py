"""Keys and values of many rows that grow side by side, and attention over them.

Rows of one batch start with prompts of different lengths, end at different steps and make room for the next. So each
row has a slot of its own, filled from its beginning: nothing is padded on the left, a new token is one write, and a row
that has ended is overwritten by the last one that has not. Neighbour: decoding.py, which fills the slots.
"""

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, Cache, PretrainedConfig, PreTrainedModel

from alignment.inference.attention.packed import packed_attention

NAME = "slot_sdpa"


class SlotCache(Cache):
    """Key-value cache of shape (slots, capacity, key heads, head size) per layer.

    Say with `place` where the tokens of the next forward pass go; `attended` slots and `length` tokens are seen by it.
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
        """to: flat places (slot * capacity + position), one per token to keep; source: which token of the pass each is,
        or None for all in order. attended and length: the first so many slots, and so many positions of each, are what
        the pass attends to; 0 for a pass that attends to its own tokens alone."""
        self._to, self._from, self._seen = to, source, (attended, length)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep a pass's keys and values, of shape (B, K, T, D); returns what it attends to, in the same order."""
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

    The query heads that share a key head are attended to as if they were positions, so that keys and values are read
    once and never repeated. attention_mask is (B, 1, 1, T), true where a row has a token. Returns (B, 1, H, D).
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
    """Key heads and head size of a model."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return heads, getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def token_bytes(config: PretrainedConfig, dtype: torch.dtype) -> int:
    """Bytes of keys and values that one token takes in all layers."""
    heads, size = heads_of(config)
    return 2 * config.num_hidden_layers * heads * size * dtype.itemsize


def takes_slots(model: PreTrainedModel) -> bool:
    """Whether every layer of a model attends to all that came before, through transformers' attention interface."""
    config = model.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    windowed = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    plain = kinds == {"full_attention"} and (not windowed or hasattr(config, "layer_types"))
    return plain and getattr(model, "_supports_attention_backend", False) and hasattr(config, "num_hidden_layers")


def register() -> str:
    """Make the attention known to transformers; returns the name that `attn_implementation` takes."""
    AttentionInterface.register(NAME, slot_attention)
    return NAME
