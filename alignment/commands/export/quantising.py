"""A quantised form of an export: made, read back, and measured on the recipe's tasks beside the original before it is called done.

The original's figures are those that the run recorded after the stage, or are measured first. The same problems, seeds and
settings are asked of both. Neighbours: exporting.py (asks), export/quantised/ (makes it), commands/evaluate/ (measures).
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alignment.commands.evaluate.measuring import measured
from alignment.commands.evaluate.options import EvaluateOptions
from alignment.core.errors import OptionError
from alignment.core.statistics.intervals import as_text
from alignment.core.vocabulary import MODES, Mode
from alignment.export.quantised.forms import Form, quantiser_versions
from alignment.records.evaluation import EvaluationRecord
from alignment.records.export import EXPORT, ExportRecord, QuantisedExport, QuantisedMode
from alignment.records.policies import Policy
from alignment.records.run_folder import RunFolder
from alignment.report.changes import accuracy_change

if TYPE_CHECKING:
    from alignment.recipe.schema import Recipe


@dataclass(frozen=True)
class Asked:
    """What is quantised, how, and with what."""

    run: Path
    recipe: "Recipe"
    policy: Policy
    form: Form
    quantiser: Path
    calibration: str | None


def quantised_export(asked: Asked, original: Path, folder: Path, wanted: ExportRecord) -> ExportRecord:
    """Write the folder of a quantised form, whole and measured or not at all.

    Raises OptionError for what cannot work, StageFailed and ArtifactError.
    """
    from alignment.export.quantised.making import make_quantised
    from alignment.export.quantised.rows import calibration_rows

    versions, options = quantiser_versions(asked.quantiser), EvaluateOptions(asked.run, asked.policy.name)
    if not asked.recipe.evaluations.after_each_stage:
        raise OptionError(
            "the recipe's evaluations name no task, so that nothing would say what a quantised form is worth"
        )
    what, rows = "", list[list[int]]()
    if asked.form.calibrated:
        run = RunFolder.open(asked.run)
        what, rows = calibration_rows(asked.recipe, run, original, asked.policy.name, asked.calibration)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        made = Path(scratch) / "model"
        distance = make_quantised(original, made, asked.form, rows, asked.quantiser)
        sizes = _weights(made), _weights(original)
        found = QuantisedExport(asked.form.name, asked.form.scheme, versions, what, len(rows), *sizes)
        before, after = _of_original(asked, options), _answered(options, made, f"{asked.policy.name}-{asked.form.name}")
        found = replace(found, engine=after[MODES[0]].figures.engine, modes=tuple(_compared(before, after)))
        record = replace(wanted, logits_distance=distance, quantised=found)
        record.write(made / EXPORT)
        made.rename(folder)
    return record


def summary_lines(folder: Path, record: ExportRecord) -> Iterator[str]:
    """What the command says of a quantised form."""
    found = record.quantised
    assert found is not None  # noqa: S101  the caller's
    yield (
        f"{folder}: {found.form}, {found.bytes / 1e6:.1f} MB in place of {found.original_bytes / 1e6:.1f}; read back, its logits "
        f"are {record.logits_distance:.2g} standard deviations from the original's"
    )
    for one in found.modes:
        said = f"{one.mode}: {as_text(one.quantised, 0)}, the original {as_text(one.original, 0)}; {one.verdict}"
        yield f"warning: clearly worse, {said}" if one.verdict == "loss" else said


def _of_original(asked: Asked, options: EvaluateOptions) -> dict[Mode, EvaluationRecord]:
    """The run's own figures of the stage, or those of the answers that it gives now."""
    recorded = RunFolder.open(asked.run).find(asked.policy.name).evaluations
    if all((recorded / f"{mode}.json").is_file() for mode in MODES):
        return {mode: EvaluationRecord.read(recorded / f"{mode}.json") for mode in MODES}
    return _answered(options, asked.policy.folder, asked.policy.name)


def _answered(options: EvaluateOptions, folder: Path, name: str) -> dict[Mode, EvaluationRecord]:
    """Both modes of a model folder on the recipe's tasks. vLLM takes no float32 beside quantised weights: bfloat16 for both."""
    settings: dict[str, Any] = {**options.settings.model_dump(mode="json")}
    settings["engine"] = {**settings["engine"], "dtype": "bfloat16"}
    work = replace(options.work(), name=name, policy=str(folder), settings=settings)
    return dict(measured(work, options.hardware, offline=options.offline).modes)


def _compared(before: dict[Mode, EvaluationRecord], after: dict[Mode, EvaluationRecord]) -> Iterator[QuantisedMode]:
    for mode in MODES:
        first, second = before[mode].figures, after[mode].figures
        if first.count and second.count:
            found = accuracy_change(first, second)
            yield QuantisedMode(mode, second.count, first.accuracy, second.accuracy, found.accuracy, found.verdict)


def _weights(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
