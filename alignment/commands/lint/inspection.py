"""`alignment lint`: inspects a recipe's stages, a mixture or a file of conversations.

The exit status is 1 if there is an error, else 0. Neighbours: lint/ (the faults), __init__.py (the options).
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from alignment.core.errors import ArtifactError, DataError
from alignment.core.resources import EMBEDDED
from alignment.data.mixture import (
    ArtifactPath,
    conversations_of,
    load_parts,
    mixture_names,
    pairs_of,
    policy_rows,
    problems_of,
)
from alignment.data.rows import Conversation
from alignment.lint.cases import SAMPLED_ROWS, Case, read_cases, sampled, sides
from alignment.lint.findings import Finding, Intent, count_of
from alignment.lint.linter import Inspection, inspect
from alignment.lint.page import render_page
from alignment.lint.settings import setting_of
from alignment.lint.terminal import print_inspection
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.issue import nearest
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields
from alignment.run.plan import RunPlan
from alignment.run.start.hub import pinned_folder

RECIPE_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True)
class Request:
    """The options of `alignment lint` as written."""

    data: str
    model: str | None = None
    stage: str | None = None
    rows: int = SAMPLED_ROWS
    shown: int = 3
    html: Path | None = None
    as_json: bool = False
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """Rows under one name, the intent of their stage, and findings from reading them."""

    name: str
    cases: list[Case]
    intent: Intent
    known: list[Finding]


def inspect_request(request: Request, console: Console) -> int:
    """Inspect the rows and print or write the findings; returns 1 if there is an error, else 0.

    Raises DataError, RecipeError, or ArtifactError if the page cannot be written.
    """
    recipe, subjects = _subjects(request)
    model = request.model or (_model_of(recipe) if recipe else None)
    if model is None:
        raise DataError(f"{request.data} names no model; write --model FOLDER or --model embedded")
    setting = setting_of(model, recipe)
    found = [inspect(setting, one.cases, one.intent, one.name, one.known) for one in subjects]
    if request.html is not None:
        try:
            request.html.write_text(render_page(found), encoding="utf-8")
        except OSError as error:
            raise ArtifactError(f"{request.html}: cannot be written ({error.strerror or error})") from error
    if request.as_json:
        print(json.dumps([_as_json(one) for one in found], ensure_ascii=False, indent=2))
    else:
        for one in found:
            print_inspection(one, console, request.shown)
        if request.html is not None:
            console.print(f"page: {request.html}", highlight=False, markup=False)
    return int(any(count_of(one.findings, "error") for one in found))


def _model_of(recipe: Recipe) -> str:
    return pinned_folder(recipe.model, recipe.revision, trust_remote_code=recipe.trust_remote_code)


def _as_json(inspection: Inspection) -> dict[str, object]:
    return {
        "name": inspection.name,
        "rows": len(inspection.views),
        "tokens": inspection.tokens,
        "trained_tokens": inspection.trained_tokens,
        "findings": [asdict(finding) for finding in inspection.findings],
    }


def _subjects(request: Request) -> tuple[Recipe | None, list[Subject]]:
    path = Path(request.data)
    if path.suffix in RECIPE_ENDINGS:
        plan = RunPlan.load(path, list(request.overrides))
        return plan.recipe, list(_stage_subjects(plan, request))
    if request.stage is not None or request.overrides:
        raise DataError(
            f"{request.data} is not a recipe, so it has no stages and no settings; remove --stage and --set"
        )
    if path.exists():
        cases, known = read_cases(path, request.rows)
        return None, [Subject(request.data, cases, Intent(), known)]
    if request.data in mixture_names():
        recipe = Recipe.model_validate(
            {"name": "lint", "model": EMBEDDED, "stages": [{"name": "lint", "kind": "sft", "data": request.data}]}
        )
        return None, [_mixture_subject(request.data, recipe, request.rows)]
    raise DataError(f"there is no file and no mixture `{request.data}`; {nearest(request.data, mixture_names())}")


def _mixture_subject(name: str, recipe: Recipe, count: int) -> Subject:
    parts = load_parts(name)
    known = [_not_there(part) for part in parts if part.stage is not None]
    return _read(
        name, Intent(), known, lambda: _chats(recipe, [one for one in parts if one.stage is None], count, Path)
    )


def _stage_subjects(plan: RunPlan, request: Request) -> Iterator[Subject]:
    names = plan.recipe.stage_names
    if request.stage is not None and request.stage not in names:
        raise DataError(f"{request.data}: there is no stage `{request.stage}`; {nearest(request.stage, names)}")
    for stage in plan.recipe.stages:
        if request.stage in (None, stage.name):
            yield _stage_subject(plan, stage, request.rows)


def _stage_subject(plan: RunPlan, stage: StageFields, count: int) -> Subject:
    recipe, intent = plan.recipe, Intent.of(plan.recipe, stage)
    parts = load_parts(stage.data)
    there = [part for part in parts if part.stage is None or plan.folder(part.stage).finished]
    known = [_not_there(part) for part in parts if part not in there]

    def cases() -> list[Case]:
        takes = kind_of(stage).takes
        if takes == "problems":
            return _prompts(plan, there, count)
        if takes == "pairs":
            return _pairs(plan, there, count)
        return _chats(recipe, there, count, lambda name: plan.folder(name).output)

    return _read(f"{stage.name} ({stage.kind})", intent, known, cases)


def _read(name: str, intent: Intent, known: list[Finding], cases: Callable[[], list[Case]]) -> Subject:
    """A subject. Rows that cannot be read are a finding, so that the other stages are still inspected."""
    try:
        return Subject(name, cases(), intent, known)
    except DataError as error:
        finding = Finding("rows_not_read", "error", None, str(error), "fix or name the data, and lint again")
        return Subject(name, [], intent, [*known, finding])


def _chats(recipe: Recipe, parts: list[MixturePart], count: int, artifact: ArtifactPath) -> list[Case]:
    """The conversations that an sft stage trains on."""
    if not parts:
        return []
    return sampled(conversations_of(recipe, parts, artifact), count, recipe.seed, policy_rows(recipe, parts, artifact))


def _prompts(plan: RunPlan, parts: Sequence[MixturePart], count: int) -> list[Case]:
    """The problems of a stage that samples, as prompts."""
    recipe = plan.recipe
    problems = problems_of(recipe, list(parts), None, lambda name: plan.folder(name).output) if parts else []
    asked = [Conversation(one.id, one.messages, "thinking", one.family, one.tools) for one in problems]
    return [Case(case.number, case.conversation, is_prompt=True) for case in sampled(asked, count, recipe.seed)]


def _pairs(plan: RunPlan, parts: Sequence[MixturePart], count: int) -> list[Case]:
    """Both answers of the pairs of a dpo stage, as conversations."""
    pairs = pairs_of(plan.recipe, list(parts), lambda name: plan.folder(name).output)
    return sampled([chat for pair in pairs for chat in sides(pair)], count, plan.recipe.seed)


def _not_there(part: MixturePart) -> Finding:
    return Finding(
        "rows_not_there_yet",
        "note",
        None,
        f"the rows of the stage `{part.stage}` do not exist yet",
        "lint again when that stage has finished; an sft stage checks them when it starts",
    )
