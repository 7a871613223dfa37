"""What autocast makes of a tensor. Neighbours: attention/ and lora_linear.py here, training/fused.py and training/rl/frozen_head.py."""

import torch


def computed_dtype(tensor: torch.Tensor) -> torch.dtype:
    """The type that products with a tensor are computed in: autocast's where that is on for its device, else its own."""
    device = tensor.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else tensor.dtype
