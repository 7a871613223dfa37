"""Whether a chat template writes every turn of a conversation: many write user and assistant turns alone.

A template drops a role, a tool or a call without a word, so that a row would be trained on or asked as another one.
Looked at once for each form of conversation, on probes in place of the contents. Neighbours: template.py (renders
rows), lint/ (looks at a sample of rows for all faults).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from alignment.core.errors import DataError
from alignment.data.rows import Message, Preference, ToolSchema

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Form = frozenset[tuple[str, bool, int]]


class TurnsRendered:
    """Looks at conversations that one tokenizer's template will render, each form of them once."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._tokenizer = tokenizer
        self._proven: set[tuple[Form, bool]] = set()

    def prove(self, row: str, messages: Sequence[Message], tools: Sequence[ToolSchema] = ()) -> None:
        """Raise DataError if the template refuses or drops a turn, a call or a tool of a conversation. row: its id."""
        form = frozenset((str(one.get("role")), at == 0, len(_calls(one))) for at, one in enumerate(messages))
        if (form, bool(tools)) in self._proven:
            return
        probes = [_probe(number, one) for number, one in enumerate(messages)]
        try:
            text = str(
                self._tokenizer.apply_chat_template(
                    probes,
                    tools=list(tools) or None,
                    tokenize=False,
                    add_generation_prompt=messages[-1].get("role") != "assistant",
                )
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise DataError(f"{row}: the chat template refuses it ({error}); {_ADVICE}") from error
        lost = next((what for what, mark in _marks(probes, tools) if mark not in text), None)
        if lost is not None:
            raise DataError(f"{row}: the chat template drops {lost}; {_ADVICE}")
        self._proven.add((form, bool(tools)))

    def prove_pair(self, pair: Preference) -> None:
        """`prove` for both answers of a pair."""
        for answer in (pair.chosen, pair.rejected):
            self.prove(pair.id, [*pair.prompt, answer], pair.tools)


_ADVICE = "write a `chat_template` that renders it, such as those of data/templates/, or remove such rows"


def _calls(message: Message) -> list[dict[str, Any]]:
    return [call.get("function", call) for call in message.get("tool_calls") or []]


def _probe(number: int, message: Message) -> Message:
    """A message with a word in place of its content, which no template writes in another form."""
    if _calls(message) and not str(message.get("content") or "").strip():
        return message
    return {**message, "content": f"probe{number}end"}


def _marks(probes: Sequence[Message], tools: Sequence[ToolSchema]) -> Iterator[tuple[str, str]]:
    """(what it is, the text by which it is found) of everything that has to be written."""
    for number, one in enumerate(probes):
        content = str(one.get("content") or "")
        if content.startswith("probe"):
            yield f"turn {number} ({one.get('role')})", content
        for call in _calls(one):
            yield f"the call of turn {number}", str(call.get("name"))
    for tool in tools:
        function = tool.get("function", tool)
        yield "the row's `tools`", str(function.get("name") if isinstance(function, dict) else "")
