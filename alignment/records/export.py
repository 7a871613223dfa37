"""export/STAGE/export.json, and export/STAGE-FORM/export.json: what an exported folder was made from, so that it is continued or refused, never overwritten.

Neighbours: commands/export/exporting.py (writes and reads it), manifest.py (the hash of the policy).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from alignment.core.statistics.estimate import Estimate
from alignment.core.vocabulary import Mode
from alignment.records.file_record import FileRecord

EXPORT = "export.json"


@dataclass(frozen=True)
class QuantisedMode:
    """The original and a form with rounded weights on the recipe's tasks, in one mode."""

    mode: Annotated[Mode, "the mode"]
    count: Annotated[int, "judged answers of the quantised form"]
    original: Annotated[Estimate, "accuracy of the original, with its interval"]
    quantised: Annotated[Estimate, "accuracy of the quantised form, with its interval"]
    difference: Annotated[float | None, "the second minus the first"]
    verdict: Annotated[str, "loss, gain or no clear change, by a two-proportion z-test at 95%"]


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file that was read back."""

    file: Annotated[str, "its name"]
    tensors: Annotated[int, "tensors that were compared with the safetensors"]
    largest_difference: Annotated[float, "the largest difference of a weight"]
    forms: Annotated[Mapping[str, int], "tensors by the form they are stored in"] = field(default_factory=dict)
    modes: Annotated[tuple[QuantisedMode, ...], "its answers, for a form that rounds weights away"] = ()

    @property
    def stored(self) -> str:
        """How its tensors are stored, in words: `29 Q8_0, 17 F32`."""
        return ", ".join(f"{count} {form}" for form, count in self.forms.items())


@dataclass(frozen=True)
class QuantisedExport:
    """How a folder was quantised, and what it was worth."""

    form: Annotated[str, "fp8, gptq or awq"]
    scheme: Annotated[str, "llm-compressor's name of the form"]
    versions: Annotated[Mapping[str, str], "of what made it"]
    calibration: Annotated[str, "what it was calibrated on; empty where nothing is needed"]
    rows: Annotated[int, "rows that it was calibrated on"]
    bytes: Annotated[int, "size of its weights"]
    original_bytes: Annotated[int, "size of the original's weights"]
    engine: Annotated[str | None, "what sampled its answers"] = None
    modes: Annotated[tuple[QuantisedMode, ...], "by mode; empty until it was measured"] = ()


@dataclass(frozen=True)
class ExportRecord(FileRecord):
    """What an exported folder was made from, and how it was proved."""

    recipe: Annotated[str, "the recipe's name"]
    stage: Annotated[str, "the stage whose policy it is"]
    policy: Annotated[str, "the hash of that policy"]
    dtype: Annotated[str, "the type of the weights that was asked for"]
    logits_distance: Annotated[float, "distance of the folder's logits from the policy's on a probe, in standard deviations"]  # fmt: skip
    gguf: Annotated[tuple[GgufFile, ...], "its GGUF files"] = ()
    quantised: Annotated[QuantisedExport | None, "of a quantised folder, STAGE-FORM"] = None
