"""The one entry of every stage: `accelerate launch ... -m alignment.run.stage RECIPE --stage NAME`.

Makes the context, runs the stage's kind from its last whole checkpoint, writes output/ and, last of all, the manifest.
The pipeline starts it; by hand it does the same. Neighbours: one file per kind, run/plan.py (what runs when).
"""

import fcntl
import importlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alignment.core.errors import AlignmentError, ArtifactError
from alignment.core.files import canonical_hash, folder_files
from alignment.core.machine import hardware, versions
from alignment.core.process import die_with_parent
from alignment.recipe.schema import TRAINING_KINDS
from alignment.records.attempt import seconds_spent
from alignment.records.manifest import Manifest
from alignment.run.plan import Pipeline

if TYPE_CHECKING:
    from alignment.training.context import StageContext

LOCK_PATIENCE_SECONDS = 60


def main(
    recipe: Annotated[Path, typer.Argument(help="The recipe's YAML file.")],
    stage: Annotated[str, typer.Option(help="The stage to run.")],
    run: Annotated[Path | None, typer.Option(help="The run directory; left out, runs/NAME.")] = None,
    set: Annotated[list[str] | None, typer.Option(help="Override path.by.name=value.")] = None,
) -> None:
    """Run one stage in this process (or in this rank) to its manifest."""
    started = time.monotonic()
    try:
        _run(Pipeline.load(recipe, set or [], run), stage, started)
    except AlignmentError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from error


def _run(pipeline: Pipeline, name: str, started: float) -> None:
    rank, processes = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if rank == 0:
        pipeline.prepare()
    folder = pipeline.folder(name)
    if folder.finished:
        print(f"stage {name} has finished already: {folder.manifest_path}")
        return
    if rank == 0:
        pipeline.state(name)  # by hand as well: nothing is gone on with that was begun from something else
        pipeline.begin(name)
    folder.path.mkdir(parents=True, exist_ok=True)
    lock = _locked(folder.path / ".lock") if rank == 0 else None
    from alignment.training.context import (
        StageContext,  # brings torch in, long after this process is tied to its parent
    )

    context = StageContext(
        recipe=pipeline.recipe,
        stage=pipeline.recipe.stage(name),
        run=pipeline.run,
        folder=folder,
        policy_path=pipeline.policy_path(name),
        rank=rank,
        processes=processes,
    )
    shutil.rmtree(folder.output, ignore_errors=True)  # what an unfinished attempt left is not an artifact
    steps, tokens = (_train if context.stage.kind in TRAINING_KINDS else _make_rows)(context)
    if rank == 0:
        output = folder_files(folder.output)
        identity = pipeline.identity(name)
        Manifest(
            name=name,
            kind=context.stage.kind,
            identity=identity,
            identity_hash=canonical_hash(identity),
            inputs=pipeline.inputs(name),
            output=output,
            output_hash=canonical_hash(output),
            seed=context.recipe.seed,
            seconds=round(seconds_spent(folder) + time.monotonic() - started, 1),
            steps=steps,
            tokens=tokens,
            counts=context.counts,
            versions=versions(),
            hardware={**hardware(), "processes": processes},
        ).write(folder.manifest_path)
        folder.clear_checkpoints()
        del lock


def _train(context: "StageContext") -> tuple[int, int]:
    """Train from the last whole checkpoint; returns optimizer steps and tokens. Raises if no step was taken."""
    from alignment.training.context import step_of
    from alignment.training.policy import complete_head, save_policy

    # Where trackers write unless the user says otherwise; TensorBoard's own choice is among the checkpoints, which are cleared.
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(context.folder.tensorboard))
    os.environ.setdefault("WANDB_PROJECT", context.recipe.name)
    # Only this kind's trainer is imported: TRL's GRPO alone brings all of vLLM in, which takes seconds.
    kind: Any = importlib.import_module(f"alignment.training.stages.{context.stage.kind}")
    trainer, recorder = kind.build(context)
    complete_head(trainer.model)
    checkpoint = context.last_checkpoint()
    if context.is_main:
        context.drop_lines_after(step_of(checkpoint) if checkpoint else 0)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    done, wanted = trainer.state.global_step, trainer.state.max_steps
    if done < 1 or done < wanted:
        raise ArtifactError(
            f"stage {context.stage.name} took {done} of {wanted} optimizer steps: it has trained less than the recipe "
            "says and is not finished. Look at the rows it was given, and at max_steps and num_train_epochs"
        )
    save_policy(context, trainer, context.folder.output)
    trainer.accelerator.wait_for_everyone()
    return done, recorder.tokens


def _make_rows(context: "StageContext") -> tuple[int, int]:
    """Run a kind that leaves rows and no policy, in the main process alone; returns no steps, and tokens sampled."""
    kind: Any = importlib.import_module(f"alignment.training.stages.{context.stage.kind}")
    return 0, kind.run(context, context.folder.output) if context.is_main else 0


def _locked(path: Path) -> Any:
    """Hold the stage's lock, so that two processes never write one folder. Raises ArtifactError after a minute."""
    file = path.open("a")
    for _ in range(LOCK_PATIENCE_SECONDS * 5):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.2)
            continue
        return file
    raise ArtifactError(f"{path} is held by another process that is running this stage; end it, or wait for it")


if __name__ == "__main__":
    die_with_parent()
    typer.run(main)
