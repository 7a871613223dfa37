"""The keys that `trainer:` may hold for a stage kind, read from TRL's source without importing it.

Importing TRL takes seconds and needs torch; a dataclass's fields can be read from its file. tests/house compares them with
the imported classes, so a change in TRL fails there first. Neighbours: kinds.py (a kind names its config class and the keys
that it sets itself).
"""

import ast
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

_PARENTS = {
    "_BaseConfig": ("trl", "trainer/base_config.py", "_BaseConfig"),
    "TrainingArguments": ("transformers", "training_args.py", "TrainingArguments"),
}
# Keys that are refused under `trainer:` for every kind, and what to write instead.
OWNED_BY_EVERY_STAGE = {
    "output_dir": "the run directory decides it",
    "resume_from_checkpoint": "running again is resuming",
    "seed": "write `seed` at the top of the recipe",
    "data_seed": "write `seed` at the top of the recipe",
    "report_to": "write `report_to` at the top of the recipe",
    "save_steps": "write `save_every_steps` beside `trainer`",
    "save_strategy": "write `save_every_steps` beside `trainer`",
    "push_to_hub": "a run writes to its own directory only",
    "use_cpu": "hardware.accelerate decides it",
    "deepspeed": "hardware.accelerate decides it: choose zero2 or zero3 there",
    "fsdp": "hardware.accelerate decides it",
    "fsdp_config": "hardware.accelerate decides it",
    "logging_steps": "metrics, alarms and the report need every step; leave it out",
    "logging_strategy": "metrics, alarms and the report need every step; leave it out",
    "logging_nan_inf_filter": "it would write the mean of earlier losses in place of NaN; leave it out",
    "remove_unused_columns": "the stage prepares its own columns",
    "disable_tqdm": "the stage reports progress itself",
    # What a stage that is killed could not resume with to the same end.
    "save_only_model": "a checkpoint without the optimizer's state cannot be resumed from; write a larger "
    "`save_every_steps` beside `trainer` to write less",
    "ignore_data_skip": "a resumed stage would train on the first rows of the epoch again; leave it out",
    "enable_jit_checkpoint": "write `save_every_steps` beside `trainer`; running again is resuming",
    "auto_find_batch_size": "the batch would depend on the memory that is free; write per_device_train_batch_size",
    # What has no effect here.
    **dict.fromkeys(("do_train", "do_predict", "local_rank"), "it has no effect; leave it out"),
    "length_column_name": "it has no effect: rows are not grouped by length; leave it out",
    **dict.fromkeys(
        ("hub_always_push", "hub_model_id", "hub_private_repo", "hub_revision", "hub_strategy", "hub_token"),
        "it has no effect: a run writes to its own directory only; leave it out",
    ),
}
# Of the config classes of TRL alone.
OWNED_WITH_TRL = {
    "model_init_kwargs": "the stage loads the model itself",
    "trust_remote_code": "write `trust_remote_code` at the top of the recipe",
}
NEEDS: Mapping[str, tuple[str, tuple[Any, ...]]] = {"liger_kernel_config": ("use_liger_kernel", (True,))}
MOVING_REFERENCE = (
    "a reference that moves is not in a checkpoint, so that a resumed stage would go on with another; write a further stage, "
    "whose reference is the policy that it starts from"
)
TRUNCATION = "rows that are too long are left out and counted, never truncated"


@dataclass(frozen=True)
class TrainerKeys:
    """The config class whose fields `trainer:` may hold.

    own: keys that the kind sets itself, with what to write instead. needs: keys that change nothing unless another key has
    one of some values; a list holds them where one of its items does. names: the values that a key may have.
    """

    package: str
    file: str  # within the package
    class_name: str
    own: Mapping[str, str]  # beside OWNED_BY_EVERY_STAGE
    needs: Mapping[str, tuple[str, tuple[Any, ...]]] = field(default_factory=dict)  # beside NEEDS
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    learning_rate: float | None = None  # the class's own default, for all weights; tests/house compares them

    @property
    def owned(self) -> dict[str, str]:
        """Every refused key, with what to write instead."""
        return {**OWNED_BY_EVERY_STAGE, **(OWNED_WITH_TRL if self.package == "trl" else {}), **self.own}

    def known(self) -> frozenset[str] | None:
        """Every field of the class and its parents, or None if the package is not installed.

        Raises LookupError if the installed version has no such class.
        """
        found = _fields(self.package, self.file, self.class_name)
        return None if found is None else frozenset(found)

    def needed(self, key: str) -> tuple[str, tuple[Any, ...]] | None:
        """The key without which this one changes nothing, and the values that it has to have; None for most."""
        return {**NEEDS, **self.needs}.get(key)

    def form(self, key: str) -> str:
        """The type of a field as the class writes it: `bool`, `float | None`; empty where it is not known."""
        return (_fields(self.package, self.file, self.class_name) or {}).get(key, "")


@cache
def _fields(package: str, file: str, class_name: str) -> Mapping[str, str] | None:
    """{name: type} of every field of a class and its parents; None if the package is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / file
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            names = {
                item.target.id: ast.unparse(item.annotation)
                for item in node.body
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            }
            for base in node.bases:
                if isinstance(base, ast.Name) and base.id in _PARENTS:
                    names = {**(_fields(*_PARENTS[base.id]) or {}), **names}
            return {name: form for name, form in names.items() if not name.startswith("_")}
    raise LookupError(f"{path} has no class {class_name}: this version of {package} is not the one in constraints.txt")


@cache
def enumerated(package: str, file: str, class_name: str) -> frozenset[str]:
    """The values of an enumeration of texts, read from its package's source; empty if that is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return frozenset()
    tree = ast.parse((Path(spec.origin).parent / file).read_text(encoding="utf-8"))
    found = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name)
    values = [item.value for item in found.body if isinstance(item, ast.Assign)]
    return frozenset(one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str))
