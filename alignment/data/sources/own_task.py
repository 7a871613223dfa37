"""Reads evaluation tasks of the user's own, and asks their rows as they say.

A task is a source for evaluation alone, with what only a measurement needs beside it. rows.py reads its rows as those
of any table. Neighbours: recipe/blocks/own_task.py (the fields), evaluation/task.py (its problems), evaluation/grading.py (its
grader), recipe/own/code.py (paths).
"""

import importlib.metadata
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from alignment.core.errors import DataError
from alignment.core.files import file_hash
from alignment.data.rows import Problem
from alignment.recipe.blocks.own_task import OwnTask
from alignment.recipe.issue import nearest
from alignment.recipe.own.code import LM_EVAL, own_task, with_own_environment, with_own_grader
from rewards.own.loading import code_files, is_own, own_name

ENDINGS = (".yaml", ".yml")
_PLACE = re.compile(r"\{(\w+)\}")


def as_asked(task: OwnTask, problem: Problem) -> Problem:
    """A problem as a task asks it."""
    if task.prompt is not None:
        known = {**problem.columns, "question": problem.question, "answer": problem.answer}
        text = _PLACE.sub(lambda found: str(known.get(found[1], found[0])), task.prompt)
        problem = problem.with_question(text)
    if task.system is None:
        return problem
    turns = [turn for turn in problem.messages if turn["role"] != "system"]
    return replace(problem, messages=[{"role": "system", "content": task.system}, *turns])


def task_of(name: str) -> OwnTask | None:
    """The task that a name means; None for a source of the project, and for a file of rows or a source's declaration.

    Raises DataError for a file that is no task, with every error in it.
    """
    path = Path(name)
    if not path.is_absolute() or path.suffix not in ENDINGS:
        return None
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"there is no file {path}; a task is named by its path from the recipe, or from here"
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: cannot be read as a task ({error})") from error
    if not isinstance(written, dict):
        raise DataError(f"{path}: a task is a mapping with `rows` and `grader`; found {type(written).__name__}")
    if written.get("kind") in ("table", "procedural"):
        return None  # the declaration of a source
    folder, written = path.parent, {"name": path.stem, **written}
    written["rows"] = own_task(written.get("rows"), folder)
    with_own_grader(written.get("grader"), folder)
    with_own_environment(written, folder)
    try:
        return OwnTask.model_validate(written)
    except ValidationError as error:
        raise DataError(f"{path}: {'; '.join(_fault(one) for one in error.errors())}") from error


def task_name(name: str) -> str:
    """A task as reports name it: one of the user's own without its folder."""
    if name.startswith(LM_EVAL):
        return LM_EVAL + Path(name.removeprefix(LM_EVAL)).name
    if not Path(name).is_absolute():
        return name
    try:
        task = task_of(name)
    except DataError:
        task = None
    return Path(name).name if task is None else task.name


def task_content(name: str) -> dict[str, Any] | None:
    """What decides the figures of a task of the user's own or of another package; None for any other source."""
    if name.startswith(LM_EVAL):
        file = Path(name.removeprefix(LM_EVAL).partition(":")[0])
        return {"lm_eval": _harness_version(), "file": file_hash(file) if file.is_absolute() else None}
    task = task_of(name)
    if task is None:
        return None
    rows = Path(task.rows)
    unsaid = {"environment"} if task.environment is None else set()  # it is not asked for: as before there was one
    settings = task.model_dump(mode="json", exclude={"description", "rows", *unsaid})
    code: dict[str, str] = {}
    for block in ("grader", "environment"):
        kind = str((settings.get(block) or {}).get("kind"))
        if is_own(kind):
            settings[block]["kind"] = own_name(kind).short
            code |= code_files(kind)
    return {**settings, "code": code, "rows": file_hash(rows) if rows.is_file() else rows.name}


def _harness_version() -> str | None:
    try:
        return importlib.metadata.version("lm_eval")
    except importlib.metadata.PackageNotFoundError:
        return None


def _fault(error: Any) -> str:
    place = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown key; {nearest(str(error['loc'][-1]), OwnTask.model_fields)}"
    said = str(error["msg"]).removeprefix("Value error, ")
    return (
        f"{place}: {said}"
        if error["type"] != "missing"
        else f"{place}: is missing; {OwnTask.model_fields[place].description}"
    )
