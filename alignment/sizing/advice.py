"""What to write where a stage does not fit: settings in the order in which they cost least, each tried before it is named.

Neighbours: memory.py (the estimate), commands/plan.py (prints it).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from alignment.recipe.blocks.hardware import Hardware
from alignment.recipe.blocks.lora import Lora
from alignment.recipe.shareable import divides_heads
from alignment.recipe.stage import TrainingStage
from alignment.sizing.memory import Memory, Training, memory_of, training_of
from alignment.sizing.shape import Shape

FITS = 0.95  # of a device's memory: what is left is the estimate's own error


@dataclass(frozen=True)
class Advice:
    """A setting with which a stage would fit, and what it would then take in GiB."""

    write: str
    gib: float


def fits(memory: Memory, device_gib: float) -> bool:
    """Whether an estimate is below a device's memory."""
    return memory.gib <= FITS * device_gib


def advice_for(shape: Shape, training: Training, device_gib: float) -> Advice | None:
    """The first setting, alone or with those before it, that makes a stage fit; None if none does."""
    tried, names = training, list[str]()
    for name, change in _changes(shape, training):
        changed = change(tried)
        if changed is None:
            continue
        before, after = memory_of(shape, tried, device_gib), memory_of(shape, changed, device_gib)
        if after.gib >= before.gib * 0.98:
            continue
        tried, names = changed, [*names, name]
        if fits(after, device_gib):
            return Advice(" and ".join(names), after.gib)
    return None


Change = Callable[[Training], Training | None]


def _changes(shape: Shape, training: Training) -> Iterator[tuple[str, Change]]:
    yield "`gradient_checkpointing: true` under `trainer`", _checkpointed
    if hasattr(training.stage, "micro_batch"):
        yield "`micro_batch: 1`", lambda one: _with_stage(one, micro_batch=1)
    else:
        yield "`per_device_train_batch_size: 1` under `trainer`", _one_row
    if training.on_gpu and training.hardware.processes > 1:
        yield "`hardware: {accelerate: zero2}`", lambda one: _launched(one, "zero2")
        yield "`hardware: {accelerate: zero3}`", lambda one: _launched(one, "zero3")
        if share := _share(shape, training):
            yield f"`sequence_parallel: {share}`", lambda one: _shared(one, share)
    if training.stage.lora is None:
        yield "`lora: {}` (rank 16) in place of all weights", lambda one: _with_stage(one, lora=Lora())
    if training.on_gpu:
        yield "`quantise: nf4` under `lora`", _quantised


def _with_stage(training: Training, **changes: object) -> Training | None:
    changed: TrainingStage = training.stage.model_copy(update=changes)
    return training_of(changed, training.hardware, on_gpu=training.on_gpu, judges=training.judges)


def _checkpointed(training: Training) -> Training | None:
    if training.checkpointed:
        return None
    return _with_stage(training, trainer={**training.stage.trainer, "gradient_checkpointing": True})


def _one_row(training: Training) -> Training | None:
    return _with_stage(training, trainer={**training.stage.trainer, "per_device_train_batch_size": 1})


def _share(shape: Shape, training: Training) -> int:
    """Over how many devices of one machine a pack can be shared at most; 0 for none, or a kind that shares none."""
    if not hasattr(training.stage, "sequence_parallel"):
        return 0
    processes = training.hardware.processes
    return max(
        (one for one in (2, 4, 8) if processes % one == 0 and divides_heads(one, shape.heads, shape.key_heads)),
        default=0,
    )


def _shared(training: Training, share: int) -> Training | None:
    possible = training.batch[0] == 1 and training.config.is_zero3 and training.sharing < share
    return _with_stage(training, sequence_parallel=share) if possible else None


def _quantised(training: Training) -> Training | None:
    lora = training.stage.lora
    return None if lora is None else _with_stage(training, lora=lora.model_copy(update={"quantise": "nf4"}))


def _launched(training: Training, name: str) -> Training | None:
    if training.config.zero_stage >= int(name[-1]):
        return None
    hardware: Hardware = training.hardware.model_copy(update={"accelerate": name})
    return training_of(training.stage, hardware, on_gpu=training.on_gpu, judges=training.judges)
