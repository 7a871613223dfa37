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
from alignment.commands.export.answers import answered, compared, of_original, said
from alignment.export.gguf.reading import read_gguf
from alignment.export.gguf.writing import GgufType, write_gguf
from alignment.records.export import EXPORT, ExportRecord, GgufFile
from alignment.records.policies import Policy

if TYPE_CHECKING:
    from alignment.recipe.schema import Recipe

ROUNDED = ("q8_0",)  # forms whose answers may be others


def with_gguf(
    run: Path, recipe: "Recipe", policy: Policy, folder: Path, record: ExportRecord, form: GgufType, rule: str | None
) -> ExportRecord:
    """Add a GGUF file to an export, unless it has that. rule: as in `write_gguf`. Raises as that does, and StageFailed.

    It is written and measured beside the export, and gets its place in the end.
    """
    name = f"{record.recipe}-{record.stage}-{form}.gguf"
    measures = form in ROUNDED and bool(recipe.evaluations.after_each_stage)
    if any(one.file == name and (one.modes or not measures) for one in record.gguf) and (folder / name).is_file():
        return record
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        file = Path(scratch) / name
        found = write_gguf(folder, file, form, rule)
        added = GgufFile(name, found.tensors, found.largest_difference, found.forms)
        if measures:
            options, read = EvaluateOptions(run, policy.name), Path(scratch) / file.stem
            read_gguf(file, folder, read)
            after = answered(options, read, file.stem)
            added = replace(added, modes=tuple(compared(of_original(run, policy, options), after)))
        file.replace(folder / name)
    record = replace(record, gguf=(*(one for one in record.gguf if one.file != name), added))
    record.write(folder / EXPORT)
    return record


def gguf_lines(folder: Path, record: ExportRecord) -> Iterator[str]:
    """What the command says of an export's GGUF files."""
    for one in record.gguf:
        yield (
            f"{folder / one.file}: {one.tensors} tensors ({one.stored}) read back; the largest difference is "
            f"{one.largest_difference:.2g}"
        )
        yield from said(one.modes)
