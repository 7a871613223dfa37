"""Stage kind shorten: keep the conversations that are short, for whoever trains on them next."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import Field

from alignment.recipe.issue import Issue
from alignment.recipe.kinds import Done, LintIntent, StageKind
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields

if TYPE_CHECKING:
    from alignment.training.context import StageContext

CHUNK = 64  # rows that are worked on together: what a kill can lose


class ShortenStage(StageFields):
    """What a recipe says about a shorten stage."""

    max_length: int = Field(512, ge=1, description="Tokens of a row; longer ones are left out and counted.")
    at_least: int = Field(1, ge=1, description="Rows that have to be left over.")


def run(context: "StageContext") -> Done:
    """Measure every row with the policy's tokenizer and write those that fit."""
    from alignment.core.progress import Progress
    from alignment.data.mixture import conversations_of, load_parts
    from alignment.data.rows import write_rows

    rows = conversations_of(context.recipe, load_parts(context.stage.data), context.artifact)
    tokenizer, progress, lengths, found = context.tokenizer(), Progress(context.stage.name, len(rows)), [], 0
    for start in range(0, len(rows), CHUNK):
        path = context.folder.checkpoints / f"chunk-{start:08d}.json"
        if path.exists():  # from before a kill
            found += 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            measured = [_tokens(tokenizer, row.messages) for row in rows[start : start + CHUNK]]
            path.with_suffix(".partial").write_text(json.dumps(measured), encoding="utf-8")
            path.with_suffix(".partial").replace(path)
        lengths += json.loads(path.read_text(encoding="utf-8"))
        progress.report(len(lengths))
    kept = [row for row, length in zip(rows, lengths, strict=True) if length <= context.stage.max_length]
    context.folder.output.mkdir(parents=True, exist_ok=True)
    write_rows(context.folder.output / "rows.jsonl", kept)
    context.counts.update(rows=len(kept), left_out_too_long=len(rows) - len(kept), chunks_from_before=found)
    return Done(steps=0, tokens=0)


def _tokens(tokenizer: Any, messages: list[dict[str, Any]]) -> int:
    return len(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False))


def enough(recipe: Recipe, index: int, stage: ShortenStage) -> Iterator[Issue]:
    """The parts have as many rows as have to be left over."""
    counts = [part.count for part in stage.data if part.count] if isinstance(stage.data, list) else []
    if counts and stage.at_least > sum(counts):
        yield Issue(("stages", index, "at_least"), f"found {stage.at_least}, and its parts have {sum(counts)} rows")


KIND = StageKind(
    name="shorten",
    fields=ShortenStage,
    sentence="keeps the conversations that are short",
    takes="rows",
    leaves="rows",
    files="`rows.jsonl`",
    trains=False,
    work=lambda stage: f"rows of at most {stage.max_length} tokens",
    run=run,
    gives=("rows",),
    lint=lambda stage: LintIntent(max_length=stage.max_length),
    checks=(enough,),
)
