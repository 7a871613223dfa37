"""What vLLM loads into each of its processes: our way for weights, and the tie to the process that started it.

An entry point of the group `vllm.general_plugins` names `register`; the worker classes beside it call it too, so that a
checkout that is not installed works. Neighbours: inference/vllm/weights/receiver.py (the weights), cpu_worker.py,
gpu_worker.py.
"""

import os

BACKEND = "alignment"  # of vLLM's --weight-transfer-config
ENDS_WITH_PARENT = "ALIGNMENT_SERVER_ENDS_WITH_PARENT"  # set for servers that a run starts


def register() -> None:
    """Make our weight transfer known to vLLM; in a server that a run started, end with the process above."""
    from vllm.distributed.weight_transfer.factory import WeightTransferEngineFactory

    from alignment.core.process import die_with_parent

    if BACKEND not in WeightTransferEngineFactory._registry:  # noqa: SLF001  it refuses a second time, and has no reader
        WeightTransferEngineFactory.register_engine(
            BACKEND, "alignment.inference.vllm.weights.receiver", "BlockReceiver"
        )
    if os.environ.get(ENDS_WITH_PARENT):
        die_with_parent()
