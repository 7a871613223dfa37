"""Paths that a recipe names in `model`, `teacher`, `data`, `classifiers` and `chat_template`: files of the user's own, relative to the recipe's file.

They are made absolute when the recipe is loaded, so that every later reader, in whatever folder it runs, finds the same
file. Neighbours: recipe/reading/load.py (calls this), data/sources/rows.py (reads the files).
"""

from pathlib import Path
from typing import Any

from alignment.core.resources import EMBEDDED

DOUBLE = "double"  # in place of a judge's model: a rule, for rehearsals
# Of files of rows, and of files that people try: those are refused by what reads them, and not for want of a mixture.
ENDINGS = (
    ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".gz", ".yaml", ".yml",
    ".txt", ".zst", ".bz2", ".xz", ".zip", ".xlsx", ".feather", ".pkl",
)  # fmt: skip


def with_own_paths(values: Any, folder: Path) -> None:
    """Make the paths of files in `data` and of a template absolute, in place. Anything else is left for the schema."""
    if isinstance(values, dict) and is_template_path(values.get("chat_template")):
        values["chat_template"] = _absolute(values["chat_template"], folder)
    _with_own_model(values, folder)
    stages = values.get("stages") if isinstance(values, dict) else None
    _with_own_judges(values, folder)
    for stage in stages if isinstance(stages, list) else []:
        if isinstance(stage, dict):
            _with_own_data(stage, folder)
            _with_own_verdicts(stage.get("rewards"), folder)
            _with_own_model(stage.get("teacher"), folder)
            if isinstance(stage.get("tests"), list):
                stage["tests"] = [_absolute(name, folder) if is_path(name, folder) else name for name in stage["tests"]]
            for block in stage["classifiers"] if isinstance(stage.get("classifiers"), list) else []:
                if isinstance(block, dict) and is_path(block.get("model"), folder):
                    block["model"] = _absolute(block["model"], folder)
            if isinstance(stage.get("held_out"), dict):
                _with_own_data(stage["held_out"], folder)


def _with_own_model(block: Any, folder: Path) -> None:
    model = block.get("model") if isinstance(block, dict) else None
    if isinstance(model, str) and model not in ("", EMBEDDED) and _is_elsewhere(folder / model, Path(model)):
        block["model"] = _absolute(model, folder)


def _is_elsewhere(beside: Path, here: Path) -> bool:
    """Whether a folder lies beside the recipe, and the same path from the current folder is not it."""
    return beside.is_dir() and beside.resolve() != here.resolve()


def _with_own_judges(values: Any, folder: Path) -> None:
    """The models of `judges`, as the recipe's own."""
    judges = values.get("judges") if isinstance(values, dict) else None
    for judge in judges.values() if isinstance(judges, dict) else []:
        named = judge.get("model") if isinstance(judge, dict) else None
        if (
            isinstance(named, str)
            and named not in ("", EMBEDDED, DOUBLE)
            and _is_elsewhere(folder / named, Path(named))
        ):
            judge["model"] = _absolute(named, folder)


def _with_own_verdicts(rewards: Any, folder: Path) -> None:
    """The files of known verdicts and the folders of skills, which are always the user's own."""
    for reward in rewards if isinstance(rewards, list) else []:
        if isinstance(reward, dict) and isinstance(reward.get("skill"), str) and reward["skill"]:
            reward["skill"] = _absolute(reward["skill"], folder)
        asked = reward.get("agreement") if isinstance(reward, dict) else None
        if isinstance(asked, dict) and isinstance(asked.get("data"), str) and asked["data"]:
            asked["data"] = _absolute(asked["data"], folder)


def _with_own_data(block: dict[str, Any], folder: Path) -> None:
    if isinstance(block.get("data"), list):
        for part in block["data"]:
            if isinstance(part, dict) and is_path(part.get("source"), folder):
                part["source"] = _absolute(part["source"], folder)
    elif is_path(block.get("data"), folder):
        block["data"] = _absolute(block["data"], folder)


def is_path(name: Any, folder: Path) -> bool:
    """Whether a name in `data` is a file or folder: it begins as a path or ends as a file of rows, or there is such a folder.

    `data/chats` is a folder if there is one beside the recipe, else the id of a data set on the hub.
    """
    if not isinstance(name, str) or not name:
        return False
    begins = name.startswith(("./", "../", "/", "~/")) or name.lower().endswith(ENDINGS)
    return begins or name.count("/") > 1 or ("/" in name and (folder / name).exists())


def is_template_path(name: Any) -> bool:
    """Whether `chat_template` is a file and not a name: it begins as a path, or ends with .jinja."""
    return isinstance(name, str) and (name.startswith(("./", "../", "/", "~/")) or name.endswith(".jinja"))


def _absolute(name: str, folder: Path) -> str:
    return str((folder / Path(name).expanduser()).resolve())
