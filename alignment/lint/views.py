"""A row as the model gets it: rendered text, tokens, loss mask and turns.

Neighbours: loss_faults.py and template_faults.py (read views), terminal.py and page.py (print them).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alignment.data.chat.modes import flagged_mode
from alignment.data.chat.template import IGNORED, labelled, marks_generation, template_switches
from alignment.data.chat.turn_end import turn_end, turn_end_id
from alignment.lint.cases import Case, assistant_turns
from alignment.lint.findings import Intent
from alignment.lint.markers import ASSISTANT_TOKENS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Tokens that an assistant turn may contain.
_CHATML_TURN = re.compile(r"<\|im_start\|>(\w+)\n.*?(?:<\|im_end\|>|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Vocabulary:
    """What the linter needs from a tokenizer; marks_loss: its template has {% generation %}."""

    template: str
    marks_loss: bool
    end: str | None  # the token that ends an answer
    eos: str | None
    eos_id: int | None
    pad_id: int | None
    bos_id: int | None
    turn_end_ids: frozenset[int]
    markers: tuple[str, ...]  # special tokens that data must not contain as text

    @staticmethod
    def of(tokenizer: "PreTrainedTokenizerBase") -> "Vocabulary":
        """Read from a tokenizer. The end-of-turn token is what its template writes after an answer, else its eos token."""
        added = {str(token): number for number, token in tokenizer.added_tokens_decoder.items()}
        template = str(tokenizer.chat_template)
        end, eos = turn_end_id(tokenizer), tokenizer.eos_token_id
        ends = [end] if end is not None else [] if eos is None else [eos]
        special = [*tokenizer.all_special_tokens, *(token for token in added if re.fullmatch(r"<\|.*\|>", token))]
        return Vocabulary(
            template=template,
            marks_loss=marks_generation(tokenizer),
            end=turn_end(tokenizer),
            eos=tokenizer.eos_token,
            eos_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
            bos_id=tokenizer.bos_token_id,
            turn_end_ids=frozenset(ends),
            markers=tuple(dict.fromkeys(token for token in special if token not in ASSISTANT_TOKENS)),
        )


@dataclass(frozen=True)
class Turn:
    """One turn in a rendered text: its role, and the characters `start` (of its header) to `end`."""

    role: str
    start: int
    end: int


@dataclass(frozen=True)
class View:
    """A rendered row of T tokens.

    input_ids, trained: (T,); trained says which tokens carry loss.
    spans: (T,) `(start, end)` characters of each token; tokens that are parts of one character have the same span.
    """

    case: Case
    text: str
    prompt: str  # what a rollout in place of its last answer would start from
    input_ids: list[int]
    trained: list[bool]
    spans: list[tuple[int, int]]
    vocabulary: Vocabulary

    @property
    def number(self) -> int:
        """The row's number, from 1."""
        return self.case.number

    @property
    def trained_tokens(self) -> int:
        """Number of tokens that carry loss."""
        return sum(self.trained)

    def turns(self) -> list[Turn]:
        """The turns, if the template writes ChatML; else none."""
        return turns_in(self.text)

    def carries_loss(self, start: int, end: int) -> bool:
        """Whether a token that overlaps these characters carries loss."""
        return any(
            trained and first < end and last > start
            for (first, last), trained in zip(self.spans, self.trained, strict=True)
        )

    def passages(self, start: int = 0, end: int | None = None) -> list[str]:
        """The unbroken passages of text that carry loss, between two characters if given."""
        end = len(self.text) if end is None else end
        runs: list[str] = []
        before = False
        for index, trained in enumerate(self.trained):
            trained = trained and start <= self.spans[index][0] < end
            if trained and not before:
                runs.append("")
            if trained:
                runs[-1] += self.piece(index)
            before = trained
        return runs

    def piece(self, index: int) -> str:
        """The characters of a token; of several tokens that make one character, the first has it."""
        start, end = self.spans[index]
        return "" if index and self.spans[index - 1] == (start, end) else self.text[start:end]


def turns_in(text: str) -> list[Turn]:
    """The turns of a ChatML text; none in any other format."""
    return [Turn(found[1], found.start(), found.end()) for found in _CHATML_TURN.finditer(text)]


def answers_in(text: str, count: int) -> list[Turn]:
    """The assistant turns of a rendered text; if there are not `count`, the whole text for each."""
    found = [turn for turn in turns_in(text) if turn.role == "assistant"]
    return found if len(found) == count else [Turn("assistant", 0, len(text))] * count


def view(tokenizer: "PreTrainedTokenizerBase", vocabulary: Vocabulary, case: Case, intent: Intent) -> View:
    """Render a row as its stage would. Raises what the template raises: jinja2.TemplateError, TypeError, ValueError."""
    choice = {"loss_on_empty_think": intent.loss_on_empty_think, "loss_on_history": intent.loss_on_history}
    tools = case.conversation.tools or None
    if case.is_prompt:
        text = tokenizer.apply_chat_template(case.messages, tools=tools, tokenize=False, add_generation_prompt=True)
        ids, spans = _spans(tokenizer, text)
        return View(case, text, text, ids, [False] * len(ids), spans, vocabulary)
    switches = template_switches(case.conversation, **choice)
    text = tokenizer.apply_chat_template(case.messages, tools=tools, tokenize=False, **switches)
    ids, spans = _spans(tokenizer, text)
    trained = [False] * len(ids)
    if vocabulary.marks_loss:
        rendered = labelled(tokenizer, case.conversation, **choice)
        trained = [label != IGNORED for label in rendered.labels]
        if rendered.input_ids != ids:  # tokenizing the text again gives other tokens
            ids, spans = rendered.input_ids, list(_decoded_spans(tokenizer, rendered.input_ids))
            text = tokenizer.decode(ids)
    return View(case, text, _prompt(tokenizer, case), ids, trained, spans, vocabulary)


def _prompt(tokenizer: "PreTrainedTokenizerBase", case: Case) -> str:
    """The prompt of a rollout in place of the last answer, with the mode set as in render_prompt."""
    answers = assistant_turns(case.messages)
    history = case.messages[: answers[-1]] if answers else []
    if not history:
        return ""
    thinks = flagged_mode(history) is not None or case.conversation.mode == "thinking"
    return str(
        tokenizer.apply_chat_template(
            history,
            tools=case.conversation.tools or None,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=thinks,
        )
    )


def _spans(tokenizer: "PreTrainedTokenizerBase", text: str) -> tuple[list[int], list[tuple[int, int]]]:
    if not tokenizer.is_fast:
        ids = list(tokenizer(text, add_special_tokens=False)["input_ids"])
        return ids, list(_decoded_spans(tokenizer, ids))
    encoded: Any = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return list(encoded["input_ids"]), [(int(start), int(end)) for start, end in encoded["offset_mapping"]]


def _decoded_spans(tokenizer: "PreTrainedTokenizerBase", ids: list[int]) -> Iterator[tuple[int, int]]:
    end = 0
    for index in range(len(ids)):
        start, end = end, max(end, len(tokenizer.decode(ids[: index + 1])))
        yield start, end
