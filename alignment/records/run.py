"""run.json and stage.json: the recipe of a run directory, and the identity of a started stage.

Neighbours: run_folder.py (where they lie), manifest.py (how a stage ended); run/plan.py and run/base_model.py write them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from alignment.core.machine import Machine
from alignment.core.typed_json import Json
from alignment.records.file_record import FileRecord


@dataclass(frozen=True)
class RunRecord(FileRecord):
    """The recipe, seed and machine of a run directory. Written once, when the run starts."""

    recipe: Annotated[str, "the recipe's name"]
    seed: Annotated[int | None, "the recipe's seed"]
    model: Annotated[str, "the model that the run starts from, as the recipe names it, with @ and its revision if it names one"] = "unknown"  # fmt: skip
    started: Annotated[str | None, "when the run began, ISO 8601 in UTC"] = None
    versions: Annotated[Mapping[str, str], "version of each package that decides a result"] = field(
        default_factory=dict
    )
    hardware: Annotated[Machine | None, "the machine on which the run began"] = None


@dataclass(frozen=True)
class StageStart(FileRecord):
    """The identity of a stage. Written when its process first starts."""

    name: Annotated[str, "the stage's name"]
    kind: Annotated[str, "its kind"]
    identity: Annotated[Mapping[str, Json], "everything that decides its result, as in the manifest"]
    processes: Annotated[int | None, "how many processes write its checkpoints; null where nothing is trained"] = None
    sharding: Annotated[str | None, "the form of its checkpoints: DDP, ZeRO-2, ZeRO-3, FSDP2; null where nothing is trained"] = None  # fmt: skip


@dataclass(frozen=True)
class PreparedBase(FileRecord):
    """What the model that the run starts from was prepared from, where it had to be. Written last of base/."""

    model: Annotated[str, "the model, as the recipe names it"]
    add_tokens: Annotated[tuple[str, ...], "tokens that were added"] = ()
    template: Annotated[str | None, "the chat template that was set"] = None
    revision: Annotated[str | None, "the revision of a hub model, where the recipe names one"] = None
