"""`alignment data`: recognises rows, counts and measures them, and prints some of them as the template renders them.

It reads through the code that training reads through, one row at a time. Neighbours: data/tables/shapes.py (what is
recognised), lint/rows.py (what is left out), __init__.py (the options).
"""

import statistics
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from alignment.core.errors import DataError
from alignment.core.resources import EMBEDDED
from alignment.data.rows import Conversation, Preference, Problem
from alignment.data.sources.declared import Table, has_messages, has_pairs
from alignment.data.sources.named import source_of
from alignment.data.sources.rows import LeftOut, table_places
from alignment.data.sources.unread import unread_columns
from alignment.data.tables.hub import is_hub_id
from alignment.lint.display import visible
from alignment.lint.findings import Intent
from alignment.lint.rows import fault_of
from alignment.lint.settings import setting_of
from alignment.recipe.blocks.data import MixturePart

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

AnyRow = Conversation | Problem | Preference
FAULTS_SHOWN = 20
LONGEST_SHOWN = 2000  # characters of a printed row


@dataclass
class _Seen:
    """What the rows of a table are, gathered one row after another."""

    left_out: list[LeftOut] = field(default_factory=list)
    first: list[AnyRow] = field(default_factory=list)  # that can be used, to be printed
    modes: Counter[str] = field(default_factory=Counter)
    characters: "array[int]" = field(default_factory=lambda: array("Q"))
    tokens: "array[int]" = field(default_factory=lambda: array("Q"))


def show_file(file: str, model: str | None, shown: int, console: Console, part: MixturePart | None = None) -> None:
    """Print what a file, folder or hub set holds. part: its split, subset and revision.

    Raises DataError if it cannot be read or no shape is recognised.
    """
    path = Path(file).expanduser()
    name = file if is_hub_id(file) and not path.exists() else str(path.resolve())
    source = source_of((part or MixturePart(source=name)).model_copy(update={"source": name}))
    if not isinstance(source, Table):
        raise DataError(f"{file} declares a procedural source, which has no rows to show; `alignment lint` shows them")
    tokenizer = setting_of(model or EMBEDDED).tokenizer
    seen = _seen(source, tokenizer if model else None, shown)

    def say(text: str) -> None:
        console.print(_printable(text), highlight=False, markup=False, soft_wrap=True)

    say(f"{file}: {source.description}, read as {_taken_by(source)}")
    unread = unread_columns(source)
    if unread:
        say(f"columns that are not read: {', '.join(unread)}")
    sound, bad = len(seen.characters), seen.left_out
    say(f"{sound + len(bad):,} rows: {sound:,} can be used, {len(bad):,} are left out")
    for one in bad[:FAULTS_SHOWN]:
        say(f"  {one}")
    if len(bad) > FAULTS_SHOWN:
        say(f"  and {len(bad) - FAULTS_SHOWN:,} more")
    if seen.modes:
        say("modes: " + ", ".join(f"{count:,} {mode}" for mode, count in seen.modes.most_common()))
    say(_lengths("characters", seen.characters))
    if model:
        say(_lengths("tokens", seen.tokens))
    for row in seen.first:
        text = _rendered(tokenizer, row)
        say(f"\n--- {row.id}, by the template of {model or 'the embedded model'}")
        say(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]} …")


def _seen(source: Table, tokenizer: "PreTrainedTokenizerBase | None", shown: int) -> _Seen:
    """Every row of a table, once. tokenizer: counts tokens too."""
    seen = _Seen()
    for place, row in table_places(source, None):
        why = str(row) if isinstance(row, DataError) else fault_of(row, Intent())
        if isinstance(row, DataError) or why is not None:
            seen.left_out.append(LeftOut(place, str(why)))
            continue
        if len(seen.first) < shown:
            seen.first.append(row)
        if not isinstance(row, Problem):
            seen.modes[row.mode] += 1
        seen.characters.append(_characters(row))
        if tokenizer is not None:
            seen.tokens.append(len(tokenizer(_rendered(tokenizer, row), add_special_tokens=False)["input_ids"]))
    return seen


def _taken_by(source: Table) -> str:
    if has_pairs(source):
        return "pairs, for dpo"
    if has_messages(source):
        return "conversations, for sft and fusion"
    return (
        "problems, for grpo, sample and sft (sft writes the answer as \\boxed{…}; for answers as they stand, name "
        "`fields: {prompt: …, completion: …}`)"
    )


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
