"""A quantised form of an export: made, read back, and measured on the recipe's tasks beside the original before it is called done.

Neighbours: exporting.py (asks), export/quantised/ (makes it), answers.py (measures it beside the original).
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alignment.commands.evaluate.options import EvaluateOptions
from alignment.commands.export.answers import answered, compared, of_original, said
from alignment.core.errors import OptionError
from alignment.core.vocabulary import MODES
from alignment.export.quantised.forms import Form, quantiser_versions
from alignment.records.export import EXPORT, ExportRecord, QuantisedExport
from alignment.records.policies import Policy
from alignment.records.run_folder import RunFolder

if TYPE_CHECKING:
    from alignment.recipe.schema import Recipe


DTYPE = "bfloat16"  # vLLM takes no float32 beside quantised weights


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
        before = of_original(asked.run, asked.policy, options, DTYPE)
        after = answered(options, made, f"{asked.policy.name}-{asked.form.name}", DTYPE)
        found = replace(found, engine=after[MODES[0]].figures.engine, modes=tuple(compared(before, after)))
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
    yield from said(found.modes)


def _weights(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
