"""What a chat request asks for: the mode by switch or flag, and the thinking budget, whatever a client calls them.

vLLM's template knows the switch `enable_thinking` alone; the flags `/think` and `/no_think` and the order in which all
of these count are settled here, as `alignment chat` settles them, before vLLM sees the request. Pure functions over
the request's JSON; middleware.py applies them. Neighbour: data/modes.py (which flag counts).
"""

from dataclasses import dataclass
from typing import Any

from alignment.core.vocabulary import Mode
from alignment.data.modes import flagged_mode

BUDGET, SWITCH = "thinking_token_budget", "enable_thinking"  # as vLLM calls them
BUDGET_ALSO = "thinking_budget"  # as Qwen's own endpoints call it
EXTRA = "alignment_thinking_budget"  # the name under which budget_processor.py finds a budget
Body = dict[str, Any]


class BadRequest(ValueError):
    """A request that cannot be understood; the client is told with status 400."""


@dataclass(frozen=True)
class Settled:
    """A request as vLLM gets it, but for its budget: the mode in which it is answered, and the budget or None."""

    body: Body
    mode: Mode
    budget: int | None

    def as_sent(self, budget: int | None, *, native: bool) -> Body:
        """The request's JSON with a budget, in vLLM's own field or in the one of budget_processor.py."""
        if budget is None or self.mode == "non_thinking":
            return self.body
        if native:
            return {**self.body, BUDGET: budget}
        return {**self.body, "vllm_xargs": {**(self.body.get("vllm_xargs") or {}), EXTRA: budget}}


def settle(body: Body) -> Settled:
    """Decide mode and budget of a chat completion request.

    A switch that is off wins over everything; otherwise the last flag in a user or system turn decides, then
    `reasoning_effort: none`, and without any of these the model thinks. The switch may stand in `chat_template_kwargs`,
    where vLLM looks for it, or at the top of the request. A budget means nothing in non-thinking mode and is left out.

    Raises BadRequest for a switch or a budget of the wrong type.
    """
    rest = {name: value for name, value in body.items() if name not in (BUDGET, BUDGET_ALSO, SWITCH)}
    kwargs = body.get("chat_template_kwargs") or {}
    if not isinstance(kwargs, dict):
        raise BadRequest("chat_template_kwargs: write an object, such as {\"enable_thinking\": false}")  # fmt: skip
    switch = kwargs.get(SWITCH, body.get(SWITCH))
    if switch is not None and not isinstance(switch, bool):
        raise BadRequest(f"{SWITCH}: {switch!r} is neither true nor false")
    mode = _mode(body, switch)
    rest["chat_template_kwargs"] = {**kwargs, SWITCH: mode == "thinking"}
    return Settled(rest, mode, _budget(body) if mode == "thinking" else None)


def _mode(body: Body, switch: bool | None) -> Mode:
    if switch is False:
        return "non_thinking"
    flagged = flagged_mode(_plain(body.get("messages")))
    if flagged is not None:
        return flagged
    return "non_thinking" if switch is None and body.get("reasoning_effort") == "none" else "thinking"


def _plain(messages: Any) -> list[dict[str, Any]]:
    """Turns whose content is text; OpenAI clients may send it in parts. What is no turn is vLLM's to refuse."""
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
            raise BadRequest(f"{name}: {value!r} is no number of tokens; write a whole number, 0 or larger")
    if len(set(asked.values())) > 1:
        raise BadRequest(f"{BUDGET} and {BUDGET_ALSO} are two names of one budget, and here they differ; write one")
    return next(iter(asked.values()), None)
