"""A model in two halves, so that logits are only made where they are needed: hidden states, and the output head.

    T  tokens as the model takes them;  N  positions that are followed by a token with loss;  H  hidden size;  V  vocabulary

Neighbours: trainer.py (who asks), divergences.py, training/packing.py (how rows are laid out).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel
from trl.trainer.utils import maybe_gather_lm_head_ctx

from alignment.training.packing import Layout
from alignment.training.policy import without_adapter

COLUMNS = 8192  # of logits that are made at once


@dataclass(frozen=True)
class Head:
    """An output head: logits are `scale x (states @ weight^T + bias)`, and with a softcap c, c tanh(logits / c) of them."""

    weight: torch.Tensor  # (V, H)
    bias: torch.Tensor | None
    scale: float
    softcap: float | None

    @classmethod
    def of(cls, model: torch.nn.Module) -> "Head":
        """The head of a causal language model, with or without an adapter."""
        found, config = model.get_output_embeddings(), model.config.get_text_config()  # type: ignore[operator, union-attr]
        softcap = getattr(config, "final_logit_softcapping", None)
        return cls(found.weight, getattr(found, "bias", None), _scale(config), softcap)

    @contextmanager
    def whole(self) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        """Weight and bias as every process holds them within this, sharded or not. Collective for sharded weights."""
        with maybe_gather_lm_head_ctx(self.weight, self.bias):
            yield _unsharded(self.weight), None if self.bias is None else _unsharded(self.bias)

    def logits(self, states_NH: torch.Tensor) -> torch.Tensor:
        """Logits in float32, (N, V), without gradient. Collective for sharded weights."""
        with torch.no_grad(), self.whole() as (weight_VH, bias_V):
            # In float32, as the fused loss has them, and without a float32 copy of the whole matrix.
            parts = [states_NH.float() @ part_CH.float().T for part_CH in weight_VH.split(COLUMNS)]
            found_NV = torch.cat(parts, dim=-1)
            found_NV = found_NV if bias_V is None else found_NV + bias_V.float()
        return self.scaled(found_NV)

    def scaled(self, products: torch.Tensor) -> torch.Tensor:
        """Logits from products of states and weight."""
        products = products * self.scale
        return products if self.softcap is None else self.softcap * torch.tanh(products / self.softcap)


def _unsharded(tensor: torch.Tensor) -> torch.Tensor:
    """The whole of a tensor that FSDP2 has sharded; any other as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _scale(config: object) -> float:
    """What logits are multiplied by, under the names of the architectures that do it (as in TRL 1.16)."""
    for name in ("logit_scale", "output_multiplier", "lm_head_multiplier"):
        if (found := getattr(config, name, None)) is not None:
            return float(found)
    scaling = getattr(config, "logits_scaling", None)  # Granite divides; HyperCLOVA X multiplies
    if scaling is None:
        return 1.0
    return float(scaling) if getattr(config, "model_type", "") == "hyperclovax" else 1.0 / scaling


def states_before(model: torch.nn.Module, laid_out: Layout, mask_BL: torch.Tensor) -> torch.Tensor:
    """The last hidden states from which the tokens that a mask of the padded batch marks are predicted, (N, H)."""
    inner: PreTrainedModel = without_adapter(model)
    states = inner.base_model(**laid_out.model_inputs(), use_cache=False).last_hidden_state
    found_NH: torch.Tensor = states[:, :-1][following(laid_out, mask_BL)]
    return found_NH


def following(laid_out: Layout, mask_BL: torch.Tensor) -> torch.Tensor:
    """Where, as the model takes the rows and without their last column, the next token is one that the mask marks."""
    return laid_out.laid_out(mask_BL)[:, 1:] > 0
