"""The usable examples of a fusion stage: rows that are well formed, unflagged and short enough, by mode.

Other rows are counted by reason and left out; none is repaired. Neighbours: mix.py (builds rows from the pool), lint/
(finds the faults), data/mixture.py (reads the rows).
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from alignment.core.vocabulary import MODES, Mode
from alignment.data.chat.modes import flagged_mode, mode_words, query_turns, with_flags
from alignment.data.rows import Conversation, Message, ToolSchema
from alignment.lint.cases import Case
from alignment.lint.findings import Intent
from alignment.lint.linter import row_findings

# From a conversation's messages and tools to the number of tokens they render to.
Measure = Callable[[list[Message], list[ToolSchema]], int]


@dataclass(frozen=True)
class Example:
    """A usable row.

    tokens: upper bound for the row's length: rendered with a flag in the system turn and in every question.
    history_tokens: upper bound for its length as an earlier turn of another row; 0 if it cannot be one.
    """

    row: Conversation
    part: int
    question: str
    turns: int
    tokens: int
    history_tokens: int


@dataclass(frozen=True)
class Pool:
    """Usable examples by mode. `read` counts rows by part, `left_out` counts them by part and reason."""

    examples: dict[Mode, list[Example]]
    read: Counter[int]
    left_out: Counter[tuple[int, str]]

    def summary(self) -> str:
        """`7 thinking and 16 non-thinking rows can be taken (left out: 9 unclosed_think)`."""
        found = " and ".join(f"{len(self.examples[mode])} {mode_words(mode)}" for mode in MODES)
        reasons = Counter[str]()
        for (_, reason), count in self.left_out.items():
            reasons[reason] += count
        listed = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        return f"{found} rows can be taken" + (f" (left out: {listed})" if listed else "")


def make_pool(
    rows: Iterable[tuple[int, Conversation]], intent: Intent, measure: Measure, progress: Callable[[int], None]
) -> Pool:
    """Sort rows, each given with the index of its mixture part, into a pool.

    Args:
        rows: `(part, conversation)` pairs.
        intent: the stage's settings; rows above its `max_length` are left out.
        measure: tokenizes messages and returns their number of tokens.
        progress: called with the number of rows read.
    """
    pool = Pool({"thinking": [], "non_thinking": []}, Counter(), Counter())
    seen: set[str] = set()
    for number, (part, row) in enumerate(rows, 1):
        pool.read[part] += 1
        text = json.dumps(row.messages, sort_keys=True)  # in ASCII, whatever the row holds
        reason = "the same row twice" if text in seen else _reason(row, intent)
        seen.add(text)
        example = None
        if reason is None:
            example = _example(row, part, measure)
            if example.tokens > (intent.max_length or 0):
                reason = f"longer than {intent.max_length} tokens"
        if example is None or reason is not None:
            pool.left_out[part, str(reason)] += 1
        else:
            pool.examples[row.mode].append(example)
        progress(number)
    return pool


def _reason(row: Conversation, intent: Intent) -> str | None:
    """Why a row is left out, found without rendering it: a lint code (docs/lint.md) or words; None if it is usable."""
    faults = [finding.code for finding in row_findings(Case(1, row), intent) if finding.severity == "error"]
    if faults:
        return faults[0]
    if flagged_mode(row.messages) is not None:
        return "holds a flag of its own"
    if row.mode == "thinking" and not str(row.messages[-1].get("reasoning_content") or "").strip():
        return "its answer does not think"
    said = json.dumps([[message.get("content"), message.get("reasoning_content")] for message in row.messages])
    if any(json.dumps(phrase)[1:-1] in said for phrase in intent.forced_phrases()):
        return "loss_on_forced_text"
    return None


def _example(row: Conversation, part: int, measure: Measure) -> Example:
    queries = query_turns(row.messages)
    flagged = with_flags(row.messages, "non_thinking", ["non_thinking"] * len(queries))
    history = 0
    if [message["role"] for message in row.messages] == ["user", "assistant"]:
        asked, answered = with_flags(row.messages, None, ["non_thinking"])
        history = measure([asked, {**answered, "reasoning_content": ""}], [])
    tokens = measure(flagged, row.tools)
    return Example(row, part, row.messages[queries[-1]]["content"], len(queries), tokens, history)
