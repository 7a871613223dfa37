"""TRL's GRPOTrainer, imported without vLLM.

Its module imports vLLM wherever that is installed, for rollouts which here come from inference/ and never from TRL. That
costs 4 s and 160 MB in each process of a stage. Neighbour: trainer.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from trl import import_utils


@contextmanager
def vllm_hidden() -> Iterator[None]:
    """Within it TRL finds no vLLM; what it imported there stays so, and says so if `use_vllm` is asked of it."""
    found = import_utils.is_vllm_available
    import_utils.is_vllm_available = lambda min_version=None: False
    try:
        yield
    finally:
        import_utils.is_vllm_available = found


with vllm_hidden():
    from trl import GRPOTrainer

__all__ = ["GRPOTrainer"]
