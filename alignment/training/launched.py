"""What accelerate's launcher started this process with. Neighbours: run/launcher.py (the configs), context.py."""

import os


def is_deepspeed() -> bool:
    """Whether accelerate's launcher started this process with DeepSpeed."""
    return _uses("DEEPSPEED")


def is_fsdp() -> bool:
    """Whether accelerate's launcher started this process with FSDP."""
    return _uses("FSDP")


def _uses(what: str) -> bool:
    return os.environ.get(f"ACCELERATE_USE_{what}", "false").lower() == "true"


def reduce_by_gloo() -> None:
    """Let DeepSpeed reduce over torch's own gloo where there is no GPU. Call it before a trainer's settings are made.

    DeepSpeed would compile an operator for it (a minute, g++ and ninja), under a lock file that outlives a killed process:
    every later start then waits for that file for ever, in silence.
    """
    import deepspeed  # a GPU machine need not have it

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
