"""Floating-point types as recipes and commands name them, and what `auto` is on a machine."""

from typing import Literal

Precision = Literal["auto", "float32", "bfloat16"]


def resolved(asked: Precision, *, on_gpu: bool) -> Literal["float32", "bfloat16"]:
    """What is computed in: auto is bfloat16 on a GPU and float32 on a CPU."""
    if asked == "auto":
        return "bfloat16" if on_gpu else "float32"
    return asked
