"""vLLM's worker on a CPU, with this project's sampling: one random number for each token of a request with a seed.

Named by `--worker-cls`. Neighbours: ../seeded.py (the sampling), plugin.py, gpu_worker.py.
"""

from typing import Any

from vllm.v1.worker.cpu_worker import CPUWorker

from alignment.inference.vllm.seeded import sample_by_inversion
from alignment.inference.vllm.server.plugin import register


class JudgeWorker(CPUWorker):
    """A CPU worker that ends with the server, whose engine vLLM would leave behind where that is killed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        register()
        super().__init__(*arguments, **options)


class RolloutWorker(JudgeWorker):
    """A CPU worker that samples as the in-process engine does, and takes weights."""

    def load_model(self, *, load_dummy_weights: bool = False) -> None:
        """As vLLM's, and then the sampling."""
        super().load_model(load_dummy_weights=load_dummy_weights)
        sample_by_inversion(self)
