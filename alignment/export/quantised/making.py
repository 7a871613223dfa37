"""Makes a quantised folder beside a whole one: llm-compressor in a process of its own, and what it left is read back.

transformers of this environment reads it, with the compressed-tensors that vLLM brings. Neighbours: job.py (the
process), forms.py, commands/export/quantising.py (measures it against the original).
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from alignment.core.console import open_console
from alignment.core.errors import ArtifactError
from alignment.export.quantised.forms import Form, QuantisationWork
from alignment.recipe.blocks.hardware import Hardware
from alignment.records.export import EXPORT
from alignment.run.process_environment import environment
from alignment.run.watch import refuse_failure, watched
from alignment.training.saved import loaded_logits

FARTHEST = 1.0  # standard deviations of logits, past which nothing of the policy is left
NOT_COPIED = frozenset(("README.md", "config.json", EXPORT))


def make_quantised(original: Path, folder: Path, form: Form, rows: Sequence[Sequence[int]], quantiser: Path) -> float:
    """Write a model folder in a form; returns the mean distance of its logits from the original's, in standard deviations.

    rows: token ids to calibrate on. quantiser: the folder with llm-compressor. Raises StageFailed with its error, and ArtifactError
    for what computes something else when it is read back.
    """
    work, log = folder.parent / "work.json", folder.parent / "quantise.log"
    QuantisationWork(str(original), str(folder), form.name, tuple(map(tuple, rows))).write(work)
    env = environment(Hardware(), offline=True)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(quantiser.resolve()), *sys.path)))
    title = f"quantising to {form.name}"
    command = [sys.executable, "-m", "alignment.export.quantised.job", str(work)]
    refuse_failure(watched(title, command, log, open_console(stderr=True), env), title, log)
    for path in sorted(original.iterdir()):
        of_weights = path.suffix in (".safetensors", ".gguf") or path.name.endswith(".safetensors.index.json")
        if path.is_file() and not of_weights and path.name not in NOT_COPIED:
            shutil.copyfile(path, folder / path.name)
    return _distance(original, folder)


def _distance(original: Path, folder: Path) -> float:
    expected_TV = loaded_logits(AutoModelForCausalLM.from_pretrained(original, dtype="auto", use_safetensors=True))
    try:
        made = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", use_safetensors=True)
    except ImportError as error:
        raise ArtifactError(f"{folder} cannot be read back: {error}; pip install 'alignment[cpu]' or [gpu]") from error
    distance = float((loaded_logits(made) - expected_TV).abs().mean() / expected_TV.std().clamp(min=1e-6))
    if not distance <= FARTHEST or not torch.isfinite(torch.tensor(distance)):
        raise ArtifactError(
            f"read back, the quantised model is another one: on a probe its logits are {distance:.2g} standard deviations from "
            "the original's; try another form"
        )
    return distance
