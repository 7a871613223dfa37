"""What decides the rows of a mixture part, for the identity of a stage: the part, its source's declaration, its file's hash.

Neighbours: mixture.py (reads the rows), run/identity.py (a stage's identity).
"""

from pathlib import Path
from typing import Any

from alignment.data.sources.declared import Table, hub_table, local_path
from alignment.data.sources.named import INSTEAD_OF_HUB, is_own, source_of
from alignment.data.tables.files import table_hash
from alignment.data.tables.hub import hub_revision
from alignment.recipe.blocks.data import MixturePart

NEW_FIELDS = (
    "steps",
    "completion",
    "chosen",
    "rejected",
    "margin",
    "system",
    "kept",
)  # of a declaration; where unset, they are no part of an identity


def describe_part(part: MixturePart) -> dict[str, Any]:
    """What decides the rows of a part, for the stage's identity: the part and its source's declaration.

    A file of the user's own is known by its contents and not by its path, so that a folder may be renamed.
    """
    written = part.model_dump(mode="json")
    for name in ("fields", "configuration", "revision"):
        if not written[name]:
            del written[name]
    if part.source is None:
        return {"part": written, "source": None}
    source = source_of(part)
    described = source.model_dump(mode="json")
    if isinstance(source, Table):
        described["fields"] = {
            name: value
            for name, value in described["fields"].items()
            if value not in (None, [], False) or name not in NEW_FIELDS
        }
    if not is_own(part.source):
        return {"part": written, "source": described}
    if isinstance(source, Table) and source.file is None and source.hub is not None:
        described["revision"] = hub_revision(hub_table(source), INSTEAD_OF_HUB)
        return {"part": written, "source": described}
    written["source"] = described["file"] = Path(part.source).name
    path = local_path(source, None) if isinstance(source, Table) else None
    return {"part": written, "source": described, "sha256": table_hash(path) if path else None}
