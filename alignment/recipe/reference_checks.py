"""Does a recipe's data pass its own graders? A sample of each source, each reference taken as the answer.

A reference that its grader cannot read or does not accept teaches that right is wrong. `check` looks at sources that
are files here; a public set is not fetched to check a recipe, so the stage that reads it asks `refuse_failing`.
Procedural sources are left to their tests: what they make is right by construction.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from alignment.data import rows
from alignment.data.sources import Table, load_source, local_path, source_names, source_problems
from alignment.data.splits import SPLITS
from alignment.errors import DataError
from alignment.recipe.blocks import MixturePart, Reward
from alignment.recipe.explain import Place, Problem
from alignment.recipe.parts import placed_parts
from alignment.recipe.schema import GrpoStage, Recipe, SampleStage
from rewards import VERIFIERS, IsolationUnavailable, WorkerUnavailable, spec_problems
from rewards.gold import GOLD, GoldFailure, failures_of_gold

SAMPLED_ROWS = 200  # of each source
COMMON = {"kind", "name", "weight", "gate", "clip"}


def references(recipe: Recipe) -> Iterator[Problem]:
    """Sampled references of every local file that a stage draws problems from pass that stage's graders."""
    seen = set[tuple[Any, ...]]()
    for index, stage in enumerate(recipe.stages):
        if not isinstance(stage, (GrpoStage, SampleStage)):
            continue
        for found, part in placed_parts(recipe, index):
            place: Place = found if isinstance(stage.data, str) else (*found, "source")
            graders = _graders(stage.rewards)
            key = (part.source, part.split, part.seed, str(graders))
            if key in seen:
                continue
            seen.add(key)
            try:
                sample = list(_sample(recipe, part))
                yield from (
                    Problem(place, text) for text in failing(sample, graders, recipe.data.largest_failing_share)
                )
            except (DataError, WorkerUnavailable) as error:
                yield Problem(place, str(error))
            except IsolationUnavailable:
                continue  # told of the reward itself


def refuse_failing(recipe: Recipe, stage: GrpoStage | SampleStage, problems: Sequence[rows.Problem]) -> None:
    """Raise DataError where a source's sampled references fail the stage's graders above the recipe's share."""
    by_source: dict[str, list[rows.Problem]] = {}
    for problem in problems:
        if len(sample := by_source.setdefault(problem.family, [])) < SAMPLED_ROWS:
            sample.append(problem)
    found = [
        text
        for sample in by_source.values()
        for text in failing(sample, _graders(stage.rewards), recipe.data.largest_failing_share)
    ]
    if found:
        raise DataError(f"stage `{stage.name}`: " + "; ".join(found))


def failing(sample: Sequence[rows.Problem], graders: dict[str, dict[str, Any]], largest_share: float) -> Iterator[str]:
    """For each grader of which more references fail than may: how many, why, and the first of them."""
    for kind, options in graders.items():
        graded = [(one.id, {"answer": one.answer, **one.columns}) for one in sample if _is_for(kind, one)]
        failures = failures_of_gold(kind, graded, options) if graded else []
        if failures and len(failures) > largest_share * len(graded):
            yield _told(sample[0].family, kind, failures, len(graded), largest_share)


def _told(source: str, kind: str, failures: Sequence[GoldFailure], graded: int, largest_share: float) -> str:
    reasons = ", ".join(f"{reason} {count}" for reason, count in Counter(one.reason for one in failures).most_common())
    first = failures[0]
    return (
        f"{len(failures)} of {graded} sampled references of `{source}` do not pass {kind} as an answer ({reasons}), and "
        f"data.largest_failing_share is {largest_share:g}; the first is {first.place}: {first.reference[:80]!r}; mend the "
        "file, name its right field in data/sources/, or allow more"
    )


def _graders(specs: Sequence[Reward]) -> dict[str, dict[str, Any]]:
    """The options of each reward whose gold answer can be written; a reward that is wrong in itself is told elsewhere."""
    dumped = [spec.model_dump(exclude_none=True) for spec in specs if spec.kind in GOLD]
    return {
        one["kind"]: {name: value for name, value in one.items() if name not in COMMON}
        for one in dumped
        if not spec_problems([one])
    }


def _is_for(kind: str, problem: rows.Problem) -> bool:
    """Whether a row is one that a kind grades; of rows for several kinds, each holds its own columns."""
    others = {*VERIFIERS[kind].columns, GOLD[kind].reference} - {"answer"}
    held = all(column in problem.columns for column in others)
    return held and (bool(others) or bool(problem.answer) or not problem.columns)


def _sample(recipe: Recipe, part: MixturePart) -> Iterator[rows.Problem]:
    """The first problems that a stage draws from a local file; none where the part is anything else."""
    if part.source not in source_names():
        return
    source, override = load_source(str(part.source)), recipe.data.sources.get(str(part.source))
    path = local_path(source, override.path if override else None) if isinstance(source, Table) else None
    if path is None or not path.is_file():
        return
    splits = SPLITS if part.split is None else (part.split,)
    found = source_problems(source, seed=part.seed, parameters={}, path=path, splits=splits)
    yield from itertools.islice(found, min(part.count or SAMPLED_ROWS, SAMPLED_ROWS))
