"""An adapter as a run's start: PEFT's folder or a hub id, merged with its base into the run's base/.

The adapter is kept beside the merged model, as a stage with LoRA leaves one, so that the first stage can begin on the
merged policy or continue the adapter. Neighbours: run/base_model.py (prepares base/), records/adapter.py (adapters on
disk), inference/adapters.py (merges).
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from alignment.records.adapter import ADAPTER, ADAPTER_BASE, ADAPTER_CONFIG, AdapterBase, base_of, policy_hash

WEIGHTS = "adapter_model.safetensors"


@contextlib.contextmanager
def whole_model(adapter: Path | None, model: str, *, trust_remote_code: bool) -> Iterator[str]:
    """The folder of a whole model while it is read: the adapter and its base merged, or the model as it is.

    Raises ArtifactError if the adapter's base is gone or cannot be used.
    """
    if adapter is None:
        yield model
        return
    from alignment.inference.adapters import merged_copy

    with merged_copy(str(adapter), trust_remote_code=trust_remote_code) as folder:
        yield folder


def keep_adapter(adapter: Path, base: Path) -> None:
    """Put the adapter beside the model that it was merged into, with what its own base is."""
    (base / ADAPTER).mkdir()
    for name in (ADAPTER_CONFIG, WEIGHTS):
        shutil.copy2(adapter / name, base / ADAPTER / name)
    under = base_of(adapter)
    folder = Path(under)
    known = AdapterBase(str(folder.resolve()), policy_hash(folder)) if folder.is_dir() else AdapterBase(under)
    known.write(base / ADAPTER_BASE)
