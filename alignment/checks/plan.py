"""The plan that `alignment check` prints for a valid recipe: stages, data, work, and memory per device.

Neighbours: recipe.py (the checks before it), model_files.py (headers of the weights).
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from alignment.checks.conversations import part_faults
from alignment.checks.model_files import safetensors_header
from alignment.checks.own_rewards import described_rewards
from alignment.checks.rewards import columns_read
from alignment.data.mixture import MAX_FAULTS_SHOWN, load_parts
from alignment.data.own_task import task_name, task_of
from alignment.data.sources import is_file, is_own, source_of
from alignment.data.unread import unread_columns
from alignment.recipe.data import MixturePart
from alignment.recipe.hardware import Hardware
from alignment.recipe.kinds import kind_of
from alignment.recipe.learning_rate import default_learning_rate
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields, TrainingStage, rewards_of
from alignment.run.hub import moving
from alignment.run.launcher import launcher_config
from alignment.run.plan import RunPlan

GIB = 2**30
NF4 = 0.3  # memory of a weight in 4 bits with its scales, of one in bfloat16; embeddings stay as they are


@dataclass(frozen=True)
class ModelShape:
    """The sizes that memory depends on, read from a model's files without loading them."""

    parameters: int
    hidden: int
    layers: int
    vocabulary: int


def model_shape(folder: Path) -> ModelShape | None:
    """The shape of a local model, from config.json and safetensors headers; None for a hub id or a damaged folder."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        parameters = sum(_parameters_in(path) for path in folder.glob("*.safetensors"))
        return ModelShape(parameters, config["hidden_size"], config["num_hidden_layers"], config["vocab_size"])
    except (OSError, ValueError, KeyError):
        return None


def _parameters_in(path: Path) -> int:
    """The number of values in a safetensors file, from its header alone."""
    return sum(math.prod(tensor["shape"]) for tensor in safetensors_header(path).values())


def training_gib(shape: ModelShape, stage: StageFields, hardware: Hardware) -> float | None:
    """Estimated peak memory per device in GiB during training; None for a stage that does not train.

    Weights and gradients take 4 bytes each and Adam's moments 8, sharded as the launcher config says. Logits are in float32
    with their gradient; for long rows and large vocabularies they are the largest part. Activations take 34 bytes per
    token, layer and hidden unit (arXiv 2205.05198, without attention maps), or one layer's with gradient checkpointing. Not
    included: fragmentation and the sampling engine.
    """
    batch, config, processes = kind_of(stage).batch, launcher_config(hardware), hardware.processes
    if batch is None or not isinstance(stage, TrainingStage):
        return None
    trained = shape.parameters if stage.lora is None else shape.parameters * 0.01
    frozen = 0 if stage.lora is None else shape.parameters * (NF4 if stage.lora.quantise else 1)
    shard_all = processes if config.shards_weights else 1
    shard_some = processes if config.shards_optimizer else 1
    states = (4 * trained + 2 * frozen) / shard_all + 12 * trained / shard_some
    rows, length = batch(stage)
    checkpointed = stage.trainer.get("gradient_checkpointing", not config.hides_gpus)
    layers = 1 if checkpointed else shape.layers
    activations = rows * length * shape.hidden * (34 * layers + 2 * shape.layers)
    logits = rows * length * shape.vocabulary * 4 * 2
    return (states + activations + logits) / GIB


def print_plan(plan: RunPlan, console: Console) -> None:
    """Print the plan, one row per stage."""
    recipe = plan.recipe
    shape = model_shape(Path(plan.base.path))
    size = f"{shape.parameters:,} parameters" if shape else "a hub model; its size is known once it is downloaded"
    console.print(f"[bold]{recipe.name}[/bold]  {recipe.pinned_model} ({size}), seed {recipe.seed}", highlight=False)
    if not Path(plan.base.path).is_dir() and (notice := moving(recipe.model, recipe.revision)) is not None:
        console.print(f"notice: {notice}", highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"{recipe.hardware.processes} process(es), launcher config {recipe.hardware.accelerate}", highlight=False
    )
    table = Table(box=None, pad_edge=False)
    for column in ("stage", "kind", "starts from", "data", "work", "GiB per device"):
        table.add_column(column, justify="right" if column.startswith("GiB") else "left")
    for stage in recipe.stages:
        gib = None if shape is None else training_gib(shape, stage, recipe.hardware)
        memory = "" if gib is None else f"{gib:.2f}"
        start, work = recipe.policy_before(stage.name) or "base model", kind_of(stage).work(stage)
        table.add_row(stage.name, stage.kind, start, describe_data(stage), work, memory)
    console.print(table)
    for stage in recipe.stages:
        if (rate := default_learning_rate(stage)) is not None:
            console.print(
                f"{stage.name}: learning rate {rate:g}, ten times the default of all weights", highlight=False
            )
    for line in (*rows_read(recipe), *dict.fromkeys(described_rewards(recipe))):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    tasks = ", ".join(map(_task, recipe.evaluations.after_each_stage)) or "nothing"
    turns = recipe.evaluations.follow_turns
    talks = f", {recipe.evaluations.follow_count} conversations of {turns} turns" if turns > 1 else ""
    console.print(
        f"after each training stage: {tasks}, {recipe.evaluations.count} problems per task and mode{talks}",
        highlight=False,
    )


def _task(name: str) -> str:
    """A task by its name in the report, with the number of problems that a task of the user's own sets."""
    task = task_of(name)
    return task_name(name) + (f" ({task.count} at most)" if task is not None and task.count else "")


def rows_read(recipe: Recipe) -> Iterator[str]:
    """For each local table: what its rows are recognised as, how many there are, and which are left out and why."""
    lines = dict[str, None]()
    for stage in recipe.stages:
        for part in load_parts(stage.data):
            faults = part_faults(recipe, stage, part)
            if faults is None:
                continue
            own = f" ({source_of(part).description})" if is_own(str(part.source)) else ""
            lines[f"{shown_source(part)}: {faults.rows:,} rows{own}, {len(faults.faulty)} left out"] = None
            lines.update(_unread(stage, part))
            lines.update({f"  {one}": None for one in faults.faulty[:MAX_FAULTS_SHOWN]})
    yield from lines


def _unread(stage: StageFields, part: MixturePart) -> dict[str, None]:
    """The line about columns of an own table that neither the stage nor a reward of it reads, if it has any."""
    read = frozenset[str]().union(*(columns_read(spec) or () for spec in rewards_of(stage)))
    found = unread_columns(source_of(part)) if is_own(str(part.source)) else []
    names = [name for name in found if name not in read]
    return {f"  columns that are not read: {', '.join(names)}": None} if names else {}


def shown_source(part: MixturePart) -> str:
    """A source or stage as the plan names it: a file of the user's own by its name."""
    return Path(part.source).name if part.source and is_file(part.source) else str(part.source or part.stage)


def describe_data(stage: StageFields) -> str:
    """The data of a stage, part by part: `chain-sum x 1024 (cold_start)`."""
    parts = []
    for part in load_parts(stage.data):
        count = f" x {part.count}" if part.count else ""
        parts.append(f"{shown_source(part)}{count}" + (f" ({part.split})" if part.split else ""))
    return ", ".join(parts)
