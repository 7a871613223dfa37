"""The adaptive budget of a prompt: measures its probe on the same server that will answer it.

Neighbours: evaluation/adaptive_budget/budget.py (from a probe's value to a budget), requests.py, middleware.py.
"""

import asyncio
from typing import Any

from alignment.evaluation.adaptive_budget.budget import agreement_of
from alignment.records.adaptive import AdaptiveBudget, Probe
from alignment.serve.asgi import InternalClient
from alignment.serve.requests import SWITCH, Body

CHAT, TOKENIZE = "/v1/chat/completions", "/tokenize"
# The fields that make the prompt; the others are about the answer.
PROMPT_FIELDS = ("model", "messages", "tools", "documents", "chat_template_kwargs")


async def adaptive_budget(adaptive: AdaptiveBudget, body: Body, client: InternalClient) -> int:
    """The budget, in tokens, for a request. Raises InternalRequestRefused if vLLM refuses the probe."""
    return adaptive.budget_for(await _value(adaptive.probe, body, client))


async def _value(probe: Probe, body: Body, client: InternalClient) -> float:
    asked = {name: body[name] for name in PROMPT_FIELDS if name in body}
    if probe.kind == "prompt_tokens":
        found = await client.post(TOKENIZE, {**asked, "add_generation_prompt": True})
        return float(found["count"])
    plain = {**(body.get("chat_template_kwargs") or {}), SWITCH: False}
    sampling = {**probe.sampling, **({"top_k": int(probe.sampling["top_k"])} if "top_k" in probe.sampling else {})}
    found = await client.post(CHAT, {**asked, **sampling, "chat_template_kwargs": plain, "n": probe.samples})
    # Comparing answers may wait for a verifier's process; a thread lets other requests proceed.
    return await asyncio.to_thread(agreement_of, [_text(choice) for choice in found["choices"]])


def _text(choice: dict[str, Any]) -> str:
    return choice["message"].get("content") or ""
