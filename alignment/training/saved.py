"""Proof that what a stage leaves is the policy that it trained, as anybody's transformers loads it.

Every weight of the folder must be used, none may be missing, and a probe's logits must be the trainer's. Adapters on
matrices that are shared, or under names that the architecture does not have, would otherwise leave another policy, and
the next stage would start from it. Neighbours: policy.py (writes the folder), main.py (asks for the proof).
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from alignment.core.errors import ArtifactError
from alignment.inference.adapters import load_adapted
from alignment.inference.weights.unsharded import unsharded
from alignment.records.adapter import is_adapter_alone
from alignment.training.packing import row_inputs

PROBE_TOKENS = 64
CLOSE = {
    torch.float32: 2e-3,
    torch.float16: 3e-2,
    torch.bfloat16: 8e-2,
}  # mean distance, in standard deviations of logits


def probe_logits(trainer: Any) -> torch.Tensor:
    """The trained policy's logits (T, V) on a fixed probe, float32 on the CPU. Collective: every rank must call it.

    Computed in the type of the weights, as whoever loads them computes, and not in the one that training rounds to.
    """
    model = trainer.model
    ids = probe_ids(model.config.get_text_config().vocab_size).to(trainer.accelerator.device)
    inputs = row_inputs(model, ids)
    training = model.training
    model.eval()
    with _without_autocast(model):
        logits_TV = _logits(model, inputs)
    model.train(training)
    return logits_TV


@contextlib.contextmanager
def _without_autocast(model: torch.nn.Module) -> Iterator[None]:
    """The forward pass that a model had before accelerate put autocast around it; no other has `_original_forward`."""
    around, before = vars(model).get("forward"), vars(model).get("_original_forward")
    if before is None:
        yield
        return
    model.forward = before
    try:
        yield
    finally:
        model.forward = around


def loaded_logits(model: torch.nn.Module) -> torch.Tensor:
    """A loaded policy's logits (T, V) on the same probe, float32."""
    return _logits(model.eval(), {"input_ids": probe_ids(model.config.get_text_config().vocab_size)})


def _logits(model: torch.nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
    with torch.no_grad():
        logits_TV: torch.Tensor = model(**inputs, use_cache=False).logits[0].float().cpu()
    return logits_TV


def probe_ids(vocabulary: int) -> torch.Tensor:
    """The probe: token ids (1, T), the same for every model with this vocabulary."""
    return torch.randint(vocabulary, (1, PROBE_TOKENS), generator=torch.Generator().manual_seed(0))


def rounded_to(trainer: Any) -> torch.dtype | None:
    """What the trainer rounds weights to whenever it computes, on the probe too; None where they are taken as they are.

    FSDP2 rounds them while it gathers them, which no context can turn off. An adapter's base may be finer on disk than here.
    """
    accelerator = trainer.accelerator
    if accelerator.is_fsdp2 and accelerator.mixed_precision != "no":
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(accelerator.mixed_precision)
    held: torch.dtype = next(trainer.model.parameters()).dtype
    return held if held in (torch.bfloat16, torch.float16) else None


def refuse_another_policy(
    output: Path,
    trained_TV: torch.Tensor,
    loads: Any = AutoModelForCausalLM,
    *,
    trust_remote_code: bool = False,
    rounded: torch.dtype | None = None,
) -> float:
    """Raise ArtifactError if the folder does not load whole in plain transformers, or computes something else.

    loads: the class of transformers that loads it. rounded: see `rounded_to`. Returns the mean distance of its logits from the trained policy's, in
    standard deviations. A folder with an adapter alone is loaded by PEFT on its base.
    """
    if is_adapter_alone(output):
        with unsharded():
            adapted = load_adapted(str(output), dtype="auto", trust_remote_code=trust_remote_code)
        return _refused_distance(output, adapted, trained_TV, rounded)
    with unsharded():
        model, report = loads.from_pretrained(
            output, dtype="auto", use_safetensors=True, trust_remote_code=trust_remote_code, output_loading_info=True
        )
    faults = [f"{what} {sorted(map(str, report[key]))[:3]}" for key, what in LOADING.items() if report.get(key)]
    if faults:
        raise ArtifactError(
            f"{output}: transformers does not load what was trained: {'; '.join(faults)}. {_WHAT_TO_DO}"
        )
    return _refused_distance(output, model, trained_TV, rounded)


def _refused_distance(
    output: Path, model: torch.nn.Module, trained_TV: torch.Tensor, rounded: torch.dtype | None
) -> float:
    """The distance of a loaded policy's logits on the probe from the trainer's (T, V). Raises ArtifactError if they differ."""
    # A reward model says one number of the whole probe, which has no deviation: its size stands for it.
    spread = trained_TV.std() if trained_TV.numel() > 1 else trained_TV.abs().mean().clamp(min=1)
    distance = float((loaded_logits(model) - trained_TV).abs().mean() / spread.clamp(min=1e-6))
    allowed = CLOSE.get(rounded or next(model.parameters()).dtype, CLOSE[torch.bfloat16])
    if not distance <= allowed:
        raise ArtifactError(
            f"{output} is not the policy that was trained: on a probe its logits differ by {distance:.2g} standard "
            f"deviations, and rounding explains {allowed:g}. {_WHAT_TO_DO}"
        )
    return distance


LOADING = {
    "missing_keys": "weights are missing and would be random:",
    "unexpected_keys": "weights are there under names that the model does not have:",
    "mismatched_keys": "weights have another shape:",
}
_WHAT_TO_DO = (
    "The stage is not finished; train other `lora.targets`, or all weights, and report the model's architecture"
)
