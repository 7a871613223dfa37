"""Mode fusion's data: thinking rows that a policy wrote, non-thinking rows of curated sets, and the flags between them.

Trains nothing. Leaves rows.jsonl, which an sft stage takes by `stage: NAME`, and a data card, card.md and card.json. It
is done in one piece: a kill costs seconds, or minutes where rows are many and long. Neighbours:
data_factory/fusion/mix.py (the rows), sample.py (where thinking rows come from).
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from alignment.core.files import write_text
from alignment.core.progress import Progress
from alignment.data.chat.template import render_conversation
from alignment.data.mixture import load_parts, part_conversations
from alignment.data.rows import Conversation, Message, ToolSchema, write_rows
from alignment.data.sources.rows import LeftOut
from alignment.data_factory.fusion.card import Measured, make_card
from alignment.data_factory.fusion.card_page import card_page
from alignment.data_factory.fusion.mix import Fused, fuse
from alignment.data_factory.fusion.pool import Measure, make_pool
from alignment.data_factory.fusion.stage import FusionStage
from alignment.lint.findings import Intent
from alignment.lint.views import Vocabulary
from alignment.training.context import StageContext

REPORTED_EVERY = 100  # rows


def run(context: StageContext, output: Path) -> int:
    """Read, mix, flag and write the rows; returns 0, since nothing is trained or sampled.

    Raises DataError if the fractions cannot be met.
    """
    stage: FusionStage = context.stage
    tokenizer = context.tokenizer()
    rows = list(_numbered(context))
    intent = replace(Intent.of(context.recipe, stage), markers=Vocabulary.of(tokenizer).markers)
    pool = make_pool(rows, intent, _measure(tokenizer), _reporter("rows read", len(rows)))
    measured = list(_measured(tokenizer, fuse(stage, pool, context.recipe.seed)))
    card = make_card(context.recipe, stage, pool, measured)
    output.mkdir(parents=True, exist_ok=True)
    write_rows(output / "rows.jsonl", (one.fused.row for one in measured))
    card.write(output / "card.json")
    write_text(output / "card.md", card_page(card))
    found = card.figures
    flagged = {place: sum(counts[place] for counts in found.flags.values()) for place in found.flags["thinking"]}
    context.counts.update(
        rows=found.rows,
        modes=dict(found.modes),
        flags=flagged,
        multi_turn=found.fractions["multi_turn_fraction"].rows,
        flag_changes=found.flag_changes,
        row_tokens=sum(one.tokens for one in measured),
        left_out=sum(pool.left_out.values()),
        not_needed=sum(found.not_needed.values()),
    )
    return 0


def _numbered(context: StageContext) -> Iterator[tuple[int, Conversation]]:
    """Every row of the stage's data with the number of its part; rows that cannot be read are counted."""
    left_out: list[LeftOut] = []
    for number, part in enumerate(load_parts(context.stage.data)):
        rows = part_conversations(context.recipe, part, context.artifact, left_out)
        yield from zip(itertools.repeat(number), rows)
    context.leave_out(left_out)


def _measure(tokenizer: PreTrainedTokenizerBase) -> Measure:
    def measure(messages: list[Message], tools: list[ToolSchema]) -> int:
        return len(tokenizer.apply_chat_template(messages, tools=tools or None, tokenize=True, return_dict=False))

    return measure


def _measured(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Fused]) -> Iterator[Measured]:
    report = _reporter("rows written", len(rows))
    for number, fused in enumerate(rows, 1):
        rendered = render_conversation(tokenizer, fused.row, loss_on_empty_think=True)
        text = tokenizer.apply_chat_template(fused.row.messages, tools=fused.row.tools or None, tokenize=False)
        yield Measured(fused, str(text), len(rendered.input_ids), rendered.trained_tokens)
        report(number)


def _reporter(work: str, total: int) -> Callable[[int], None]:
    progress = Progress(work, total)

    def report(done: int) -> None:
        if done % REPORTED_EVERY == 0 or done == total:
            progress.report(done)

    return report
