"""FSDP2 where accelerate leaves it out: on a CPU, so that sharded weights are rehearsed on a machine without a GPU.

accelerate 1.15 reads a launcher config's FSDP settings on accelerators alone; on a CPU it trains whole copies, without a word.
Neighbours: launched.py (whether FSDP was asked for; DeepSpeed on a CPU), inference/weights/merged.py (gathers the shards), run/launcher.py (the configs).
"""

from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch.distributed.fsdp import FSDPModule
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from alignment.core.errors import RecipeError
from alignment.training.launched import is_fsdp


def shard_on_cpu() -> dict[str, bool]:
    """Make accelerate's state as FSDP2 over gloo, as the launcher config says. Collective.

    Returns the trainer setting `accelerator_config` with which a trainer takes that state and does not make its own.
    """
    state: Any = Accelerator(cpu=True).state
    state.fsdp_plugin = FullyShardedDataParallelPlugin()  # reads what the launcher has put into the environment
    state.distributed_type = DistributedType.FSDP
    PartialState._shared_state["distributed_type"] = DistributedType.FSDP  # noqa: SLF001  as AcceleratorState does it on a GPU
    return {"use_configured_state": True}


class SumsOverGloo(TrainerCallback):
    """Lets FSDP2 add gradients and divide the sum where there is no GPU: gloo has no mean.

    Raises AlignmentError where the launcher config says FSDP and weights are whole all the same.
    """

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: torch.nn.Module | None = None,
        **_: Any,
    ) -> None:
        """Ask every sharded module for it, once they are sharded."""
        sharded = [] if model is None else [one for one in model.modules() if isinstance(one, FSDPModule)]
        if is_fsdp() and not sharded:
            raise RecipeError(
                "the launcher config says FSDP, and the trainer has whole weights; leave `accelerator_config` and `fsdp` "
                "out of `trainer`"
            )
        for module in sharded if not torch.cuda.is_available() else ():
            module.set_force_sum_reduction_for_comms(True)
