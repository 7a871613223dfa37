"""Resolves mode (by switch or flag) and thinking budget of a chat request, under any name that clients use.

The template behind vLLM knows only the switch `enable_thinking`. Flags and the precedence of switch, flag and
`reasoning_effort` are resolved here, as in `alignment chat`, before vLLM sees the request. Pure functions on the
request's JSON; middleware.py applies them. Neighbour: data/chat/modes.py (which flag sets the mode).
"""

from dataclasses import dataclass
from typing import Any

from alignment.core.vocabulary import Mode
from alignment.data.chat.modes import flagged_mode

BUDGET, SWITCH = "thinking_token_budget", "enable_thinking"  # as vLLM calls them
BUDGET_ALSO = "thinking_budget"  # as Qwen's own endpoints call it
EXTRA = "alignment_thinking_budget"  # the extra argument that budget_processor.py reads
Body = dict[str, Any]


class BadRequest(ValueError):
    """A malformed request; the client gets the message with status 400."""


@dataclass(frozen=True)
class ResolvedRequest:
    """A request's JSON without its budget, the mode to answer in, and the budget in tokens, or None."""

    body: Body
    mode: Mode
    budget: int | None

    def as_sent(self, budget: int | None, *, native: bool) -> Body:
        """The JSON for vLLM with this budget: in vLLM's own field if native, else in that of budget_processor.py."""
        if budget is None or self.mode == "non_thinking":
            return self.body
        if native:
            return {**self.body, BUDGET: budget}
        return {**self.body, "vllm_xargs": {**(self.body.get("vllm_xargs") or {}), EXTRA: budget}}


def resolve(body: Body) -> ResolvedRequest:
    """Resolve mode and budget of a chat completion request.

    Precedence: a switch that is off; the last flag in a user or system turn; `reasoning_effort: none`; else the model
    thinks. The switch may stand in `chat_template_kwargs`, where vLLM looks for it, or at the top of the request. In
    non-thinking mode the budget is dropped.

    Raises BadRequest for a switch or a budget of the wrong type.
    """
    rest = {name: value for name, value in body.items() if name not in (BUDGET, BUDGET_ALSO, SWITCH)}
    kwargs = body.get("chat_template_kwargs") or {}
    if not isinstance(kwargs, dict):
        raise BadRequest("chat_template_kwargs is not an object; write one, such as {\"enable_thinking\": false}")  # fmt: skip
    switch = kwargs.get(SWITCH, body.get(SWITCH))
    if switch is not None and not isinstance(switch, bool):
        raise BadRequest(f"{SWITCH}: {switch!r} is not a boolean; write true or false")
    mode = _mode(body, switch)
    rest["chat_template_kwargs"] = {**kwargs, SWITCH: mode == "thinking"}
    return ResolvedRequest(rest, mode, _budget(body) if mode == "thinking" else None)


def _mode(body: Body, switch: bool | None) -> Mode:
    if switch is False:
        return "non_thinking"
    flagged = flagged_mode(_plain(body.get("messages")))
    if flagged is not None:
        return flagged
    return "non_thinking" if switch is None and body.get("reasoning_effort") == "none" else "thinking"


def _plain(messages: Any) -> list[dict[str, Any]]:
    """Role and text of each turn; OpenAI clients may send content in parts. vLLM refuses malformed turns itself."""
    turns = [turn for turn in messages if isinstance(turn, dict)] if isinstance(messages, list) else []
    return [{"role": turn.get("role"), "content": _text(turn.get("content"))} for turn in turns]


def _text(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))


def _budget(body: Body) -> int | None:
    asked = {name: body[name] for name in (BUDGET, BUDGET_ALSO) if body.get(name) is not None}
    for name, value in asked.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise BadRequest(f"{name}: {value!r} is not a number of tokens; write a whole number, 0 or larger")
    if len(set(asked.values())) > 1:
        raise BadRequest(f"{BUDGET} and {BUDGET_ALSO} name the same budget, and their values differ; write one of them")
    return next(iter(asked.values()), None)
