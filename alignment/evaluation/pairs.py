"""What a reward model is worth on pairs of any table: those of another domain, or a public test set.

    python -m alignment.evaluation.pairs RUN/01-taste/output pairs.jsonl --count 200 --most-tokens 512

The figures are those of a reward_model stage's held-out pairs, and each answer is scored alone by the same rendering.
Neighbours: records/reward_model.py (the figures), inference/reward_model.py (scores), training/stages/reward_model.py
(held-out pairs).
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from alignment.core.entry import run_child
from alignment.core.errors import DataError
from alignment.core.progress import Progress
from alignment.core.statistics.preference import ScoredPair
from alignment.core.typed_json import encode
from alignment.data.chat.template import RenderedPair, render_preference
from alignment.data.rows import Preference
from alignment.data.sources.declared import Table, has_pairs
from alignment.data.sources.named import load_source
from alignment.data.sources.rows import LeftOut, source_pairs
from alignment.inference.reward_model import RewardModel
from alignment.records.reward_model import RewardModelRecord, record_of

AT_ONCE = 16  # pairs between two progress reports


def pairs_in(path: Path, seed: int, left_out: list[LeftOut]) -> Iterator[Preference]:
    """The pairs of a table in the order of the seed. Raises DataError for a table without any."""
    source = load_source(str(path.resolve()))
    if not isinstance(source, Table) or not has_pairs(source):
        raise DataError(f"{path} holds no pairs; write rows with prompt, chosen and rejected")
    return source_pairs(source, seed=seed, path=None, left_out=left_out)


def measured(
    model: RewardModel, pairs: Iterator[Preference], count: int, most_tokens: int, left_out: list[LeftOut]
) -> RewardModelRecord:
    """The figures of the first `count` pairs of at most so many tokens; longer ones join those left out.

    Raises DataError where there is no pair.
    """
    rows = list(itertools.islice(_fitting(model, pairs, most_tokens, left_out), count))
    if not rows:
        raise DataError(f"there is no pair of at most {most_tokens} tokens; write a larger --most-tokens")
    progress, scored = Progress("pairs", len(rows)), list[ScoredPair]()
    for start in range(0, len(rows), AT_ONCE):
        scored += _scored(model, rows[start : start + AT_ONCE])
        progress.report(len(scored))
    return record_of(scored)


def _fitting(
    model: RewardModel, pairs: Iterator[Preference], most_tokens: int, left_out: list[LeftOut]
) -> Iterator[RenderedPair]:
    for pair in pairs:
        try:
            found = render_preference(model.tokenizer, pair)
        except DataError as error:
            left_out.append(LeftOut(pair.id, str(error)))
            continue
        if found.longest <= most_tokens:
            yield found
        else:
            left_out.append(LeftOut(pair.id, f"has {found.longest} tokens"))


def _scored(model: RewardModel, rows: list[RenderedPair]) -> list[ScoredPair]:
    sequences = [ids for one in rows for ids in (one.prompt_ids + one.chosen_ids, one.prompt_ids + one.rejected_ids)]
    rewards = model.scores(sequences)
    lengths = [len(ids) for ids in sequences]
    return [
        ScoredPair(rewards[place], rewards[place + 1], lengths[place], lengths[place + 1])
        for place in range(0, len(rewards), 2)
    ]


def main(
    model: Annotated[str, typer.Argument(help="The output of a reward_model stage, or a hub id.")],
    data: Annotated[Path, typer.Argument(help="A table of pairs.")],
    count: Annotated[int, typer.Option(min=1, help="Most pairs.")] = 500,
    most_tokens: Annotated[int, typer.Option(min=1, help="Pairs with a longer prompt and answer are left out.")] = 1024,
    seed: Annotated[int, typer.Option(help="Seed of the pairs' order.")] = 0,
) -> None:
    """Print the figures of a reward model on pairs as JSON."""
    left_out: list[LeftOut] = []
    found = measured(RewardModel(model), pairs_in(data, seed, left_out), count, most_tokens, left_out)
    print(json.dumps({"left_out": len(left_out), **encode(found)}, indent=2))


if __name__ == "__main__":
    run_child(main)
