"""The weights of a policy as a checkpoint has them: adapters folded in, 4-bit weights written out, shards gathered.

Sums are made in float32 and rounded once. Everything that leaves a trainer or an adapter comes through here: output
folders, engines, `alignment merge`. Neighbours: transfer.py (takes them into an engine), inference/adapters.py
(adapters on disk).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from peft.tuners.lora import LoraLayer, ParamWrapper
from peft.tuners.trainable_tokens import TrainableTokensLayer
from peft.utils.integrations import dequantize_bnb_weight
from peft.utils.other import ModulesToSaveWrapper

from alignment.inference.weights.gathered import gathered, parameters_of


@dataclass
class Rounding:
    """How many weights an adapter changes, and how many are still changed once they are rounded to a coarser type."""

    updated: int = 0
    changed: int = 0

    @property
    def kept(self) -> float | None:
        """The fraction of updated weights that is changed after rounding; None where nothing was updated or counted."""
        return self.changed / self.updated if self.updated else None

    def count(self, before: torch.Tensor, exact: torch.Tensor, rounded: torch.Tensor) -> None:
        """Add one matrix: as it was, with its adapter in float32, and rounded."""
        self.updated += int((exact != before.float()).sum())
        self.changed += int((rounded != before.to(rounded.dtype)).sum())


_PARTS = ("lora_A", "lora_B", "lora_embedding", "lora_magnitude", "trainable_tokens")  # of parameters' names
_WRAPPED = ("base_layer", "token_adapter", "modules_to_save", "original_module")


def merged_weights(
    model: torch.nn.Module, dtype: torch.dtype | None = None, rounding: Rounding | None = None
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every weight of the policy with its checkpoint name, adapters merged, one at a time.

    dtype: of all weights in place of their own, so that an engine that computes in float32 gets what the adapter really
    adds. rounding: counts what coarser types keep of an adapter's updates. Under ZeRO-3 and FSDP2 each weight is gathered,
    yielded and released, so every rank must consume the whole iterator.
    """
    modules = dict(model.named_modules())
    for name in [name for name, _ in model.named_parameters()]:
        if is_adapter_part(name) or _is_replaced(name, modules):
            continue
        owners = [modules[owner] for owner in _owners(name)]
        around = next((owner for owner in owners if isinstance(owner, (TrainableTokensLayer, LoraLayer))), None)
        holder, _, own = name.rpartition(".")
        held = [(modules[holder], own)] if around is None else parameters_of(around)
        with gathered(held), torch.no_grad():
            whole = _written_out(modules[holder].get_parameter(own))
            weight = whole
            for owner in owners:
                if isinstance(owner, TrainableTokensLayer):
                    weight = owner.get_merged_weights(list(owner.active_adapters))
                elif isinstance(owner, LoraLayer) and _adapts(owner, name):
                    weight = _with_adapters(owner, weight.float())
            result = weight.to(dtype or whole.dtype)
            if rounding is not None and weight is not whole and result.dtype != torch.float32:
                rounding.count(whole, weight, result)
            yield _checkpoint_name(name), result


def adapter_weights(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The adapter's own weights by their names in the model: matrices, trained tokens and modules that are trained whole.

    One that is shared comes under each of its names. Collective as `merged_weights`.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    for name in [name for name, _ in model.named_parameters(remove_duplicate=False)]:
        if is_adapter_part(name) or (".modules_to_save." in name and not _is_replaced(name, modules)):
            holder, _, own = name.rpartition(".")
            with gathered([(modules[holder], own)]):
                yield name, modules[holder].get_parameter(own)


def is_adapter_part(name: str) -> bool:
    """Whether a parameter is one of an adapter's matrices or trained tokens, by its name."""
    return any(part in name for part in _PARTS)


def _with_adapters(layer: LoraLayer, weight: torch.Tensor) -> torch.Tensor:
    """A weight (float32) with its active adapters: W + s BA (arXiv 2106.09685), with DoRA's magnitude m (W + s BA) / |W + s BA|
    (arXiv 2402.09353, equation 5)."""
    for one in layer.active_adapters:
        if one not in layer.scaling:
            continue
        weight = weight + _update(layer, one)
        if one in layer.lora_magnitude_vector:
            magnitude = layer.lora_magnitude_vector[one]
            along = 0 if magnitude.fan_in_fan_out else 1
            factor = magnitude.weight.float() / torch.linalg.norm(weight, dim=along)
            weight = weight * factor.unsqueeze(along)
    return weight


def _update(layer: LoraLayer, adapter: str) -> torch.Tensor:
    """What an adapter adds to its weight, s BA in float32; PEFT makes the product in the adapter's own dtype."""
    if isinstance(layer, ParamWrapper) or not isinstance(layer.get_base_layer(), torch.nn.Linear):
        return layer.get_delta_weight(adapter).float()
    return layer.lora_B[adapter].weight.float() @ layer.lora_A[adapter].weight.float() * layer.scaling[adapter]


def _written_out(parameter: torch.nn.Parameter) -> torch.Tensor:
    """A weight as it is computed with: of one in 4 bits, the values that its codes stand for."""
    if hasattr(parameter, "quant_state"):
        return dequantize_bnb_weight(parameter).detach()
    return parameter.detach()


def _owners(name: str) -> list[str]:
    """The modules that PEFT has put around a parameter's own, the outermost first: experts have one for each matrix."""
    parts = name.split(".")
    return [".".join(parts[:place]) for place, part in enumerate(parts) if part == "base_layer"]


def _adapts(layer: LoraLayer, name: str) -> bool:
    """Whether an adapter is one of this parameter: of a linear layer's weight, or of the matrix of experts it names."""
    return name.endswith(f".{layer.parameter_name if isinstance(layer, ParamWrapper) else 'weight'}")


def _is_replaced(name: str, modules: dict[str, torch.nn.Module]) -> bool:
    """Whether another parameter is computed with in place of this one: a module's that an adapter trains whole."""
    before, original, _ = name.rpartition(".original_module.")
    if original and isinstance(modules.get(before), ModulesToSaveWrapper):
        return bool(modules[before].active_adapters)
    before, saved, rest = name.rpartition(".modules_to_save.")
    return bool(saved) and rest.partition(".")[0] not in modules[before].active_adapters


def _checkpoint_name(name: str) -> str:
    """A parameter's name in a checkpoint, without what PEFT and a wrapper have put into it."""
    bare = name.removeprefix("module.").removeprefix("base_model.model.")
    outer, saved, rest = bare.rpartition(".modules_to_save.")
    bare = f"{outer}.{rest.partition('.')[2]}" if saved else bare
    return ".".join(part for part in bare.split(".") if part not in _WRAPPED)
