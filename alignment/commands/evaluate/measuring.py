"""`alignment evaluate`: measures a stage of a run or a model folder on held-out problems of any seed.

Neighbours: options.py (the options), evaluation/job.py (the process that measures), report/render/ (the tables).
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from alignment.commands.evaluate.options import EvaluateOptions
from alignment.core.console import open_console
from alignment.core.statistics.intervals import as_text
from alignment.core.typed_json import Json, encode
from alignment.core.vocabulary import MODES, Mode
from alignment.evaluation.work import EvaluationWork
from alignment.recipe.blocks.hardware import Hardware
from alignment.records.constraints import ConstraintsRecord
from alignment.records.evaluation import EvaluationRecord
from alignment.records.follow import FollowRecord
from alignment.records.paired_prompts import PairedPromptsRecord
from alignment.report.paired_prompts import shifts
from alignment.report.render.columns import measured_columns
from alignment.report.render.following import follow_table, narrow_constraint_table
from alignment.report.render.paired_prompts import HEADINGS, table
from alignment.report.render.terminal import plain_table
from alignment.run.work_process import run_work


@dataclass(frozen=True)
class Found:
    """The results of the measuring process; constraints and conversations only if they were measured."""

    modes: Mapping[Mode, EvaluationRecord]
    constraints: ConstraintsRecord | None
    follow: FollowRecord | None
    paired_prompts: PairedPromptsRecord | None = None

    def as_json(self, stage: str) -> Mapping[str, Json]:
        """What `--json` prints: the files by name."""
        found: dict[str, Json] = {"stage": stage}
        found |= {mode: encode(record) for mode, record in self.modes.items()}
        beside = {"constraints": self.constraints, "follow": self.follow, "paired_prompts": self.paired_prompts}
        return found | {name: encode(record) for name, record in beside.items() if record is not None}


def measure(options: EvaluateOptions, *, as_json: bool) -> None:
    """Measure a policy in both modes and print the figures; changes nothing in a run.

    Raises OptionError for options that cannot work, ArtifactError if there is no such policy, StageFailed if measuring
    fails.
    """
    found = measured(options.work(), options.hardware, offline=options.offline)
    name = options.policy.name
    if as_json:
        print(json.dumps(found.as_json(name), indent=2, ensure_ascii=False))
        return
    console = open_console()
    console.print(_modes(found.modes))
    if found.follow is not None:
        console.print(plain_table("Think-follow over several turns", *follow_table({name: found.follow.figures})))
    if found.paired_prompts is not None:
        console.print(plain_table("Paired prompts", HEADINGS, table(list(shifts(name, found.paired_prompts)))))
    for task in found.constraints.tasks if found.constraints is not None else ():
        title = f"Where thinking helps and where it hurts, {task.task}"
        console.print(plain_table(title, *narrow_constraint_table(task)))
        for caution in task.cautions:
            console.print(f"{task.task}: {caution}", style="yellow", highlight=False, markup=False)


def measured(work: EvaluationWork, hardware: Hardware, *, offline: bool) -> Found:
    """What the measuring process wrote. Raises StageFailed with its error."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        title, log = f"evaluating {work.name}", folder / "evaluation.log"
        run_work(work, "alignment.evaluation.job", title, log, hardware, offline=offline, more=("--output", scratch))
        constraints, follow = folder / "constraints.json", folder / "follow.json"
        paired = folder / "paired_prompts.json"
        return Found(
            {mode: EvaluationRecord.read(folder / f"{mode}.json") for mode in MODES},
            ConstraintsRecord.read(constraints) if constraints.exists() else None,
            FollowRecord.read(follow) if follow.exists() else None,
            PairedPromptsRecord.read(paired) if paired.exists() else None,
        )


def _modes(found: Mapping[Mode, EvaluationRecord]) -> Table:
    table = Table(box=None)
    columns = [one for one in measured_columns([one.figures for one in found.values()]) if one.terminal]
    for column in ("mode", "count", "accuracy (95%)", *(one.terminal for one in columns)):
        table.add_column(column, justify="right" if column != "mode" else "left")
    for mode in MODES:
        figures = found[mode].figures
        table.add_row(
            mode,
            str(figures.count),
            as_text(figures.accuracy, figures.unknown),
            *(one.text(figures) for one in columns),
        )
    return table
