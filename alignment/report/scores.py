"""What a stage was paid by: its verifiers and its model scorers by name, and how proxy and verified reward went over its steps.

A reward model is a proxy: what is trained against it rises, whatever becomes of what it stands for (arXiv 2210.10760).
Neighbours: run.py (Stage), alarms/ (what is made of it), document.py (RewardsOverSteps), render/reward_models.py (the table).
"""

import itertools
from collections.abc import Iterator, Mapping
from statistics import fmean

from alignment.core.typed_json import Json
from alignment.report.document import RewardsOverSteps
from alignment.report.run import Run, Stage

PARTS = 4  # of a stage's steps


def scorers_of(stage: Stage, kind: str) -> list[str]:
    """Names of a stage's scorers of that kind."""
    return [_name(one) for one in specs(stage, "scorers") if one.get("kind") == kind]


def verifiers_of(stage: Stage) -> list[str]:
    """Names of a stage's rewards, observers of weight 0 included."""
    return [_name(one) for one in specs(stage, "rewards")]


def specs(stage: Stage, block: str) -> list[Mapping[str, Json]]:
    """The items of a list in a stage's recorded settings, such as `rewards`; empty where there is none."""
    settings = stage.identity.get("stage")
    found = settings.get(block) if isinstance(settings, Mapping) else None
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def rewards_over_steps(run: Run) -> tuple[RewardsOverSteps, ...]:
    """Proxy and verified rewards of every stage that was paid by a reward model."""
    return tuple(row for stage in run.stages for row in _rows(stage))


def _rows(stage: Stage) -> Iterator[RewardsOverSteps]:
    proxies = scorers_of(stage, "reward_model")
    named = [("proxy", name) for name in proxies] + [("verifier", name) for name in verifiers_of(stage) if proxies]
    for role, name in named:
        values = [value for _, value in stage.series(f"reward/{name}/mean")]
        if len(values) >= PARTS:
            ends = [len(values) * part // PARTS for part in range(PARTS + 1)]
            means = [round(fmean(values[first:last]), 6) for first, last in itertools.pairwise(ends)]
            yield RewardsOverSteps(stage.name, name, "proxy" if role == "proxy" else "verifier", tuple(means))


def _name(spec: Mapping[str, Json]) -> str:
    return str(spec.get("name") or spec.get("kind"))
