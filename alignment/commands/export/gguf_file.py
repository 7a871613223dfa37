"""The GGUF file of an export: written, read back, and, where its form rounds weights away, measured on the recipe's tasks.

Its weights are measured as transformers reads them, by the engine of the recipe. Neighbours: exporting.py (asks),
export/gguf/ (writes it), answers.py (the comparison).
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from alignment.commands.evaluate.options import EvaluateOptions
from alignment.commands.export.answers import Answers, answered, compared, of_original, said
from alignment.export.gguf.writing import GgufType, write_gguf
from alignment.records.export import EXPORT, ExportRecord, GgufFile
from alignment.records.policies import Policy

if TYPE_CHECKING:
    from alignment.recipe.schema import Recipe

ROUNDED = ("q8_0",)  # forms whose answers may be others


def with_gguf(
    run: Path, recipe: "Recipe", policy: Policy, folder: Path, record: ExportRecord, form: GgufType, rule: str | None
) -> ExportRecord:
    """Add a GGUF file to an export, unless it has that. rule: as in `write_gguf`. Raises as that does."""
    file = folder / f"{record.recipe}-{record.stage}-{form}.gguf"
    if file.is_file() and any(one.file == file.name for one in record.gguf):
        return record
    found = write_gguf(folder, file, form, rule)
    added = GgufFile(file.name, found.tensors, found.largest_difference, found.forms)
    if form in ROUNDED and recipe.evaluations.after_each_stage:
        options = EvaluateOptions(run, policy.name)
        before, after = of_original(run, policy, options), _answers_of(file, options)
        added = replace(added, modes=tuple(compared(before, after)))
    record = replace(record, gguf=(*(one for one in record.gguf if one.file != file.name), added))
    record.write(folder / EXPORT)
    return record


def gguf_lines(folder: Path, record: ExportRecord) -> Iterator[str]:
    """What the command says of an export's GGUF files."""
    for one in record.gguf:
        forms = ", ".join(f"{count} {form}" for form, count in one.forms.items())
        yield (
            f"{folder / one.file}: {one.tensors} tensors ({forms}) read back; the largest difference is "
            f"{one.largest_difference:.2g}"
        )
        yield from said(one.modes)


def _answers_of(file: Path, options: EvaluateOptions) -> Answers:
    from alignment.export.gguf.reading import read_gguf

    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".read-") as scratch:
        read = Path(scratch) / file.stem
        read_gguf(file, read)
        return answered(options, read, file.stem)
