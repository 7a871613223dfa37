"""Kind `environment`: the score that the rollout's environment gave it itself.

An environment that owns its reward (TRL's `get_reward`, an OpenEnv server's `reward`) says what a rollout is worth when it
ends; whoever samples hands it over in the column `environment_reward`. No score is no verdict, and never zero.
"""

import math
from collections.abc import Sequence

from rewards.contract import Rollout, Verdict
from rewards.kind import Kind, Row


class EnvironmentReward:
    """Verifier of the kind `environment`."""

    columns: tuple[str, ...] = ("environment_reward",)

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout, in the environment's own units."""
        return [_verdict(one.column("environment", "environment_reward")) for one in rollouts]

    def close(self) -> None:
        """Nothing to end."""


def _verdict(given: object) -> Verdict:
    if given is None:
        detail = "the environment gave no score; one that gives scores has a method for it (docs/environments.md)"
        return Verdict(None, "environment_gave_none", {"detail": detail})
    if not isinstance(given, (bool, int, float)) or not math.isfinite(given):
        return Verdict(None, "not_a_number", {"detail": f"the environment gave {str(given)[:50]}"})
    return Verdict(float(given), "environment")


def _row(group: str, given: object, score: float | None) -> Row:
    return Row(group, "Left, then right.", score, {"environment_reward": given})  # type: ignore[arg-type]


ROWS: tuple[Row, ...] = (
    _row("gold", 1.0, 1.0),
    _row("gold", True, 1.0),
    _row("near_miss", 0.5, 0.5),
    _row("garbage", 0, 0.0),
    _row("garbage", -1.5, -1.5),
    _row("unjudgeable", None, None),
    _row("unjudgeable", math.nan, None),
    _row("adversarial", "1.0", None),
    _row("adversarial", math.inf, None),
)

KIND = Kind("environment", EnvironmentReward, ROWS)
