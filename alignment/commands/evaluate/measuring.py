"""`alignment evaluate`: any stage of a run, or any model folder, on problems of a seed of one's own choosing."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from alignment.commands.evaluate.options import EvaluateOptions
from alignment.core.files import read_json, write_json
from alignment.core.statistics.intervals import as_text
from alignment.core.vocabulary import MODES
from alignment.report.render.following import follow_table, narrow_constraint_table
from alignment.report.render.terminal import plain_table
from alignment.run.processes import environment
from alignment.run.watch import refuse_failure, watched

FILES = (*MODES, "constraints", "follow")  # of which the last two are written where they were asked for


def measure(options: EvaluateOptions, *, as_json: bool) -> None:
    """Measure a policy in both modes and print the figures; nothing in a run is changed.

    Raises OptionError for options that cannot work, ArtifactError if there is no such policy, StageFailed if measuring
    fails.
    """
    found = _measured(options)
    name = options.policy.name
    if as_json:
        print(json.dumps({"stage": name, **found}, indent=2, ensure_ascii=False))
        return
    console = Console()
    console.print(_modes(found))
    if "follow" in found:
        console.print(plain_table("Think-follow over several turns", *follow_table({name: found["follow"]})))
    if "constraints" in found:
        for task in found["constraints"]["tasks"]:
            title = f"Where thinking helps and where it hurts, {task['task']}"
            console.print(plain_table(title, *narrow_constraint_table(task)))
            for caution in task["cautions"]:
                console.print(f"{task['task']}: {caution}", style="yellow", highlight=False, markup=False)


def _measured(options: EvaluateOptions) -> dict[str, Any]:
    """What the measuring process wrote, by file."""
    work, name = options.work(), options.policy.name
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_json(folder / "work.json", work)
        title, log = f"evaluating {name}", folder / "evaluation.log"
        command = [sys.executable, "-m", "alignment.evaluation.job", str(folder / "work.json"), "--output", scratch]
        env = environment(options.hardware, offline=options.offline)
        refuse_failure(watched(title, command, log, Console(stderr=True), env), title, log)
        paths = {file: folder / f"{file}.json" for file in FILES}
        return {file: read_json(path) for file, path in paths.items() if path.exists()}


def _modes(found: dict[str, Any]) -> Table:
    table = Table(box=None)
    for column in ("mode", "count", "accuracy (95%)", "format", "think-follow", "thinking tokens"):
        table.add_column(column, justify="right" if column != "mode" else "left")
    for mode in MODES:
        figures = found[mode]
        table.add_row(
            mode, str(figures["count"]), as_text(figures), f"{figures['format']:.3f}",
            f"{figures['think_follow']:.3f}", f"{figures['mean_thinking_tokens']:.1f}",
        )  # fmt: skip
    return table
