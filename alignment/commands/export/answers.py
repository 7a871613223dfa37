"""Another form of an exported policy, asked the recipe's tasks beside the original: the same problems, seeds and settings.

The original's figures are those that the run recorded after the stage, or are measured first. Neighbours: quantising.py and
gguf_file.py (ask), commands/evaluate/ (measures), report/changes.py (the comparison).
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from alignment.commands.evaluate.measuring import measured
from alignment.commands.evaluate.options import EvaluateOptions
from alignment.core.statistics.intervals import as_text
from alignment.core.vocabulary import MODES, Mode
from alignment.records.evaluation import EvaluationRecord
from alignment.records.export import QuantisedMode
from alignment.records.policies import Policy
from alignment.records.run_folder import RunFolder
from alignment.report.changes import accuracy_change

Answers = dict[Mode, EvaluationRecord]


def of_original(run: Path, policy: Policy, options: EvaluateOptions, dtype: str | None = None) -> Answers:
    """The run's own figures of the stage, or those of the answers that it gives now."""
    recorded = RunFolder.open(run).find(policy.name).evaluations
    if all((recorded / f"{mode}.json").is_file() for mode in MODES):
        return {mode: EvaluationRecord.read(recorded / f"{mode}.json") for mode in MODES}
    return answered(options, policy.folder, policy.name, dtype)


def answered(options: EvaluateOptions, folder: Path, name: str, dtype: str | None = None) -> Answers:
    """Both modes of a model folder on the recipe's tasks. dtype: of the engine; default: the recipe's."""
    settings: dict[str, Any] = {**options.settings.model_dump(mode="json")}
    if dtype is not None:
        settings["engine"] = {**settings["engine"], "dtype": dtype}
    work = replace(options.work(), name=name, policy=str(folder), settings=settings)
    return dict(measured(work, options.hardware, offline=options.offline).modes)


def compared(before: Answers, after: Answers) -> Iterator[QuantisedMode]:
    """The accuracies of each mode that has answers of both."""
    for mode in MODES:
        first, second = before[mode].figures, after[mode].figures
        if first.count and second.count:
            found = accuracy_change(first, second)
            yield QuantisedMode(mode, second.count, first.accuracy, second.accuracy, found.accuracy, found.verdict)


def said(modes: tuple[QuantisedMode, ...]) -> Iterator[str]:
    """What a command says of them; a clear loss as a warning."""
    for one in modes:
        text = f"{one.mode}: {as_text(one.quantised, 0)}, the original {as_text(one.original, 0)}; {one.verdict}"
        yield f"warning: clearly worse, {text}" if one.verdict == "loss" else text
