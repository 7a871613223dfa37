"""Builds a stage's rows from the parts of its mixture: how much of which source, in which mode, with which flags.

Every stage gets its rows here, so that order, fractions and splits are decided in one place. Neighbours:
data/sources/rows.py (reads rows), target_length.py (target lengths in questions), data/chat/template.py (rows to
tokens).
"""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from alignment.core.errors import DataError
from alignment.core.resources import resource
from alignment.core.vocabulary import SPLITS, TRAINING_SPLITS, Mode, Split
from alignment.data.chat.modes import with_flag
from alignment.data.rows import Conversation, Message, Preference, Problem, read_rows
from alignment.data.sources.declared import Table, has_messages, has_pairs
from alignment.data.sources.named import hash_split, is_own, source_of
from alignment.data.sources.rows import LeftOut, source_conversations, source_pairs, source_problems
from alignment.data.tables.spool import Spool, shuffled
from alignment.data.target_length import with_target_lengths
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe

MAX_FAULTS_SHOWN = 5  # in the message that refuses a source

Row = TypeVar("Row", Conversation, Problem, Preference)
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
    if is_own(data):
        return [MixturePart(source=data)]
    path = resource("data/mixtures") / f"{data}.yaml"
    try:
        return Mixture.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).parts
    except FileNotFoundError as error:
        raise DataError(
            f"there is no mixture `{data}` in {path.parent}; write one of: {', '.join(mixture_names())}"
        ) from error
    except (ValidationError, yaml.YAMLError) as error:
        raise DataError(f"{path}: {error}") from error


def problems_of(
    recipe: Recipe,
    parts: list[MixturePart],
    left_out: list[LeftOut] | None = None,
    artifact: ArtifactPath | None = None,
) -> list[Problem]:
    """The problems of a mixture, part after part.

    left_out: takes the rows that cannot be read. artifact: where stages left problems; needed for parts with a stage. Raises DataError if they are more than `data.max_faulty_fraction` allows, or
    if a source has fewer than a part's `count`.
    """
    return list(itertools.chain.from_iterable(_part_problems(recipe, part, left_out, artifact) for part in parts))


def conversations_of(
    recipe: Recipe, parts: list[MixturePart], artifact: ArtifactPath, left_out: list[LeftOut] | None = None
) -> Sequence[Conversation]:
    """The conversations of a mixture, shuffled with the recipe's seed. They lie on disk, however many they are.

    left_out: takes the rows that cannot be read. Raises DataError if a part has too few or none, and as `problems_of` does.
    """
    rows: Spool[Conversation] = Spool()
    for part in parts:
        before = len(rows)
        for row in _flagged(Spool(part_conversations(recipe, part, artifact, left_out)), part):
            rows.append(row)
        if len(rows) == before:
            raise DataError(f"the mixture part {part.source or part.stage} has no rows to train on; leave it out")
    return shuffled(rows, recipe.seed)


def policy_rows(recipe: Recipe, parts: list[MixturePart], artifact: ArtifactPath) -> frozenset[str]:
    """Ids of the conversations that earlier stages sampled from a policy, as it wrote them.

    Rows of a fusion stage are not among them: it has already left faulty rows out. Those that a stage passed on as they
    were are.
    """
    files = [artifact(name) / "rows.jsonl" for name in dict.fromkeys(_sampled(recipe, parts))]
    return frozenset(row.id for path in files for row in read_rows(path, "conversation"))


def _sampled(recipe: Recipe, parts: list[MixturePart]) -> Iterator[str]:
    """Stages that sampled rows of a mixture, those behind stages that pass rows on included."""
    for name in [part.stage for part in parts if part.stage is not None]:
        kind = kind_of(recipe.stage(name))
        if kind.policy_writes:
            yield name
        elif kind.passes_on:
            yield from _sampled(recipe, load_parts(recipe.stage(name).data))


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


def pairs_of(
    recipe: Recipe, parts: list[MixturePart], artifact: ArtifactPath, left_out: list[LeftOut] | None = None
) -> Sequence[Preference]:
    """The pairs of a mixture: those that a stage judged, and those of tables. They lie on disk, however many they are.

    Raises DataError as `problems_of` does.
    """
    return Spool(pair for part in parts for pair in _part_pairs(recipe, part, artifact, left_out))


def _part_pairs(
    recipe: Recipe, part: MixturePart, artifact: ArtifactPath, left_out: list[LeftOut] | None
) -> Sequence[Preference]:
    if part.stage is not None:
        rows = read_rows(artifact(part.stage) / "preferences.jsonl", "preference")
        return [row for row in itertools.islice(rows, part.count) if isinstance(row, Preference)]
    source, path = source_of(part), recipe.data.path_of(part.source)
    if not isinstance(source, Table) or not has_pairs(source):
        raise DataError(f"`{part.source}` holds no pairs: write `stage: NAME` of a sample stage, or a file of pairs")
    return _sound(recipe, part, left_out, lambda bad: source_pairs(source, seed=part.seed, path=path, left_out=bad))


