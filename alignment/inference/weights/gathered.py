"""Parameters that lie in shards, whole for a moment: DeepSpeed's of ZeRO-3, and FSDP2's distributed tensors.

Neighbours: merged.py (reads weights), unsharded.py (models that are not to be sharded).
"""

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch.distributed.tensor import DTensor

Held = tuple[torch.nn.Module, str]  # a parameter: the module that holds it, and its name there


def parameters_of(module: torch.nn.Module) -> list[Held]:
    """Every parameter of a module and of the modules in it."""
    return [(inner, name) for inner in module.modules() for name, _ in inner.named_parameters(recurse=False)]


@contextlib.contextmanager
def gathered(held: Sequence[Held], changed_on: int | None = None) -> Iterator[None]:
    """Parameters are whole inside, on every rank. Collective for shards, a no-op for whole ones.

    Under FSDP2 a module then has another parameter of that name, so it has to be asked for inside.

    changed_on: the rank whose changes ZeRO-3's shards take over; None: nobody's. FSDP2's shards take over none.
    """
    parameters = [module.get_parameter(name) for module, name in held]
    if any(hasattr(parameter, "ds_id") for parameter in parameters):
        import deepspeed

        with deepspeed.zero.GatheredParameters(parameters, modifier_rank=changed_on):
            yield
    else:
        with contextlib.ExitStack() as shards:
            for (module, name), parameter in zip(held, parameters, strict=True):
                if isinstance(parameter, DTensor):
                    shards.enter_context(_whole(module, name, parameter))
            yield


@contextlib.contextmanager
def _whole(module: torch.nn.Module, name: str, shard: DTensor) -> Iterator[None]:
    """A module's parameter in place of the shard that it is given back."""
    held = module._parameters  # noqa: SLF001  as FSDP2 does it: setattr would run PEFT's and FSDP2's own hooks
    whole = shard.detach().full_tensor()
    held[name] = torch.nn.Parameter(whole, requires_grad=False)
    try:
        yield
    finally:
        held[name] = shard  # type: ignore[assignment]  # a parameter, of FSDP2's class
