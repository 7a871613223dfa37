"""The plan that `alignment check` prints for a valid recipe: stages, data, work, and memory per device.

Neighbours: recipe.py (the checks before it), model/files.py (headers of the weights).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from alignment.checks.judges import unmeasured
from alignment.checks.model.folder import ModelFolder
from alignment.checks.own_rewards import described_rewards
from alignment.checks.rewards import columns_read
from alignment.checks.rows.conversations import part_faults
from alignment.data.mixture import MAX_FAULTS_SHOWN, load_parts
from alignment.data.sources.named import is_file, is_own, source_of
from alignment.data.sources.own_task import task_name, task_of
from alignment.data.sources.unread import unread_columns
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.blocks.teacher import teacher_of
from alignment.recipe.kinds import kind_of
from alignment.recipe.learning_rate import default_learning_rate
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields, rewards_of
from alignment.run.plan import RunPlan
from alignment.run.start.hub import moving
from alignment.sizing.estimate import Estimate, estimates


def print_plan(plan: RunPlan, console: Console) -> None:
    """Print the plan, one row per stage."""
    recipe = plan.recipe
    found = estimates(recipe, plan.base.path)
    size = f"{found.shape.parameters:,} parameters" if found else "its size is unknown: no config.json can be read"
    console.print(f"[bold]{recipe.name}[/bold]  {recipe.pinned_model} ({size}), seed {recipe.seed}", highlight=False)
    for notice in _moving(plan):
        console.print(f"notice: {notice}", highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"{recipe.hardware.processes} process(es), launcher config {recipe.hardware.accelerate}", highlight=False
    )
    table = Table(box=None, pad_edge=False)
    for column in ("stage", "kind", "starts from", "data", "work", "GiB per device"):
        table.add_column(column, justify="right" if column.startswith("GiB") else "left")
    for stage in recipe.stages:
        one = found.of(stage.name) if found else None
        memory = f"{one.memory.gib:.2f}" if one else ""
        start, work = recipe.policy_before(stage.name) or "base model", kind_of(stage).work(stage)
        table.add_row(stage.name, stage.kind, start, describe_data(stage), work, memory)
    console.print(table)
    for line in (*memory_lines(found.stages if found else ()), *unmeasured(recipe)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
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


def _moving(plan: RunPlan) -> dict[str, None]:
    """What is said of hub models that may be others one day: the recipe's, and teachers."""
    teachers = [found for stage in plan.recipe.stages if (found := teacher_of(stage)) is not None]
    models = [(plan.recipe.model, plan.recipe.revision)] if not Path(plan.base.path).is_dir() else []
    models += [
        (one.model, one.revision) for one in teachers if one.model and not ModelFolder.of(one.model).path.is_dir()
    ]
    return {notice: None for model, revision in models if (notice := moving(model, revision)) is not None}


def memory_lines(stages: Sequence[Estimate]) -> Iterator[str]:
    """A line for each stage that will not fit a device, with what to write, and for each model whose size is not known."""
    for model in dict.fromkeys(model for one in stages for model in one.unsized):
        names = ", ".join(one.stage for one in stages if model in one.unsized)
        yield f"notice: {names} counts nothing for {model}: its config.json cannot be read here; download it, or go online"
    for one in stages:
        if one.fits:
            continue
        largest = ", ".join(f"{name} {gib:.1f}" for name, gib in list(one.memory.parts())[:3])
        what = (
            f"with {one.advice.write} it takes {one.advice.gib:.1f}" if one.advice else "no setting here makes it fit"
        )
        yield (
            f"warning: {one.stage} needs about {one.memory.gib:.1f} GiB of {one.device_gib:g} ({largest}): it will run out of "
            f"memory; {what}"
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
