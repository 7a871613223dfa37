"""Estimates of all stages of a recipe that train: memory of a device, hours at most, and what to write where it does not fit.

`alignment check` prints the memory, `alignment plan` all of it. Neighbours: memory.py, duration.py, advice.py.
"""

import os
from dataclasses import dataclass

from alignment.recipe.blocks.hardware import Hardware
from alignment.recipe.blocks.judges import ServedJudge
from alignment.recipe.schema import Recipe
from alignment.run.judges.places import judges_of
from alignment.sizing.advice import Advice, advice_for, fits
from alignment.sizing.cluster import GIB, Cluster
from alignment.sizing.duration import Duration, duration_of
from alignment.sizing.memory import Memory, memory_of, training_of, unsized_models
from alignment.sizing.shape import Shape, shape_of


@dataclass(frozen=True)
class Estimate:
    """What a stage that trains needs. device_gib: of one device; a CPU's is the machine's memory for each process."""

    stage: str
    memory: Memory
    device_gib: float
    duration: Duration | None
    advice: Advice | None
    unsized: tuple[str, ...] = ()  # models beside the policy that count nothing, since their config cannot be read

    @property
    def fits(self) -> bool:
        """Whether the stage fits its device."""
        return fits(self.memory, self.device_gib)


@dataclass(frozen=True)
class Estimates:
    """The model's shape, and an estimate of each stage that trains, in order."""

    shape: Shape
    stages: tuple[Estimate, ...]

    def of(self, stage: str) -> Estimate | None:
        """The estimate of a stage by its name; None for one that does not train."""
        return next((one for one in self.stages if one.stage == stage), None)


def estimates(
    recipe: Recipe, model: str, cluster: Cluster | None = None, rows: dict[str, int] | None = None
) -> Estimates | None:
    """Estimates on a cluster, or on what the recipe's `hardware` says; None if the model's shape cannot be found.

    rows: how many each stage trains on, where that is known; without a cluster there are no durations.
    """
    shape = shape_of(model, recipe.revision)
    if shape is None:
        return None
    hardware = recipe.hardware if cluster is None else _on(recipe.hardware, cluster)
    found = []
    for stage in recipe.stages:
        judges = tuple(judges_of(recipe, stage).values())
        beside = hardware if cluster is None else _leaving_room(hardware, judges)
        training = training_of(stage, beside, on_gpu=None if cluster is None else True, judges=judges)
        if training is None:
            continue
        own = hardware.device_memory_gib if training.on_gpu else machine_gib() / hardware.processes
        device_gib = own if cluster is None else cluster.device.memory_gib
        memory = memory_of(shape, training, device_gib)
        advice = None if fits(memory, device_gib) else advice_for(shape, training, device_gib)
        duration = (
            None if cluster is None else duration_of(shape, training, cluster.device, (rows or {}).get(stage.name))
        )
        found.append(Estimate(stage.name, memory, device_gib, duration, advice, unsized_models(training)))
    return Estimates(shape, tuple(found))


def _leaving_room(hardware: Hardware, judges: tuple[ServedJudge, ...]) -> Hardware:
    """A cluster without the GPUs that judges have to themselves; one is left where they are too few, which a run refuses."""
    taken = sum(one.engine.gpus_each for one in judges if not one.engine.bounds_memory)
    return hardware.model_copy(update={"processes": max(1, hardware.processes - taken)})


def _on(hardware: Hardware, cluster: Cluster) -> Hardware:
    """A recipe's hardware with a cluster's devices; a launcher config for CPUs gives way to the one for GPUs."""
    name = "gpu" if hardware.accelerate in ("auto", "cpu", "cpu-2", "cpu-zero3") else hardware.accelerate
    return hardware.model_copy(update={"accelerate": name, "processes": cluster.count})


def machine_gib() -> float:
    """Memory of this machine in GiB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
