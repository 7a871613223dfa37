"""The quantised forms that `alignment export` writes, and where llm-compressor is found. Imports nothing heavy.

llm-compressor 0.14 wants compressed-tensors 0.19 and vLLM 0.31 wants 0.17, so that both cannot lie in one environment. It gets a
folder of its own, which only its process has on its path; vLLM reads what it writes. Neighbours: making.py, job.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from typing import Literal

from alignment.core.errors import OptionError
from alignment.records.file_record import FileRecord

FormName = Literal["fp8", "gptq", "awq"]
NEEDED = ("llmcompressor", "compressed-tensors", "loguru")
INSTALL = "pip install --no-deps --target quantiser llmcompressor==0.14.0.1 compressed-tensors==0.19.0 loguru==0.7.3"


@dataclass(frozen=True)
class Form:
    """One form. scheme: llm-compressor's name of it. calibrated: whether rows are needed."""

    name: FormName
    scheme: str
    words: str
    calibrated: bool


FORMS: Mapping[str, Form] = {
    one.name: one
    for one in (
        Form("fp8", "FP8_DYNAMIC", "8-bit floats, weights by channel and activations by token", calibrated=False),
        Form("gptq", "W4A16", "4-bit weights in groups, by GPTQ (arXiv 2210.17323)", calibrated=True),
        Form("awq", "W4A16_ASYM", "4-bit weights in groups, scaled by AWQ (arXiv 2306.00978)", calibrated=True),
    )
}


@dataclass(frozen=True)
class QuantisationWork(FileRecord):
    """What job.py is asked for: folders, a form, and token ids to calibrate on."""

    model: str
    output: str
    form: FormName
    rows: tuple[tuple[int, ...], ...]

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max((len(one) for one in self.rows), default=0)


def quantiser_versions(folder: Path) -> dict[str, str]:
    """Versions of llm-compressor and what it needs, by name. Raises OptionError for a folder that does not hold them."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.dist-info")):
        one: Distribution = PathDistribution(path)
        found[str(one.metadata["Name"]).lower().replace("_", "-")] = one.version
    missing = [name for name in NEEDED if name not in found]
    if missing:
        raise OptionError(f"--quantiser {folder}: {', '.join(missing)} is not in it; write `{INSTALL}`")
    return {name: found[name] for name in NEEDED[:2]}
