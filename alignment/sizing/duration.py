"""How long a stage takes at most, from its tokens and what the device can do: hours, to within a factor of about two.

Training: 6 FLOP a parameter and token, and attention (arXiv 2204.02311, appendix B), at the fraction of the data sheet's rate
that docs/gpu.md measured. Sampling reads all weights for each token of a batch, so the memory's bandwidth bounds it.
Neighbours: memory.py, cluster.py.
"""

from dataclasses import dataclass

from alignment.recipe.stage import StageFields
from alignment.sizing.cluster import Device
from alignment.sizing.memory import Training
from alignment.sizing.shape import Shape

UTILISATION = {False: 0.365, True: 0.268}  # of dense bfloat16, by whether activations are checkpointed (docs/gpu.md)
BANDWIDTH = 0.6  # of the data sheet's, which decoding reaches
EPOCHS = 3  # TRL's default


@dataclass(frozen=True)
class Duration:
    """Seconds of a stage on all devices together."""

    training: float
    sampling: float

    @property
    def hours(self) -> float:
        """Both, in hours."""
        return (self.training + self.sampling) / 3600


def duration_of(shape: Shape, training: Training, device: Device, rows: int | None) -> Duration | None:
    """The longest a stage takes, every row and completion as long as it may be. rows: to train on; None if unknown.

    None where the recipe does not say how many steps or rows there are.
    """
    groups = max(1, training.hardware.processes // training.sharing)
    tokens = _trained_tokens(training.stage, rows, groups)
    if tokens is None:
        return None
    length = training.batch[1]
    attention = 6 * shape.layers * shape.query_width * length / 2
    rate = device.tflops * 1e12 * UTILISATION[training.checkpointed] * training.hardware.processes
    work = tokens * (6 * shape.active + attention) / rate
    return Duration(work, _sampling(shape, training, device))


def _trained_tokens(stage: StageFields, rows: int | None, groups: int) -> int | None:
    """groups: of processes, each of which has a batch of its own."""
    trainer = getattr(stage, "trainer", {})
    steps = int(trainer.get("max_steps", -1))
    rollout = getattr(stage, "rollout", None)
    if rollout is not None:
        each = rollout.problems_per_step * rollout.generations
        return None if steps < 1 else steps * each * (rollout.max_prompt_tokens + rollout.max_completion_tokens)
    longest = int(getattr(stage, "max_length", 0))
    batch = int(trainer.get("per_device_train_batch_size", 8)) * int(trainer.get("gradient_accumulation_steps", 1))
    if steps > 0:
        return steps * batch * groups * longest
    return None if rows is None else int(rows * longest * float(trainer.get("num_train_epochs", EPOCHS)))


def _sampling(shape: Shape, training: Training, device: Device) -> float:
    rollout = getattr(training.stage, "rollout", None)
    if rollout is None:
        return 0.0
    steps, processes = int(training.stage.trainer.get("max_steps", 0)), training.hardware.processes
    rows = rollout.problems_per_step * rollout.generations / processes
    at_once = min(rows, rollout.engine.max_sequences)
    # A pass reads the weights, all experts where many rows choose them, and the keys and values of half the length.
    weights = 2.0 * shape.parameters
    cache = (
        4.0 * shape.layers * shape.key_width * at_once * (rollout.max_prompt_tokens + rollout.max_completion_tokens / 2)
    )
    passes = rollout.max_completion_tokens * -(-rows // at_once)
    return steps * passes * (weights + cache) / (device.bandwidth_tb * 1e12 * BANDWIDTH)
