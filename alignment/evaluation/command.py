"""`alignment evaluate`: any stage of a run, on problems of a seed of one's own choosing."""

import json
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from alignment.artifact import RunFolder, read_json
from alignment.data.rows import MODES
from alignment.errors import StageFailed
from alignment.evaluation.metrics import as_text
from alignment.launch import end_of_log, environment, run
from alignment.pipeline import Pipeline
from alignment.watch import Watch


def evaluate_stage(directory: Path, stage: str, *, seed: int | None, count: int | None, as_json: bool) -> None:
    """Measure a finished stage in both modes and print the figures; nothing in the run is changed.

    Raises ArtifactError if the directory is no run or the stage is not finished, StageFailed if measuring fails.
    """
    folder = RunFolder.open(directory)
    folder.find(stage).verified_manifest()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "alignment.evaluation.runner", str(folder.recipe), "--stage", stage]
        command += ["--run", str(directory), "--output", scratch]
        command += ["--seed", str(seed)] if seed is not None else []
        command += ["--set", f"evaluations.count={count}"] if count is not None else []
        pipeline = Pipeline.load(folder.recipe, [], directory)
        hardware = pipeline.recipe.hardware.model_copy(update={"processes": 1})
        log, progress = Path(scratch) / "evaluation.log", Path(scratch) / "progress.jsonl"
        with Watch(progress, console, f"evaluating {stage}") as watch:
            ended = run(
                command,
                log=log,
                progress=progress,
                env=environment(hardware, offline=not pipeline.hub_sources()),
                on_tick=watch.tick,
            )
        if ended.interrupted:
            raise KeyboardInterrupt
        if ended.exit_status:
            raise StageFailed(f"evaluating {stage} ended with {ended.exit_status}:\n{end_of_log(log)}")
        found = {mode: read_json(Path(scratch) / f"{mode}.json") for mode in MODES}
    if as_json:
        print(json.dumps({"stage": stage, **found}, indent=2, ensure_ascii=False))
        return
    table = Table(box=None)
    for column in ("mode", "count", "accuracy (95%)", "format", "think-follow", "thinking tokens"):
        table.add_column(column, justify="right" if column != "mode" else "left")
    for mode, figures in found.items():
        table.add_row(
            mode, str(figures["count"]), as_text(figures), f"{figures['format']:.3f}",
            f"{figures['think_follow']:.3f}", f"{figures['mean_thinking_tokens']:.1f}",
        )  # fmt: skip
    Console().print(table)
