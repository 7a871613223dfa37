"""`alignment processbench`: finds the model, measures in a process of its own, and prints the figures.

Neighbours: evaluation/process/job.py (the process that measures), records/process.py (the figures).
"""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

from rich.table import Table

from alignment.commands.processbench.refused import refuse, scorer_of
from alignment.core.console import open_console
from alignment.core.errors import ArtifactError, OptionError
from alignment.core.statistics.estimate import Estimate
from alignment.core.typed_json import encode
from alignment.evaluation.process.work import ProcessWork
from alignment.recipe.blocks.hardware import Hardware
from alignment.recipe.kinds import Leaves, find_kind
from alignment.records.policies import is_model_folder
from alignment.records.process import ProcessRecord
from alignment.records.run_folder import RunFolder
from alignment.report import write_report
from alignment.run.work_process import run_work


@dataclass(frozen=True)
class FoundModel:
    """A process reward model: its name in output, and its folder or hub id."""

    name: str
    folder: str
    record: Path | None = None  # where a run keeps the figures of its stage


def process_model_of(path: Path, stage: str | None, *, leaves: Leaves = "process_model") -> FoundModel:
    """A model folder, or the output of a run's stage that leaves such a model (default: the last). Raises ArtifactError."""
    if is_model_folder(path) or not path.exists():
        return FoundModel(path.resolve().name, str(path.resolve()) if path.exists() else str(path))
    run = RunFolder.open(path)
    names = [folder.name[3:] for folder in sorted(run.path.glob("[0-9][0-9]-*")) if "." not in folder.name]
    trained = [name for name in names if run.find(name).finished and _leaves(run.find(name).manifest().kind) == leaves]
    if not trained or (stage is not None and stage not in trained):
        known = ", ".join(trained) or "none yet"
        raise ArtifactError(
            f"{path} has no finished stage that leaves a {leaves.replace('_', ' ')}{f' `{stage}`' if stage else ''}; it has {known}"
        )
    name = stage or trained[-1]
    return FoundModel(name, str(run.find(name).output.resolve()), run.find(name).evaluations / "process.json")


def outcome_model_of(measured: Path, named: str) -> FoundModel:
    """The reward model of `--outcome`: a stage of the measured run, or, with a slash, a folder, a run or a hub id.

    Raises OptionError for a stage where no run is measured, and ArtifactError where there is no such stage.
    """
    if "/" in named:
        return process_model_of(Path(named), None, leaves="reward_model")
    if is_model_folder(measured) or not measured.exists():
        raise OptionError(
            f"--outcome {named} names a stage, and {measured} is no run; write a folder or hub id, with a slash"
        )
    return process_model_of(measured, named, leaves="reward_model")


def _leaves(kind: str) -> Leaves | None:
    found = find_kind(kind)
    return None if found is None else found.leaves


def bench(work: ProcessWork, model: Path, stage: str | None, output: Path | None, *, as_json: bool) -> None:
    """Measure what is asked of a model folder, a run's stage or a judge, print it, and renew the report of a run.

    Raises as `refuse`, `process_model_of` and `measured`.
    """
    refuse(work)
    scorer = scorer_of(work)
    found = process_model_of(model, stage, leaves=scorer.leaves) if scorer else None
    if scorer and found:
        work = replace(work, model=found.folder, name=scorer.said.format(found.name))
    if work.outcome is not None:
        rewarding = outcome_model_of(model, work.outcome)
        work = replace(work, outcome=rewarding.folder, outcome_name=rewarding.name)
    target = output or (found.record if found else None) or _without_run(found.folder if found else work.name)
    shown(measured(work, target), target, as_json=as_json)
    if found and target == found.record:
        write_report(model)


def _without_run(measured: str) -> Path:
    """Where the figures of a model folder, a hub id or a judge go: named by the last parts of its path or address."""
    parts = [one for one in measured.split("/") if one not in ("", "https:", "http:")][-3:]
    return Path("runs") / f"process-{re.sub('[^A-Za-z0-9._-]+', '-', '-'.join(parts))}.json"


def measured(work: ProcessWork, target: Path) -> ProcessRecord:
    """Measure in a process of its own, which writes the file. Raises StageFailed if it fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    title, log = f"measuring {work.name}", target.with_suffix(".log")
    module, into = "alignment.evaluation.process.job", ("--output", str(target))
    local = all(Path(one).exists() for one in (work.model, work.outcome) if one is not None)
    run_work(work, module, title, log, Hardware(), offline=local, more=into)
    return ProcessRecord.read(target)


def shown(record: ProcessRecord, target: Path, *, as_json: bool) -> None:
    """Print the figures, or the file's contents as JSON."""
    if as_json:
        print(json.dumps(encode(record), indent=2, ensure_ascii=False))
        return
    console = open_console()
    console.print(_bench(record))
    if record.stress:
        console.print(_stress(record))
    if record.best_of:
        console.print(_best_of(record))
    if (searched := record.beam_search) is not None:
        console.print(
            f"beam search, {searched.beams} beams x {searched.expansions}: {_text(searched.accuracy)} right with "
            f"{searched.mean_tokens:.0f} tokens each, dropped ones included; {searched.unfinished} unfinished",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
    if record.answers_auc is not None:
        console.print(f"right answers score above wrong ones: AUC {record.answers_auc:.3f}", highlight=False)
    if record.calibration_error is not None:
        drift = f"{record.last_step_minima:.0%}" if record.last_step_minima is not None else "unknown"
        chance = (
            f"{record.last_step_minima_by_chance:.0%}" if record.last_step_minima_by_chance is not None else "unknown"
        )
        console.print(
            f"calibration error {record.calibration_error:.3f}; lowest score on the last step in {drift}, by chance {chance}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
    if record.judge is not None:
        console.print(
            f"the judge was asked {record.judge.asked} times: {record.judge.tokens} tokens, cost {record.judge.cost:g}",
            highlight=False,
        )
    console.print(f"file: {target}", highlight=False, soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), title=title, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=True, vertical="bottom")
    return table


def _text(one: Estimate) -> str:
    if one.value is None or one.low is None or one.high is None:
        return "unknown"
    return f"{one.value:.3f} ({one.low:.3f}–{one.high:.3f})"


def _bench(record: ProcessRecord) -> Table:
    said = "" if record.threshold is None else f", threshold {record.threshold:.3f} from {record.threshold_from}"
    precision = "" if record.precision is None else f", {record.precision}"
    table = _table(f"{record.model}{precision}{said}", "rows", "with error (95%)", "without (95%)", "F1", "random")
    for one in record.subsets:
        chance = "" if one.random_f1 is None else f"{100 * one.random_f1:.1f}"
        counts = f"{one.name} ({one.errors} + {one.right})"
        table.add_row(counts, _text(one.with_error), _text(one.without_error), f"{100 * one.f1:.1f}", chance)
    return table


def _stress(record: ProcessRecord) -> Table:
    table = _table(
        f"stress tests, {record.aggregate} of step scores", "test", "score rises (95%)", "mean change", "solutions"
    )
    for one in record.stress:
        change = "" if one.mean_change is None else f"{one.mean_change:+.3f}"
        table.add_row(one.name.replace("_", " "), _text(one.risen), change, str(one.solutions))
    return table


def _best_of(record: ProcessRecord) -> Table:
    said = f", outcome reward by {record.outcome_model}" if record.outcome_model is not None else ""
    table = _table(f"best of N{said}", "N", *record.best_of[0].choices, "tokens")
    for one in record.best_of:
        figures = [_text(found) for found in one.choices.values()]
        table.add_row(str(one.n), *figures, f"{one.mean_tokens:.0f}")
    return table
