"""The verifier of a reward of one's own: hands batches to a worker process, and reads what comes back.

A batch is one call, as in TRL. If the call fails, exceeds its limit or ends its process, its rows are judged again one by
one, so that only those at fault are left without a score. Neighbours: inside.py (the process), description.py.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from rewards.contract import Rollout, Verdict, not_applicable
from rewards.errors import RewardsError
from rewards.kind import Kind, Option
from rewards.own.description import Described, OwnOption, described
from rewards.own.loading import own_name
from rewards.own.signature import OPTION_TYPES
from rewards.pool import Outcome, VerificationPool

TIMEOUT_SECONDS = 30.0
MEMORY_MIB = 4096  # of address space: torch alone reserves about 2,000
TRIED_AT_LEAST = 8  # rows of a failed batch; with more than half of them at fault the rest is not tried
NOT_SPLIT = ("wrong_length", "wrong_type")  # what another call would return again
_LOST = {"timed_out": "timed_out", "lost": "crashed", "failed": "raised"}  # statuses of the pool, as reasons
COMMON: Mapping[str, Option] = {
    "timeout_seconds": Option(float, TIMEOUT_SECONDS),
    "memory_mib": Option(int, MEMORY_MIB),
    "workers": Option(int, 1),
    "whole_batch": Option(bool, False),
}


class OwnReward:
    """Judges with a function or verifier of the user's own, in processes that can be ended.

    `timeout_seconds`: longest call, of a batch or of one row. `memory_mib`: address space of a process. `workers`: processes
    among which the rows of a failed batch are divided. `whole_batch`: never judge rows one by one, for a function that
    compares the completions of a batch.
    """

    own: ClassVar[str] = ""
    about: ClassVar[Described]
    columns: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        memory_mib: int = MEMORY_MIB,
        workers: int = 1,
        whole_batch: bool = False,
        **options: Any,
    ) -> None:
        self._whole, self._options = whole_batch, options
        given = {name: one.default for name, one in self.about.options.items() if self.about.what == "verifier"}
        asked = {"name": self.own, "reads": self.about.reads, "options": {**given, **options}}
        self._pool = VerificationPool(
            "rewards.own.inside:judging",
            workers=workers,
            timeout_seconds=timeout_seconds,
            memory_mib=memory_mib,
            argument=json.dumps(asked),
        )

    @staticmethod
    def option_fault(**options: Any) -> str | None:
        """Why limits cannot be kept, or None."""
        low = [name for name in ("timeout_seconds", "memory_mib", "workers") if options.get(name, 1) <= 0]
        return f"{low[0]} must be above 0" if low else None

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has the same settings, and starts a worker of its own."""
        pool = self._pool
        limits = {"timeout_seconds": pool.timeout_seconds, "memory_mib": pool.memory_mib, "workers": pool.workers}
        return _made, (self.own, {**limits, "whole_batch": self._whole, **self._options})

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout. A row that has nothing in a column that is needed is not this reward's."""
        lacking = [next((name for name in self.columns if one.columns.get(name) is None), None) for one in rollouts]
        rows = [_row(one) for one, lacks in zip(rollouts, lacking, strict=True) if lacks is None]
        judged = iter(self._judged(rows) if rows else [])
        return [next(judged) if lacks is None else not_applicable(lacks) for lacks in lacking]

    def close(self) -> None:
        """End the processes."""
        self._pool.close()

    def _judged(self, rows: list[dict[str, Any]]) -> list[Verdict]:
        found = _read(self._pool.map([rows])[0], len(rows))
        if found[0].reason not in (*_LOST.values(),) or self._whole or len(rows) == 1:
            return found
        verdicts: list[Verdict] = []
        while len(verdicts) < len(rows):
            if len(verdicts) >= TRIED_AT_LEAST and sum(one.score is None for one in verdicts) * 2 > len(verdicts):
                return verdicts + [Verdict(None, "not_tried", verdicts[-1].evidence)] * (len(rows) - len(verdicts))
            part = rows[len(verdicts) : len(verdicts) + TRIED_AT_LEAST]
            verdicts += [_read(one, 1)[0] for one in self._pool.map([[row] for row in part])]
        return verdicts


def own_kind(name: str) -> Kind:
    """The kind that a name of one's own stands for. Raises OwnCodeError for code that cannot be used."""
    about = described(name)
    verifier = type("OwnReward", (OwnReward,), {"own": name, "about": about, "columns": about.needs})
    options = {**COMMON, **{option: _option(one) for option, one in about.options.items()}}
    return Kind(name, verifier, options=options)


def _made(name: str, options: dict[str, Any]) -> OwnReward:
    verifier: OwnReward = own_kind(name).verifier(**options)  # type: ignore[assignment]
    return verifier


def _option(one: OwnOption) -> Option:
    words = one.type if isinstance(one.type, tuple) else None
    return Option(OPTION_TYPES[str(one.type)] if words is None else Literal[words], one.default)


def _row(rollout: Rollout) -> dict[str, Any]:
    """A rollout as JSON. Raises RewardsError for a column that holds what JSON has not."""
    row = {
        "prompt": rollout.prompt,
        "completion": rollout.completion,
        "completion_ids": rollout.completion_ids,
        "mode": rollout.mode,
        "budget": rollout.budget,
        "stop_reason": rollout.stop_reason,
        "forced": rollout.forced,
        "columns": {name: value for name, value in rollout.columns.items() if name != "forced"},
        "messages": rollout.messages,
    }
    return dict(json.loads(json.dumps(row, default=_plain)))


def _plain(value: Any) -> Any:
    """Arrays as lists, dates as text."""
    for method in ("tolist", "isoformat"):
        if hasattr(value, method):
            return getattr(value, method)()
    raise RewardsError(
        f"a column holds a {type(value).__name__}, which no reward of one's own can be given; store it as text"
    )


def _read(outcome: Outcome, rows: int) -> list[Verdict]:
    """The verdicts of one call."""
    if outcome.status != "done":
        return [Verdict(None, _LOST[outcome.status], {"detail": outcome.detail})] * rows
    if "fault" in outcome.value:
        return [Verdict(None, outcome.value["fault"], {"detail": outcome.value["detail"]})] * rows
    return [Verdict(score, reason, evidence) for score, reason, evidence in outcome.value["scored"]]


def short_name(kind: str) -> str:
    """The name of a reward in metrics where a spec gives it none: the function's."""
    return own_name(kind).attribute
