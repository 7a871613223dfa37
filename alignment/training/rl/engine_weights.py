"""What a step's engine gets of the trainer's weights: the adapter alone where it can take it, else everything, merged.

A merge in bfloat16 drops the updates that are smaller than the weights' rounding, at small learning rates most of them:
the engine would sample an unchanged policy under a small log-prob gap. So an engine in bfloat16 takes the adapter alone
where it can, one in float32 takes exact sums, and where neither holds the fraction that arrives is recorded.
Neighbours: rollouts.py (sends them), inference/weights/ (how), report/alarms/training.py (when too little arrives).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from peft import PeftModel

from alignment.inference.weights.merged import Rounding, adapter_weights, merged_weights
from alignment.recipe.blocks.engine import EngineOptions, engine_kind

if TYPE_CHECKING:
    from alignment.training.kinds.grpo import GrpoStage


class EngineWeights:
    """The trainer's weights as an iterator for each transfer, by the form that the engine was started for."""

    def __init__(self, model: torch.nn.Module, dtype: torch.dtype | None = None, *, adapter: bool = False) -> None:
        self._model, self._dtype, self._adapter = model, dtype, adapter
        self.rounding = Rounding()

    def __call__(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Weights under the names that the engine knows. Collective for sharded weights."""
        if self._adapter:
            return adapter_weights(self._model)
        self.rounding = Rounding()
        return merged_weights(self._model, self._dtype, self.rounding)

    def for_stage(self, stage: "GrpoStage") -> "EngineWeights":
        """In the form for this stage's engine."""
        if not isinstance(self._model, PeftModel):
            return self
        exact = _dtype(stage.rollout.engine) == torch.float32
        return EngineWeights(self._model, torch.float32 if exact else None, adapter=self.why_merged(stage) is None)

    def why_merged(self, stage: "GrpoStage") -> str | None:
        """Why the adapter is merged for the engine, or None if it is sent alone. `not needed` without an adapter."""
        options = stage.rollout.engine
        if not isinstance(self._model, PeftModel) or stage.lora is None:
            return "there is no adapter"
        way = getattr(options, "weight_transfer", None)
        if way in ("shm", "tcp"):
            return f"weight_transfer is {way}"
        if _dtype(options) == torch.float32 and way != "lora":
            return "the engine computes in float32, in which nothing is lost"
        if stage.lora.quantise:
            return "the engine has no base in the same 4 bits"
        if getattr(options, "endpoints", None):
            return "servers that run already do not see this machine's files"
        refused = engine_kind(options.type).adapter_fault(self.config.to_dict())
        return refused and f"engine {options.type}: {refused}"

    @property
    def config(self) -> Any:
        """PEFT's settings of the trained adapter."""
        return self._model.peft_config["default"]


def starts_the_same(stage: "GrpoStage", *, adapter: bool) -> bool:
    """Whether the engine is started from the weights that the trainer starts from, so that sending them changes nothing."""
    lora = stage.lora
    return lora is None or (lora.quantise is None and not (adapter and lora.adapter == "continue"))


def _dtype(options: EngineOptions) -> torch.dtype:
    found: torch.dtype = getattr(torch, options.resolved_dtype(on_gpu=torch.cuda.is_available()))
    return found
