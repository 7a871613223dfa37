"""Models that are whole on every rank, while ZeRO-3 trains another one in shards.

transformers asks one global flag whether the models it makes are DeepSpeed's to shard. An engine's own copy of the policy
and the model that is written to disk are not: sharded, the first samples from nothing, and the second, which one rank
makes alone, waits for the others for ever.
"""

import contextlib
from collections.abc import Iterator

from transformers.integrations import deepspeed


@contextlib.contextmanager
def unsharded() -> Iterator[None]:
    """What transformers loads or makes inside is whole, on this rank alone, whatever the launcher config says."""
    held = deepspeed._hf_deepspeed_config_weak_ref  # noqa: SLF001  it can be set, and has no reader
    deepspeed.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        deepspeed._hf_deepspeed_config_weak_ref = held  # noqa: SLF001
