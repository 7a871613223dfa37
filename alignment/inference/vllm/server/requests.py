"""What a server is asked, and what its answers say: token ids in and out, by vLLM's /inference/v1/generate.

Pure functions. Neighbours: client.py (sends them), pool.py, ../in_process.py (the same settings without a server).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from alignment.core.errors import EngineError
from alignment.inference.engine import Generation, GenerationRequest, SamplingSettings, as_generation, request_seed
from alignment.inference.thinking_budget import OUTSIDE, BudgetRule, ThinkTokens, thinking_so_far
from alignment.inference.vllm.server.client import Json

GENERATE = "/inference/v1/generate"


def of_adapter(body: Json, adapter: str | None) -> Json:
    """A request's body, to be answered by an adapter where there is one."""
    return body if adapter is None else {**body, "model": adapter}


def generate_body(
    request: GenerationRequest, settings: SamplingSettings, stop_ids: Sequence[int], budget: int | None
) -> Json:
    """The request for one completion. budget: in thinking tokens; every request of a server with budgets has one.

    vLLM 0.31 applies stale budgets to rows without one, so these get a budget that they cannot reach.
    """
    sampling: Json = {
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "top_k": settings.top_k or -1,
        "stop_token_ids": [*stop_ids, *request.stop_after],
        "max_tokens": request.max_tokens,
        "seed": request.seed,
        "detokenize": False,
        **({"logprobs": 0} if settings.logprobs else {}),  # 0: the sampled token's own
        **({} if budget is None else {"thinking_token_budget": budget}),
    }
    return {"token_ids": request.prompt_ids, "sampling_params": sampling}


def generation_of(request: GenerationRequest, answer: Json, thinking: ThinkTokens | None) -> Generation:
    """The generation in an answer. Raises EngineError for an answer that is none, or keeps another budget's rule."""
    try:
        (choice,) = answer["choices"]
        ids = [int(token) for token in choice["token_ids"] or ()]
        found = choice["logprobs"]
        logprobs = [0.0] * len(ids) if found is None else [float(one["logprob"]) for one in found["content"]]
        ended = choice["finish_reason"] == "stop"
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError(f"a server answered {str(answer)[:300]}, which holds no completion") from error
    if len(logprobs) != len(ids) or len(ids) > request.max_tokens:
        raise EngineError(
            f"a server answered {len(ids)} tokens with {len(logprobs)} log-probs, and was asked for {request.max_tokens}"
        )
    _refuse_other_rule(request, ids, thinking)
    return as_generation(request, ids, logprobs, thinking, ended=ended)


def was_interrupted(answer: Json) -> bool:
    """Whether a server ended a completion before its end, since its weights are about to change."""
    return [choice.get("finish_reason") for choice in answer.get("choices", [])] == ["abort"]


def without_half_a_stop_text(made: Generation, thinking: ThinkTokens | None) -> Generation:
    """An interrupted completion without a stop text that was being written: the server writes the whole one again."""
    written = 0
    while written < len(made.forced) and made.forced[-1 - written]:
        written += 1
    if thinking is None or not 0 < written < len(thinking.stop_ids):
        return made
    return replace(
        made, token_ids=made.token_ids[:-written], logprobs=made.logprobs[:-written], forced=made.forced[:-written]
    )


def continued(
    request: GenerationRequest, made: Generation, thinking: ThinkTokens | None, part: int
) -> GenerationRequest:
    """The request that goes on where an interrupted completion ended. part: how many came before, for a seed of its own.

    Without a budget once the thinking has ended: vLLM 0.31 takes only the whole stop text for the end.
    """
    ids = [*request.prompt_ids, *made.token_ids]
    thinks = thinking is None or thinking.open_id not in ids or thinking_so_far(ids, thinking) != OUTSIDE
    return replace(
        request,
        prompt_ids=ids,
        budget=request.budget if thinks else None,
        max_tokens=request.max_tokens - len(made.token_ids),
        seed=request_seed(request.seed, "part", part),
    )


def logprobs_body(ids: Sequence[int]) -> Json:
    """The request for the log-probs of a sequence."""
    sampling = {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0, "detokenize": False}
    return {"token_ids": list(ids), "sampling_params": sampling}


def logprobs_of(ids: Sequence[int], answer: Json) -> list[float]:
    """Log-prob of every token but the first. Raises EngineError for an answer without them."""
    try:
        places: list[dict[str, Any]] = answer["prompt_logprobs"][1:]
        return [float(at[str(token)]["logprob"]) for at, token in zip(places, ids[1:], strict=True)]
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError(f"a server answered without the log-probs of {len(ids)} tokens ({error})") from error


def _refuse_other_rule(request: GenerationRequest, ids: Sequence[int], thinking: ThinkTokens | None) -> None:
    """A server that was started by hand may have another stop text, or none."""
    if thinking is None or request.most_thinking is None:
        return
    rule = BudgetRule(request.prompt_ids, request.most_thinking, thinking)
    for token in ids:
        due = rule.forced()
        if due is not None and due != token:
            raise EngineError(
                f"a server did not write the stop text {thinking.stop_text!r} when a budget of {request.most_thinking} "
                "thinking tokens was spent; start it with the --reasoning-config of docs/rollouts.md"
            )
        rule.advance(token)
