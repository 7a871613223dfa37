"""The budget of a prompt that came without one: its probe, asked of the same server that will answer it.

Neighbours: evaluation/adaptive_budget/budget.py (which budget a probe's value means), requests.py, middleware.py.
"""

import asyncio
from typing import Any

from alignment.evaluation.adaptive_budget.budget import AdaptiveBudget, Probe, agreement_of
from alignment.serve.asgi import Inside
from alignment.serve.requests import SWITCH, Body

CHAT, TOKENIZE = "/v1/chat/completions", "/tokenize"
# What makes the prompt. Everything else of a request is about the answer, which a probe does not give.
OF_THE_PROMPT = ("model", "messages", "tools", "documents", "chat_template_kwargs")


async def adaptive_budget(adaptive: AdaptiveBudget, body: Body, inside: Inside) -> int:
    """The budget for this request. Raises Refused where vLLM does not answer the probe."""
    return adaptive.budget_for(await _value(adaptive.probe, body, inside))


async def _value(probe: Probe, body: Body, inside: Inside) -> float:
    asked = {name: body[name] for name in OF_THE_PROMPT if name in body}
    if probe.kind == "prompt_tokens":
        found = await inside.ask(TOKENIZE, {**asked, "add_generation_prompt": True})
        return float(found["count"])
    plain = {**(body.get("chat_template_kwargs") or {}), SWITCH: False}
    sampling = {**probe.sampling, **({"top_k": int(probe.sampling["top_k"])} if "top_k" in probe.sampling else {})}
    found = await inside.ask(CHAT, {**asked, **sampling, "chat_template_kwargs": plain, "n": probe.samples})
    # Comparing answers may wait for a process of its own; other requests go on meanwhile.
    return await asyncio.to_thread(agreement_of, [_text(choice) for choice in found["choices"]])


def _text(choice: dict[str, Any]) -> str:
    return choice["message"].get("content") or ""
