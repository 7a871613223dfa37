"""Two devices on a machine that has one: tensors are labelled by where they would be, and no operation may mix them.

Entering the guard makes a model's parameters live on "the device"; `.to(model.device)` and factories with a device carry
tensors there, `.cpu()` carries them back. What CUDA refuses with "expected all tensors to be on the same device" raises
MixedDevices here.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

DEVICE, HOST = torch.device("cpu", 0), torch.device("cpu")
# What works on CUDA with an index or a number that is on the host.
INDEXING = {torch.Tensor.__getitem__, torch.Tensor.__setitem__}


class MixedDevices(AssertionError):
    """An operation on tensors of both devices."""


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from (one for item in value.values() for one in _tensors(item))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from (one for item in value for one in _tensors(item))


def on_device(tensor: torch.Tensor) -> bool:
    return getattr(tensor, "is_on_device", False)


def _labelled(value: Any, label: bool) -> Any:
    for tensor in _tensors(value):
        tensor.is_on_device = label  # type: ignore[attr-defined]
    return value


class DeviceGuard(TorchFunctionMode):
    """Holds a model's tensors on the device while it is entered."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        _labelled([*model.parameters(), *model.buffers()], True)
        self.moved = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func == torch.Tensor.device.__get__:  # type: ignore[attr-defined]
            return DEVICE if on_device(args[0]) else HOST
        found = list(_tensors([*args, *kwargs.values()]))
        if func in (torch.Tensor.to, torch.Tensor.cpu):
            return self._carried(func, args, kwargs)
        labels = {on_device(one) for one in found if one.dim() > 0}
        if len(labels) > 1 and not (func in INDEXING and on_device(args[0])):
            raise MixedDevices(f"{getattr(func, '__name__', func)} mixes tensors of host and device")
        wanted = kwargs.get("device")
        label = wanted == DEVICE if wanted is not None else any(map(on_device, found))
        return _labelled(func(*args, **kwargs), label)

    def _carried(self, func: Any, args: Any, kwargs: dict[str, Any]) -> torch.Tensor:
        devices = [one for one in [*args[1:], *kwargs.values()] if isinstance(one, torch.device)]
        label = False if func is torch.Tensor.cpu else devices[0] == DEVICE if devices else on_device(args[0])
        made: torch.Tensor = func(*args, **kwargs)
        if label == on_device(args[0]):
            return made if made is args[0] else _labelled(made, label)
        self.moved += 1
        return _labelled(made.clone() if made is args[0] else made, label)
