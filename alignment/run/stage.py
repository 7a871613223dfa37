"""Entry point of every stage's process: `python -m alignment.run.stage RECIPE --stage NAME`.

Runs the stage's kind, which writes output/, and writes the manifest last. runner.py starts it, through the launcher if
the kind trains; started by hand it does the same. Neighbours: training/kinds/ (the kinds), plan.py (state of the
stages).
"""

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alignment.core.entry import run_child
from alignment.core.files import canonical_hash, folder_files
from alignment.core.locks import hold
from alignment.core.machine import hardware, versions
from alignment.recipe.kinds import Done, kind_of
from alignment.records.attempt import seconds_spent
from alignment.records.manifest import Manifest
from alignment.run.plan import RunPlan
from alignment.run.start.hub import pinned_folder

if TYPE_CHECKING:
    from alignment.training.context import StageContext

LOCK_PATIENCE_SECONDS = 60


def main(
    recipe: Annotated[Path, typer.Argument(help="The recipe's YAML file.")],
    stage: Annotated[str, typer.Option(help="The stage to run.")],
    run: Annotated[Path | None, typer.Option(help="The run directory (default: runs/NAME).")] = None,
    set: Annotated[list[str] | None, typer.Option(help="Override path.by.name=value.")] = None,
) -> None:
    """Run one stage in this process, or this rank of it, up to its manifest."""
    started = time.monotonic()
    _run(RunPlan.load(recipe, set or [], run), stage, started)


def _run(plan: RunPlan, name: str, started: float) -> None:
    rank, processes = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if rank == 0:
        plan.prepare()
    folder = plan.folder(name)
    if folder.finished:
        print(f"stage {name} is already finished: {folder.manifest_path}")
        return
    if rank == 0:
        plan.state(name)  # refuse to resume a stage whose inputs changed, also if started by hand
        plan.begin(name)
    folder.path.mkdir(parents=True, exist_ok=True)
    refusal = "held by another process that is running this stage; end it, or wait for it"
    lock = hold(folder.path / ".lock", refusal, patience_seconds=LOCK_PATIENCE_SECONDS) if rank == 0 else None
    from alignment.training.context import (
        StageContext,  # brings torch in, long after this process is tied to its parent
    )

    context = StageContext(
        recipe=plan.recipe,
        stage=plan.recipe.stage(name),
        run=plan.run,
        folder=folder,
        policy_path=pinned_folder(
            plan.policy_path(name), plan.recipe.revision, trust_remote_code=plan.recipe.trust_remote_code
        ),
        rank=rank,
        processes=processes,
    )
    if rank == 0:
        shutil.rmtree(folder.output, ignore_errors=True)  # an unfinished attempt's output is not an artifact
    done = kind_of(context.stage).run(context)
    if rank == 0:
        _write_manifest(plan, context, done, time.monotonic() - started)
        folder.clear_checkpoints()
        del lock


def _write_manifest(plan: RunPlan, context: "StageContext", done: Done, seconds: float) -> None:
    """Write the proof that the stage has finished, which nothing comes after."""
    name, output, identity = context.stage.name, folder_files(context.folder.output), plan.identity(context.stage.name)
    Manifest(
        name=name,
        kind=context.stage.kind,
        identity=identity,
        identity_hash=canonical_hash(identity),
        inputs=plan.inputs(name),
        output=output,
        output_hash=canonical_hash(output),
        seed=context.recipe.seed,
        seconds=round(seconds_spent(context.folder) + seconds, 1),
        steps=done.steps,
        tokens=done.tokens,
        counts=context.counts,
        versions=versions(),
        hardware=replace(hardware(), processes=context.processes),
    ).write(context.folder.manifest_path)


if __name__ == "__main__":
    run_child(main)
