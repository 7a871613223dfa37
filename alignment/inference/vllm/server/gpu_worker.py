"""vLLM's worker on a GPU, which takes weights. Named by `--worker-cls`. Neighbours: plugin.py, cpu_worker.py."""

from typing import Any

from vllm.v1.worker.gpu_worker import Worker

from alignment.inference.vllm.server.plugin import register


class RolloutWorker(Worker):
    """A GPU worker that knows our weight transfer; vLLM seeds its rows in a kernel."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        register()
        super().__init__(*arguments, **options)


class JudgeWorker(RolloutWorker):
    """The worker of a server that judges, which ends with it."""
