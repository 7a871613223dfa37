"""export/STAGE/export.json: what an exported folder was made from, so that it is continued or refused, never overwritten.

Neighbours: commands/export/exporting.py (writes and reads it), manifest.py (the hash of the policy).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from alignment.records.file_record import FileRecord

EXPORT = "export.json"


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file that was read back."""

    file: Annotated[str, "its name"]
    tensors: Annotated[int, "tensors that were compared with the safetensors"]
    largest_difference: Annotated[float, "the largest difference of a weight"]
    forms: Annotated[Mapping[str, int], "tensors by the form they are stored in"] = field(default_factory=dict)


@dataclass(frozen=True)
class ExportRecord(FileRecord):
    """What an exported folder was made from, and how it was proved."""

    recipe: Annotated[str, "the recipe's name"]
    stage: Annotated[str, "the stage whose policy it is"]
    policy: Annotated[str, "the hash of that policy"]
    dtype: Annotated[str, "the type of the weights that was asked for"]
    logits_distance: Annotated[float, "distance of the folder's logits from the policy's on a probe, in standard deviations"]  # fmt: skip
    gguf: Annotated[tuple[GgufFile, ...], "its GGUF files"] = ()
