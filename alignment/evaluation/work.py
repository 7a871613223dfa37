"""The work file that a command writes for the process that measures. Imports no torch.

Neighbours: job.py (`alignment evaluate`), sweep/job.py (`alignment budget`); commands/ writes these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from alignment.core.typed_json import Json
from alignment.records.file_record import FileRecord


@dataclass(frozen=True)
class EvaluationWork(FileRecord):
    """One policy to be measured in both modes."""

    name: Annotated[str, "the stage, or the model folder's name"]
    policy: Annotated[str, "its folder"]
    settings: Annotated[Mapping[str, Json], "the recipe's `evaluations`, with the options on top"]
    files: Annotated[Mapping[str, str], "local files in place of public tasks, by task"]
    trust_remote_code: Annotated[bool, "whether code that comes with the model may run"] = False
