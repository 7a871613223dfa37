"""`alignment data`: recognises a file, counts and measures its rows, and prints some of them as the template renders them.

It reads through the code that training reads through. Neighbours: data/shapes.py (what is recognised), lint/rows.py (what
is left out), __init__.py (the options).
"""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from alignment.core.errors import DataError
from alignment.data.rows import Conversation, Preference, Problem
from alignment.data.sources import (
    LeftOut,
    Table,
    has_messages,
    has_pairs,
    load_source,
    source_conversations,
    source_pairs,
    source_problems,
)
from alignment.lint.display import visible
from alignment.lint.findings import Intent
from alignment.lint.rows import fault_of, table_faults
from alignment.lint.settings import setting_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

AnyRow = Conversation | Problem | Preference
FAULTS_SHOWN = 20
LONGEST_SHOWN = 2000  # characters of a printed row


def show_file(file: Path, model: str | None, shown: int, console: Console) -> None:
    """Print what a file holds. Raises DataError if it cannot be read or no shape is recognised."""
    source = load_source(str(file.expanduser().resolve()))
    if not isinstance(source, Table):
        raise DataError(f"{file} declares a procedural source, which has no rows to show; `alignment lint` shows them")
    faults = table_faults(source, None, Intent())
    sound = [row for row in _rows(source) if fault_of(row, Intent()) is None]

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    say(f"{file}: {source.description}, read as {_taken_by(source)}")
    say(f"{faults.rows:,} rows: {len(sound):,} can be used, {len(faults.faulty):,} are left out")
    for one in faults.faulty[:FAULTS_SHOWN]:
        say(f"  {_printable(str(one))}")
    if len(faults.faulty) > FAULTS_SHOWN:
        say(f"  and {len(faults.faulty) - FAULTS_SHOWN:,} more")
    modes = Counter(row.mode for row in sound if not isinstance(row, Problem))
    if modes:
        say("modes: " + ", ".join(f"{count:,} {mode}" for mode, count in modes.most_common()))
    tokenizer = setting_of(model or "embedded").tokenizer
    texts = [_rendered(tokenizer, row) for row in (sound if model else sound[:shown])]
    say(_lengths("characters", [_characters(row) for row in sound]))
    if model:
        say(_lengths("tokens", [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]))
    for row, text in list(zip(sound, texts, strict=False))[:shown]:
        say(f"\n--- {row.id}, by the template of {model or 'the embedded model'}")
        say(_printable(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]} …"))


def _rows(source: Table) -> Iterator[AnyRow]:
    """The readable rows of a table, in the file's order."""
    unread: list[LeftOut] = []
    if has_pairs(source):
        yield from source_pairs(source, seed=None, path=None, left_out=unread)
    elif has_messages(source):
        yield from source_conversations(source, seed=None, path=None, left_out=unread)
    else:
        yield from source_problems(source, seed=None, parameters={}, path=None, left_out=unread)


def _taken_by(source: Table) -> str:
    if has_pairs(source):
        return "pairs, for dpo"
    return "conversations, for sft and fusion" if has_messages(source) else "problems, for grpo, sample and sft"


def _rendered(tokenizer: "PreTrainedTokenizerBase", row: AnyRow) -> str:
    """A row as the template renders it; of a pair, the prompt with the chosen answer and then the rejected one."""
    if isinstance(row, Problem):
        chats, opens = [row.messages], True
    elif isinstance(row, Conversation):
        chats, opens = [row.messages], False
    else:
        chats, opens = [[*row.prompt, row.chosen], [*row.prompt, row.rejected]], False
    return "\n".join(
        str(tokenizer.apply_chat_template(chat, tools=row.tools or None, tokenize=False, add_generation_prompt=opens))
        for chat in chats
    )


def _characters(row: AnyRow) -> int:
    """Characters of all messages of a row, thinking included."""
    messages = [*row.prompt, row.chosen, row.rejected] if isinstance(row, Preference) else row.messages
    return sum(len(str(turn.get(key) or "")) for turn in messages for key in ("content", "reasoning_content"))


def _lengths(unit: str, lengths: Sequence[int]) -> str:
    if not lengths:
        return f"{unit}: no row can be used"
    ordered = sorted(lengths)
    high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    middle = statistics.median(ordered)
    return f"{unit} of a row: median {middle:g}, 95% at most {high:,}, longest {ordered[-1]:,}; {sum(ordered):,} in all"


def _printable(text: str) -> str:
    """A text with its line breaks, and every other control character visible: what a file holds is not trusted."""
    return "\n".join(visible(line) for line in text.split("\n"))
