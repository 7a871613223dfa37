"""Kind `http_verify`: the reward that a service gives, in the shape of NeMo Gym's `/verify`.

Posted is the whole rollout (responses.py) and the row's own columns; read is `reward`. A service that cannot be reached, is
late, answers in another shape, or masks the sample itself (`mask_sample`) leaves the verdict without a score. So any of
NeMo Gym's resources servers can judge, in an environment and a Python of its own. Neighbours: rewards/posting.py, table.py.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rewards.contract import SAMPLED_COLUMNS, Rollout, Verdict
from rewards.kinds.http_verify.responses import request_params, response
from rewards.posting import Answered, Service, service_fault

NOT_SENT = SAMPLED_COLUMNS | {"completion_text", "tools"}  # not of the row, or sent in another place
LARGEST_BODY = 10_000_000  # bytes


class HttpVerify:
    """Verifier of the kind `http_verify`. The score is the service's, in its own units."""

    columns: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        url: str = "http://127.0.0.1:8000",
        api_key_env: str = "",
        timeout_seconds: float = 30.0,
        concurrency: int = 8,
        retries: int = 3,
    ) -> None:
        fault = self.option_fault(url, api_key_env, timeout_seconds, concurrency, retries)
        if fault is not None:
            raise ValueError(fault)
        address = url if url.rstrip("/").endswith("/verify") else f"{url.rstrip('/')}/verify"
        self._service = Service(address, api_key_env, timeout_seconds, concurrency, retries)

    @staticmethod
    def option_fault(
        url: str = "http://127.0.0.1:8000",
        api_key_env: str = "",
        timeout_seconds: float = 30.0,
        concurrency: int = 8,
        retries: int = 3,
    ) -> str | None:
        """What is wrong with options whose names and types are right, or None."""
        fault = service_fault(url)
        if fault is not None:
            return f"url cannot be used: {fault}"
        if timeout_seconds <= 0 or concurrency < 1 or retries < 0:
            return "timeout_seconds and concurrency must be above zero, and retries not below it"
        return None

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout."""
        bodies = [_body(one, number) for number, one in enumerate(rollouts)]
        replies = iter(self._service.ask([one for one in bodies if not isinstance(one, Verdict)]))
        return [one if isinstance(one, Verdict) else _verdict(next(replies)) for one in bodies]

    def close(self) -> None:
        """Nothing to end: connections are closed after each batch."""


def _body(rollout: Rollout, number: int) -> dict[str, Any] | Verdict:
    """What is posted, or the verdict where that is not JSON or too much."""
    tools = rollout.columns.get("tools")
    own = {name: value for name, value in rollout.columns.items() if name not in NOT_SENT and value is not None}
    body = {
        **own,
        "responses_create_params": request_params(rollout, tools),
        "response": response(rollout, tools, number),
    }
    try:
        size = len(json.dumps(body, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        return Verdict(None, "not_json", {"detail": f"a column of the row cannot be sent: {error}"})
    return body if size <= LARGEST_BODY else Verdict(None, "too_large", {"bytes": size})


def _verdict(answered: Answered) -> Verdict:
    facts: dict[str, Any] = {"attempts": answered.attempts}
    if answered.value is None:
        return Verdict(None, answered.reason, {**facts, "detail": answered.detail})
    given, reward = answered.value, answered.value.get("reward")
    if given.get("mask_sample") or given.get("_ng_failure_class"):
        kind = str(given.get("failure_kind") or given.get("_ng_failure_class") or "no kind is given")
        why = str(given.get("failure_reason") or "")[:200]
        return Verdict(None, "masked", {**facts, "detail": f"the service could not judge ({kind}) {why}".strip()})
    if isinstance(reward, bool) or not isinstance(reward, (int, float)) or not math.isfinite(reward):
        shown = str(reward)[:50]
        return Verdict(None, "unparsable", {**facts, "detail": f"`reward` of the reply is no number: {shown}"})
    return Verdict(float(reward), "verified", {**facts, **_components(given)})


def _components(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a reward, where a service says them."""
    parts = given.get("reward_components")
    return {"reward_components": dict(parts)} if isinstance(parts, Mapping) else {}
