"""Checks local files of chats for the lint faults that need no tokenizer.

Public sets are not downloaded to check a recipe, and faults that need a tokenizer are looked for when an sft stage starts.
Neighbours: recipe.py (runs the checks), lint/ (the faults).
"""

import itertools
from collections.abc import Iterator

from alignment.core.errors import DataError
from alignment.data.mixture import load_parts
from alignment.data.sources import has_messages, load_source, local_path, source_conversations, source_names
from alignment.lint.cases import SAMPLED_ROWS, Case
from alignment.lint.findings import Finding, Intent
from alignment.lint.linter import row_findings
from alignment.recipe.data import MixturePart
from alignment.recipe.issue import Issue, Place
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe


def conversations(recipe: Recipe) -> Iterator[Issue]:
    """Sampled rows of every local file of chats that a stage trains on have no lint errors."""
    for index, stage in enumerate(recipe.stages):
        if kind_of(stage).takes != "rows":
            continue
        try:
            parts = load_parts(stage.data)
        except DataError:
            continue  # reported by checks/recipe.py
        for number, part in enumerate(parts):
            inner = () if isinstance(stage.data, str) else (number, "source")
            place: Place = ("stages", index, "data", *inner)
            try:
                yield from (Issue(place, text) for text in _faults(recipe, part, Intent.of(recipe, stage)))
            except DataError as error:
                yield Issue(place, str(error))


def _faults(recipe: Recipe, part: MixturePart, intent: Intent) -> Iterator[str]:
    """The first error of each code in a sample of a part's rows, and how many of its rows have one."""
    cases = list(_cases(recipe, part))
    found: dict[str, dict[str, Finding]] = {}
    for case in cases:
        for finding in row_findings(case, intent):
            if finding.severity == "error":
                found.setdefault(finding.code, {}).setdefault(case.conversation.id, finding)
    for code, rows in found.items():
        name, first = next(iter(rows.items()))
        yield f"row {name}: {first.text}; {first.advice} [{code}, in {len(rows)} of {len(cases)} sampled rows]"


def _cases(recipe: Recipe, part: MixturePart) -> Iterator[Case]:
    if part.source not in source_names():
        return  # reported by checks/recipe.py
    source, override = load_source(str(part.source)), recipe.data.sources.get(str(part.source))
    if not has_messages(source) or source.kind != "table":
        return
    path = override.path if override else None
    found = local_path(source, path)
    if found is None or not found.is_file():
        return
    rows = source_conversations(source, seed=part.seed, path=path)
    for number, row in enumerate(itertools.islice(rows, min(part.count or SAMPLED_ROWS, SAMPLED_ROWS)), 1):
        yield Case(number, row)
