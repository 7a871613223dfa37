"""A linear layer and its LoRA adapter as one operation, where a CPU computes in 16 bits.

PEFT casts a layer's input to the adapter's float32, autocast casts it back, and the adapter's part is scaled and added in passes of
its own: each of a model's layers keeps several copies of its input for the backward pass. Here the second product adds to
the first one's result, and one copy is kept. In float32 PEFT's own layers are used. Neighbours:
inference/vllm/weights/adapter_only.py and training/main.py (whose adapters these are).
"""

import types
from typing import Any

import torch
from peft.tuners.lora.layer import Linear

from alignment.inference.autocast import computed_dtype

HALVES = (torch.bfloat16, torch.float16)


class LoraProduct(torch.autograd.Function):
    """x W' + b + scale (x A') B' for x (N, I), a frozen weight (O, I), a bias (O,) or None, A (R, I) and B (O, R)."""

    @staticmethod
    def forward(
        ctx: Any, x_NI: torch.Tensor, weight_OI: torch.Tensor, bias_O: torch.Tensor | None, a_RI: torch.Tensor,
        b_OR: torch.Tensor, scale: float,
    ) -> torch.Tensor:  # fmt: skip
        """Computed in the type of x; the adapter's weights may be in another."""
        down_RI, up_OR = a_RI.to(x_NI.dtype), (b_OR * scale).to(x_NI.dtype)
        low_NR = x_NI @ down_RI.t()
        ctx.save_for_backward(x_NI, weight_OI, down_RI, up_OR, low_NR)
        ctx.scale, ctx.dtypes = scale, (a_RI.dtype, b_OR.dtype)
        return torch.nn.functional.linear(x_NI, weight_OI, bias_O).addmm_(low_NR, up_OR.t())

    @staticmethod
    def backward(ctx: Any, grad_NO: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        """Gradients of x, A and B, those of the adapter in its own type."""
        x_NI, weight_OI, down_RI, up_OR, low_NR = ctx.saved_tensors
        low_grad_NR = grad_NO @ up_OR
        grad_NI = (grad_NO @ weight_OI).addmm_(low_grad_NR, down_RI) if ctx.needs_input_grad[0] else None
        grad_RI = (low_grad_NR.t() @ x_NI).to(ctx.dtypes[0])
        grad_OR = (grad_NO.t() @ low_NR).to(ctx.dtypes[1]) * ctx.scale
        return grad_NI, None, None, grad_RI, grad_OR, None


def fuse_adapters(model: torch.nn.Module) -> int:
    """Let the LoRA layers of a model compute as one operation wherever that gives the same; returns how many there are."""
    found = [module for module in model.modules() if type(module) is Linear]
    for module in found:
        module.forward = types.MethodType(_forward, module)  # type: ignore[method-assign]
    return len(found)


def _forward(self: Linear, x: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
    """Linear.forward."""
    dtype = computed_dtype(x)
    if args or options or x.device.type != "cpu" or dtype not in HALVES or not _is_plain(self):
        return Linear.forward(self, x, *args, **options)
    name, base = self.active_adapters[0], self.get_base_layer()
    bias_O = None if base.bias is None else base.bias.to(dtype)
    found = LoraProduct.apply(
        x.to(dtype).flatten(0, -2),
        base.weight.to(dtype),
        bias_O,
        self.lora_A[name].weight,
        self.lora_B[name].weight,
        self.scaling[name],
    )
    return found.unflatten(0, x.shape[:-1])  # type: ignore[no-any-return]


def _is_plain(layer: Linear) -> bool:
    """Whether a layer is a frozen matrix that is here in whole, with one adapter of two matrices that is switched on."""
    base, names = layer.get_base_layer(), layer.active_adapters
    if layer.disable_adapters or layer.merged or len(names) != 1 or names[0] not in layer.lora_A:
        return False
    (name,) = names
    drops = layer.training and not isinstance(layer.lora_dropout[name], torch.nn.Identity)
    odd = name in layer.lora_variant or layer.lora_bias[name] or layer.fan_in_fan_out
    held = (base.weight, layer.lora_A[name].weight, layer.lora_B[name].weight)
    whole = all(type(one) is torch.nn.Parameter and not hasattr(one, "ds_id") for one in held)
    frozen = not base.weight.requires_grad and (base.bias is None or not base.bias.requires_grad)
    return whole and frozen and not drops and not odd and type(base) is torch.nn.Linear
