"""`alignment export` of a prm stage: the model byte for byte, with a card that says what `alignment processbench` found.

Neighbours: exporting.py (policies), export/process_card.py (the card's own parts).
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from alignment.core.errors import OptionError
from alignment.core.files import write_text
from alignment.records.export import EXPORT, ExportRecord
from alignment.records.process import ProcessRecord
from alignment.records.run_folder import RunFolder, StageFolder

if TYPE_CHECKING:
    from alignment.recipe.schema import Recipe

MEASURED = "process.json"


def refuse_other_forms(stage: str, *, dtype: str, gguf: str | None, quantise: str | None) -> None:
    """Raise OptionError for what is made of policies alone."""
    asked = {"--gguf": gguf, "--quantise": quantise, "--dtype": None if dtype == "auto" else dtype}
    if given := [name for name, value in asked.items() if value is not None]:
        raise OptionError(
            f"{', '.join(given)} makes another form of a policy, and stage {stage} leaves a process reward model; leave it out"
        )


def write_process_model(stage: StageFolder, folder: Path, wanted: ExportRecord) -> ExportRecord:
    """Copy the model, all of it or nothing."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        made = Path(scratch) / "model"
        shutil.copytree(stage.output, made, ignore=shutil.ignore_patterns("training_args.bin", "README.md"))
        wanted.write(made / EXPORT)
        made.rename(folder)
    return wanted


def write_process_card(run: RunFolder, recipe: "Recipe", stage: str, folder: Path, licence: str | None) -> None:
    """README.md from what the run recorded, with the figures of the stage's process.json where it has one."""
    from alignment.export.card import CardFacts, model_card
    from alignment.export.process_card import ProcessModelFacts
    from alignment.report import build_report, read_run

    found = run.find(stage)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    measured = found.evaluations / MEASURED
    facts = ProcessModelFacts(
        step_token=str(config.get("step_token", "")),
        split_by=str((config.get("step_split") or {}).get("by", "blank_line")),
        counts=dict(found.manifest().counts),
        measured=ProcessRecord.read(measured) if measured.is_file() else None,
    )
    report = build_report(read_run(run.path))
    write_text(folder / "README.md", model_card(CardFacts(report, recipe, stage, licence, process=facts)))
