"""Log-probs of tokens under an output head that is not trained, on a CPU: no whole logits, no product that is not needed.

TRL's head for CPUs makes a dozen copies of a tile of logits, scores prompts as well, computes the logits once more in the
backward pass, and multiplies there in float32. With a frozen head (LoRA), what the hidden state's gradient is made of is
known in the forward pass but for one factor a token. Neighbours: trainer.py (gives a policy this head),
inference/lora_linear.py (the layers below).
"""

import contextlib
import functools
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel
from trl.trainer.utils import FusedCausalLMOutput

from alignment.inference.autocast import computed_dtype

TILE_BYTES = 32 << 20  # of float32 logits at once: about what a processor's cache holds
SCALES = ("logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling", "final_logit_softcapping")


class FrozenHead(torch.autograd.Function):
    """Log-probs (N,) of targets (N,) at a temperature, from hidden states (N, H) and a head's weight (V, H) without gradient."""

    @staticmethod
    def forward(
        ctx: Any, hidden_NH: torch.Tensor, weight_VH: torch.Tensor, target_N: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        """With h a hidden state, w a token's row of the head and p its probability: d log p(t) / dh = w(t) - sum of p w."""
        rows = max(1, TILE_BYTES // (4 * len(weight_VH)))
        logprobs, slopes = [], []
        for hidden_RH, target_R in zip(hidden_NH.split(rows), target_N.split(rows), strict=True):
            logits_RV = torch.nn.functional.linear(hidden_RH, weight_VH).float()
            if temperature != 1:
                logits_RV /= temperature
            chosen_R1 = logits_RV.gather(-1, target_R[:, None])
            highest_R1 = logits_RV.amax(-1, keepdim=True)
            weights_RV = logits_RV.sub_(highest_R1).exp_()
            sums_R1 = weights_RV.sum(-1, keepdim=True)
            logprobs.append((chosen_R1 - highest_R1 - sums_R1.log())[:, 0])
            if ctx.needs_input_grad[0]:
                slope_RV = weights_RV.mul_(-1 / (temperature * sums_R1))
                slope_RV.scatter_add_(-1, target_R[:, None], torch.full_like(chosen_R1, 1 / temperature))
                slopes.append((slope_RV.to(weight_VH.dtype) @ weight_VH).float())
        if slopes:
            ctx.save_for_backward(torch.cat(slopes))
        ctx.dtype = hidden_NH.dtype
        return torch.cat(logprobs)

    @staticmethod
    def backward(ctx: Any, grad_N: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        """Each hidden state's slope, times its log-prob's gradient."""
        (slope_NH,) = ctx.saved_tensors
        return (grad_N[:, None] * slope_NH).to(ctx.dtype), None, None, None


@dataclass
class HeadTemperature:
    """The temperature at which a model with a FrozenHead gives log-probs."""

    value: float

    @contextlib.contextmanager
    def at(self, value: float) -> Iterator[None]:
        """Another temperature for a while."""
        held, self.value = self.value, value
        try:
            yield
        finally:
            self.value = held


def give_frozen_head(model: PreTrainedModel, temperature: float) -> HeadTemperature | None:
    """Compute what TRL's head of a model does (`fused_lm_head=True`) by `FrozenHead`; None where that is not possible.

    It is on a CPU, for a head that is a plain product with a whole weight that is not trained. Entropies are not computed.
    """
    head = model.get_output_embeddings()
    text = model.config.get_text_config()
    scaled = any(getattr(text, name, None) is not None for name in SCALES)
    if type(head) is not torch.nn.Linear or head.bias is not None or scaled:
        return None
    weight_VH = head.weight
    if weight_VH.requires_grad or weight_VH.device.type != "cpu" or type(weight_VH) is not torch.nn.Parameter:
        return None
    with_trl, chosen = model.forward, HeadTemperature(temperature)

    @functools.wraps(type(model).forward)  # `generate` reads the signature
    def forward(self: PreTrainedModel, *args: Any, fused_lm_head: bool = False, **options: Any) -> Any:
        """The model's own, but where TRL asks for log-probs of labels (B, L): FusedCausalLMOutput without entropies."""
        if not fused_lm_head or options.get("output_router_logits") or hasattr(weight_VH, "ds_id"):
            return with_trl(*args, fused_lm_head=fused_lm_head, **options)
        labels_BL = options.pop("labels")[:, 1:]
        hidden_BLH = self.base_model(*args, **options, use_cache=False).last_hidden_state[:, :-1]
        scored_BL = labels_BL != -100
        dtype = computed_dtype(weight_VH)
        with torch.autocast("cpu", enabled=False):
            hidden_NH, target_N = hidden_BLH[scored_BL].to(dtype), labels_BL[scored_BL]
            found_N = FrozenHead.apply(hidden_NH, weight_VH.to(dtype), target_N, chosen.value)
        return FusedCausalLMOutput(log_probs=found_N.new_zeros(scored_BL.shape).masked_scatter(scored_BL, found_N))

    model.forward = types.MethodType(forward, model)  # type: ignore[method-assign]
    return chosen
