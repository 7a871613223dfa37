"""Training rows as a table of `datasets` on disk, so that memory holds only the rows of a step.

It lies among the stage's checkpoints, which are cleared when the stage has finished. Neighbours: stages/ (write rows),
data/tables/spool.py (rows before they are put into tokens).
"""

import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from datasets import Dataset
from datasets.arrow_writer import ArrowWriter

from alignment.training.context import StageContext


def disk_table(context: StageContext, name: str, rows: Iterable[Mapping[str, Any]]) -> Dataset | None:
    """A table of these rows, memory-mapped; None without a row. name: of its folder, one for each rank."""
    folder = context.folder.checkpoints / f"{name}-{context.rank}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / "rows.arrow"
    with ArrowWriter(path=str(path), writer_batch_size=100) as writer:
        count = 0
        for row in rows:
            writer.write(dict(row))
            count += 1
        if not count:
            return None
        writer.finalize()
    return Dataset.from_file(str(path))
