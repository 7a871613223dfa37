"""Adapters on disk: where a policy's adapter lies, and the model that it belongs to.

A LoRA stage leaves `adapter/` beside a whole model or, with `output: adapter`, the adapter's files in place of one. Other
people's adapter folders have PEFT's config alone. Neighbours: policies.py (policies on the command line),
inference/adapters.py (loads and merges), training/policy.py (writes).
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from alignment.core.errors import ArtifactError
from alignment.core.files import content_hash, read_json
from alignment.records.file_record import FileRecord
from alignment.records.manifest import Manifest

ADAPTER, ADAPTER_BASE, ADAPTER_CONFIG = "adapter", "adapter_base.json", "adapter_config.json"


@dataclass(frozen=True)
class AdapterBase(FileRecord):
    """The model under an adapter, so that the adapter is never put on another one."""

    base: Annotated[str, "the model that the adapter was trained on: a hub id, or a folder, relative to this one within a run"]  # fmt: skip
    sha256: Annotated[str | None, "what the base's manifest records, or the hash of its files; none for a hub id"] = (
        None
    )
    quantised: Annotated[str | None, "`nf4` where the adapter was trained on the base in 4 bits"] = None


def adapter_folder(policy: Path) -> Path | None:
    """The folder with a policy's adapter, in PEFT's form; None for a policy without one."""
    return next((path for path in (policy, policy / ADAPTER) if (path / ADAPTER_CONFIG).is_file()), None)


def is_adapter_alone(policy: Path) -> bool:
    """Whether a folder has an adapter and no model: it can be used where its base is."""
    return (policy / ADAPTER_CONFIG).is_file() and not any(policy.glob("model*.safetensors"))


def describe_base(base: str, output: Path, quantised: str | None = None) -> AdapterBase:
    """What adapter_base.json says of a base, for an adapter in `output`: near paths are relative, so that a run can move."""
    folder = Path(base)
    if not folder.is_dir():
        return AdapterBase(base, None, quantised)
    near = folder.resolve().is_relative_to(output.resolve().parents[1])
    path = os.path.relpath(folder.resolve(), output.resolve()) if near else str(folder.resolve())
    return AdapterBase(path, policy_hash(folder), quantised)


def base_of(policy: Path) -> str:
    """The model under a policy's adapter: a folder or a hub id. Raises ArtifactError if it is gone, or is another one now."""
    noted = policy / ADAPTER_BASE
    if not noted.is_file():
        return _as_peft_says(policy)
    said = AdapterBase.read(noted)
    if said.sha256 is None:
        return said.base
    folder = Path(os.path.normpath(policy / said.base))  # an absolute path stays as it is
    if not folder.is_dir():
        raise ArtifactError(
            f"{policy}: the model under its adapter is not at {folder}; put it back there, or merge the adapter where it is"
        )
    if policy_hash(folder) != said.sha256:
        raise ArtifactError(
            f"{policy}: its adapter was trained on another model than {folder} holds now; use the base that it was trained on"
        )
    return str(folder)


def quantised_base(policy: Path) -> str | None:
    """In which 4-bit form the base was held when a policy's adapter was trained; None for a whole one."""
    noted = policy / ADAPTER_BASE
    return AdapterBase.read(noted).quantised if noted.is_file() else None


def policy_hash(folder: Path) -> str:
    """By what a model folder is known: its stage's manifest, or its files' contents."""
    manifest = folder.parent / "manifest.json"
    return Manifest.read(manifest).output_hash if manifest.is_file() else content_hash(folder)


def _as_peft_says(policy: Path) -> str:
    """The base in PEFT's own config, for an adapter that this toolkit did not write."""
    folder = adapter_folder(policy)
    said = None if folder is None else read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    if not said:
        raise ArtifactError(f"{policy}: its adapter does not name the model under it; add base_model_name_or_path")
    return str(said)
