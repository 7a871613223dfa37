"""`alignment merge`: writes the merged model, loads it as anybody would, and compares it with base and adapter.

Neighbours: inference/adapters.py (merges), training/saved.py (compares), records/policies.py (finds a run's stage).
"""

import tempfile
from pathlib import Path

from alignment.core.console import open_console
from alignment.core.errors import ArtifactError, OptionError
from alignment.records.adapter import adapter_folder
from alignment.records.policies import named_policies

FEW_KEPT = 0.9  # of an adapter's updates: below it the loss is said


def merged(adapter: Path, into: Path, *, stage: str | None, dtype: str) -> None:
    """Write the merged model into a new folder. Raises OptionError or ArtifactError, and leaves no folder behind then."""
    policy = _policy(adapter, stage)
    if into.exists():
        raise OptionError(f"{into} exists already; write another folder for --into")
    from transformers.utils.logging import disable_progress_bar

    from alignment.inference.adapters import merge_into
    from alignment.training.saved import loaded_logits, refuse_another_policy

    disable_progress_bar()
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=f".{into.name}-") as scratch:
        made = Path(scratch) / "model"
        found = merge_into(str(policy), made, dtype)
        distance = refuse_another_policy(made, loaded_logits(found.adapted))
        made.rename(into)
    console = open_console()
    console.print(f"{into}: {policy} merged; on a probe its logits are {distance:.1e} standard deviations from the "
                  "adapter's on its base", highlight=False, markup=False, soft_wrap=True)  # fmt: skip
    if found.kept is not None and found.kept < FEW_KEPT:
        console.print(
            f"warning: {found.kept:.0%} of the adapter's updates are left; the others are smaller than the rounding of these "
            "weights. Write --dtype float32, or use the adapter as it is", style="yellow", highlight=False, soft_wrap=True,
        )  # fmt: skip


def _policy(adapter: Path, stage: str | None) -> Path:
    """The folder with the adapter: the one named, or the output of a run's stage. Raises ArtifactError if there is none."""
    if adapter_folder(adapter) is not None and stage is None:
        return adapter
    if not adapter.is_dir():
        raise ArtifactError(
            f"there is no folder {adapter}; write a run directory, or a folder with adapter_config.json"
        )
    folder = named_policies(adapter, [] if stage is None else [stage])[0].folder
    if adapter_folder(folder) is None:
        raise ArtifactError(f"{folder} has no adapter: the stage trained all weights, and is a whole model already")
    return folder
