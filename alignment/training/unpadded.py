"""A policy that takes padded batches and computes on none of their padding.

TRL's GRPO trainer pads every prompt on the left and every completion on the right, to the longest of the whole step: of
ragged rows half is padding. The backbone's forward is replaced on the model at hand: rows are laid end to end, attended
to by inference/attention/packed.py, and their hidden states put back where TRL looks for them. Nothing of TRL is changed.
"""

from typing import Any

import torch
from peft import PeftModel
from torch.nn.functional import pad
from transformers import PreTrainedModel


def without_padding(model: torch.nn.Module) -> torch.nn.Module:
    """Make the backbone of a model, loaded with packed attention, leave padding out; returns the model.

    Hidden states of padding come back as zeros. Raises TypeError for a model that has no backbone of its own.
    """
    whole = model.get_base_model() if isinstance(model, PeftModel) else model
    backbone = whole.base_model if isinstance(whole, PreTrainedModel) else None
    if backbone is None or backbone is whole:
        raise TypeError(f"{type(whole).__name__} has no backbone under its head")
    forward = backbone.forward

    def packed(
        input_ids: torch.Tensor | None = None, attention_mask: torch.Tensor | None = None, **options: Any
    ) -> Any:
        """The backbone's forward over padded rows (B, T), computed on their real tokens end to end."""
        if input_ids is None:
            raise ValueError("a policy without padding takes input_ids")
        mask_BT = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        kept = mask_BT.nonzero(as_tuple=True)  # row and column of each token that is no padding
        positions_BT = mask_BT.long().cumsum(dim=1) - 1
        bounds = pad(mask_BT.sum(dim=1).cumsum(dim=0), (1, 0)).to(torch.int32)
        options |= {"position_ids": positions_BT[kept][None], "cu_seq_lens_q": bounds, "use_cache": False}
        found = forward(input_ids=input_ids[kept][None], attention_mask=None, **options)
        hidden_TH = found.last_hidden_state[0]
        found.last_hidden_state = hidden_TH.new_zeros(*input_ids.shape, hidden_TH.shape[-1]).index_put(kept, hidden_TH)
        return found

    backbone.forward = packed
    return model
