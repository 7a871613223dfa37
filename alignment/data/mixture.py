"""Builds a stage's rows from the parts of its mixture: how much of which source, in which mode, with which flags.

Every stage gets its rows here, so that order, fractions and splits are decided in one place. Neighbours: sources.py (reads
rows), target_length.py (target lengths in questions), template.py (rows to tokens).
"""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from alignment.core.errors import DataError
from alignment.core.resources import resource
from alignment.core.vocabulary import SPLITS, TRAINING_SPLITS, Mode, Split
from alignment.data.modes import with_flag
from alignment.data.rows import Conversation, Message, Problem, read_rows
from alignment.data.sources import Table, load_source, source_conversations, source_problems
from alignment.data.target_length import with_target_lengths
from alignment.recipe.data import MixturePart
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe

Row = TypeVar("Row")
ArtifactPath = Callable[[str], Path]  # from the name of a stage that leaves rows to its output folder


class Mixture(BaseModel):
    """The contents of data/mixtures/NAME.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str
    description: str
    parts: list[MixturePart]


def mixture_names() -> list[str]:
    """Names of the mixtures in data/mixtures, sorted."""
    return sorted(path.stem for path in resource("data/mixtures").glob("*.yaml"))


def load_parts(data: str | list[MixturePart]) -> list[MixturePart]:
    """The parts of a stage's `data`: as written, or from the mixture it names. Raises DataError if that cannot be read."""
    if not isinstance(data, str):
        return data
    path = resource("data/mixtures") / f"{data}.yaml"
    try:
        return Mixture.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).parts
    except FileNotFoundError as error:
        raise DataError(
            f"there is no mixture `{data}` in {path.parent}; write one of: {', '.join(mixture_names())}"
        ) from error
    except (ValidationError, yaml.YAMLError) as error:
        raise DataError(f"{path}: {error}") from error


def problems_of(recipe: Recipe, parts: list[MixturePart]) -> list[Problem]:
    """The problems of a mixture, part after part. Raises DataError if a source has fewer than a part's `count`."""
    return list(itertools.chain.from_iterable(_part_problems(recipe, part) for part in parts))


def conversations_of(recipe: Recipe, parts: list[MixturePart], artifact: ArtifactPath) -> list[Conversation]:
    """The conversations of a mixture, shuffled with the recipe's seed. Raises DataError if a part has too few or none."""
    rows: list[Conversation] = []
    for part in parts:
        found = list(_flagged(part_conversations(recipe, part, artifact), part))
        if not found:
            raise DataError(f"the mixture part {part.source or part.stage} has no rows to train on; leave it out")
        rows += found
    random.Random(recipe.seed).shuffle(rows)
    return rows


def policy_rows(recipe: Recipe, parts: list[MixturePart], artifact: ArtifactPath) -> frozenset[str]:
    """Ids of the conversations that earlier stages sampled from a policy, as it wrote them.

    Rows of a fusion stage are not among them: it has already left faulty rows out.
    """
    stages = [part.stage for part in parts if part.stage is not None]
    sampled = [name for name in stages if kind_of(recipe.stage(name)).policy_writes]
    files = [artifact(name) / "rows.jsonl" for name in sampled]
    return frozenset(row.id for path in files for row in read_rows(path, "conversation"))


def as_conversation(problem: Problem, mode: str) -> Conversation:
    """Turn a problem into a conversation: its demonstration if it has one; else its steps in the think block and its answer.

    Raises DataError if the problem has no answer, or no worked solution for thinking mode.
    """
    shown: Mode = "thinking" if mode == "thinking" else "non_thinking"
    if problem.demonstration:
        turns = [turn if shown == "thinking" else _without_thinking(turn) for turn in problem.demonstration]
        return Conversation(problem.id, [*problem.messages, *turns], shown, problem.family, problem.tools)
    if not problem.right:
        raise DataError(
            f"problem {problem.id} has no answer, so an sft stage cannot train on it; use its source in a grpo or sample stage"
        )
    if mode == "thinking" and not problem.trace:
        raise DataError(
            f"problem {problem.id} has no worked solution to put into the think block; write mode: non_thinking"
        )
    thinking = problem.trace if mode == "thinking" else ""
    answer: Message = {"role": "assistant", "reasoning_content": thinking, "content": problem.right}
    return Conversation(problem.id, [*problem.messages, answer], shown, problem.family, problem.tools)


def _without_thinking(turn: Message) -> Message:
    return {name: value for name, value in turn.items() if name != "reasoning_content"}


def _part_problems(recipe: Recipe, part: MixturePart) -> Iterator[Problem]:
    if part.source is None:
        raise DataError(
            f"`stage: {part.stage}` gives conversations, and this stage needs problems; write `source: NAME`"
        )
    source = load_source(part.source)
    override = recipe.data.sources.get(part.source)
    # Without a split, a procedural source would also draw the evaluation's problems: leave those out in any case.
    every = SPLITS if isinstance(source, Table) else TRAINING_SPLITS
    splits: tuple[Split, ...] = every if part.split is None else (part.split,)
    path = override.path if override else None
    found = source_problems(source, seed=part.seed, parameters=part.parameters, path=path, splits=splits)
    yield from with_target_lengths(_exactly(part, found), part)


def _exactly(part: MixturePart, found: Iterable[Row]) -> list[Row]:
    """The first `count` rows of a part, or all without a count. Raises DataError if there are fewer."""
    rows = list(itertools.islice(found, part.count))
    if part.count and len(rows) < part.count:
        raise DataError(
            f"source `{part.source}` has {len(rows)} rows for this part, fewer than count: {part.count}; write {len(rows)} or less"
        )
    return rows


def part_conversations(recipe: Recipe, part: MixturePart, artifact: ArtifactPath) -> Iterator[Conversation]:
    """The conversations of one part, in order and without flags. Raises DataError if there are too few."""
    if part.stage is not None:
        rows = read_rows(artifact(part.stage) / "rows.jsonl", "conversation")
        yield from (row for row in itertools.islice(rows, part.count) if isinstance(row, Conversation))
        return
    source = load_source(part.source or "")
    if isinstance(source, Table) and source.fields.messages:
        override = recipe.data.sources.get(source.id)
        rows = source_conversations(source, seed=part.seed, path=override.path if override else None)
        yield from _exactly(part, rows)
        return
    yield from (as_conversation(problem, part.mode) for problem in _part_problems(recipe, part))


def _flagged(rows: Iterable[Conversation], part: MixturePart) -> Iterator[Conversation]:
    """Add the mode's flag to exactly `flag_fraction` of the rows, chosen by the part's seed."""
    listed = list(rows)
    chosen = set(random.Random(part.seed).sample(range(len(listed)), round(part.flag_fraction * len(listed))))
    for index, row in enumerate(listed):
        if index not in chosen:
            yield row
            continue
        history, answer = row.messages[:-1], row.messages[-1]
        yield replace(row, messages=[*with_flag(history, row.mode), answer])


def describe_part(part: MixturePart) -> dict[str, Any]:
    """What decides the rows of a part, for the stage's identity: the part and its source's declaration."""
    declared = load_source(part.source).model_dump(mode="json") if part.source else None
    return {"part": part.model_dump(mode="json"), "source": declared}