def _part_problems(
    recipe: Recipe, part: MixturePart, left_out: list[LeftOut] | None, artifact: ArtifactPath | None = None
) -> Iterator[Problem]:
    if part.stage is not None:
        left = None if artifact is None else artifact(part.stage) / "problems.jsonl"
        if left is None or not left.is_file():
            raise DataError(f"`stage: {part.stage}` gives no problems, and this stage needs them; write `source: NAME`")
        rows = (row for row in read_rows(left, "problem") if isinstance(row, Problem))
        yield from with_target_lengths(itertools.islice(rows, part.count), part)
        return
    source = source_of(part)
    # Without a split, a procedural source would also draw the evaluation's problems: leave those out in any case.
    every = SPLITS if isinstance(source, Table) else TRAINING_SPLITS
    wanted = hash_split(part, source)
    splits: tuple[Split, ...] = every if wanted is None else (wanted,)
    path = recipe.data.path_of(part.source)

    def read(bad: list[LeftOut]) -> Iterator[Problem]:
        return source_problems(
            source, seed=part.seed, parameters=part.parameters, path=path, splits=splits, left_out=bad
        )

    yield from with_target_lengths(_sound(recipe, part, left_out, read), part)


def _sound(
    recipe: Recipe,
    part: MixturePart,
    left_out: list[LeftOut] | None,
    read: Callable[[list[LeftOut]], Iterator[Row]],
) -> Sequence[Row]:
    """The rows of a part that can be read. Raises DataError if too few can."""
    bad: list[LeftOut] = []
    rows = _exactly(part, read(bad))
    refuse_faulty(str(part.source), bad, len(rows) + len(bad), recipe.data.max_faulty_fraction)
    if left_out is not None:
        left_out += bad
    return rows


def refuse_faulty(name: str, faulty: Sequence[LeftOut], rows: int, max_fraction: float) -> None:
    """Raise DataError with the first faulty rows if they are a larger fraction of a source's rows than is allowed."""
    if len(faulty) > max_fraction * rows:
        shown = "; ".join(map(str, faulty[:MAX_FAULTS_SHOWN]))
        more = f"; and {len(faulty) - MAX_FAULTS_SHOWN} more" if len(faulty) > MAX_FAULTS_SHOWN else ""
        raise DataError(
            f"{len(faulty)} of {rows} rows of `{name}` cannot be used: {shown}{more}. Fix or remove them; "
            f"data.max_faulty_fraction, {max_fraction:g} here, is the fraction that may be left out and counted"
        )


def _exactly(part: MixturePart, found: Iterable[Row]) -> Sequence[Row]:
    """The first `count` rows of a part, or all without a count. Raises DataError if there are fewer."""
    rows = Spool(itertools.islice(found, part.count))
    if part.count and len(rows) < part.count:
        raise DataError(
            f"source `{part.source}` has {len(rows)} rows for this part, fewer than count: {part.count}; write {len(rows)} or less"
        )
    return rows


def part_conversations(
    recipe: Recipe, part: MixturePart, artifact: ArtifactPath, left_out: list[LeftOut] | None = None
) -> Iterator[Conversation]:
    """The conversations of one part, in order and without flags. Raises DataError if there are too few."""
    if part.stage is not None:
        rows = read_rows(artifact(part.stage) / "rows.jsonl", "conversation")
        yield from (row for row in itertools.islice(rows, part.count) if isinstance(row, Conversation))
        return
    source = source_of(part)
    if isinstance(source, Table) and has_messages(source):
        path = recipe.data.path_of(part.source)
        yield from _sound(
            recipe, part, left_out, lambda bad: source_conversations(source, seed=part.seed, path=path, left_out=bad)
        )
        return
    yield from (as_conversation(problem, part.mode) for problem in _part_problems(recipe, part, left_out))


def _flagged(rows: Sequence[Conversation], part: MixturePart) -> Iterator[Conversation]:
    """Add the mode's flag to exactly `flag_fraction` of the rows, chosen by the part's seed."""
    chosen = set(random.Random(part.seed).sample(range(len(rows)), round(part.flag_fraction * len(rows))))
    for index, row in enumerate(rows):
        if index not in chosen:
            yield row
            continue
        history, answer = row.messages[:-1], row.messages[-1]
        yield replace(row, messages=[*with_flag(history, row.mode), answer])
