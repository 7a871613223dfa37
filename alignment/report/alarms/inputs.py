"""Alarms of what a stage was made from: its model, its rows, its inputs' hashes, and how programs ran.

Neighbours: evidence.py, training.py.
"""

from collections.abc import Iterator

from alignment.core.vocabulary import COMMIT
from alignment.report.alarms.evidence import alarm, count_of, values_of
from alignment.report.document import Alarm, Level
from alignment.report.run import Stage

LEFT_OUT_FRACTION = 0.1
LEFT_OUT_NOTICED = 0.01


def start_alarms(stage: Stage) -> Iterator[Alarm]:
    """A hub model without a commit."""
    model, at, revision = stage.inputs.get("model", "").removeprefix("hub:").partition("@")
    if stage.inputs.get("model", "").startswith("hub:") and not COMMIT.fullmatch(revision):
        pinned = f"is pinned to {revision}, a branch or tag" if at else "is not pinned"
        message = (
            f"The model {model} {pinned}: write its commit as `revision` at the top of the recipe, or the same recipe may "
            "start from other weights one day."
        )
        yield alarm(stage, "model_not_pinned", None, None, message, "notice")


def row_alarms(stage: Stage) -> Iterator[Alarm]:
    """Rows, pairs or problems that were too long to be used."""
    long = count_of(stage, "left_out_too_long")
    used = count_of(stage, "problems" if "problems" in stage.counts else "rows")
    fraction = long / (long + used) if long else 0.0
    if fraction > LEFT_OUT_NOTICED:
        message = f"{long:,.0f} of {long + used:,.0f} rows were too long and were left out."
        level: Level = "warning" if fraction > LEFT_OUT_FRACTION else "notice"
        yield alarm(stage, "left_out_too_long", fraction, LEFT_OUT_FRACTION, message, level)


def isolation_alarms(stage: Stage) -> Iterator[Alarm]:
    """Programs that ran without isolation."""
    if "none" in values_of(stage.identity.get("stage"), "isolation"):
        message = "Programs that the model wrote ran without isolation (isolation: none), with the rights of this run."
        yield alarm(stage, "no_isolation", None, None, message)


def lineage_alarms(stage: Stage, earlier: tuple[Stage, ...]) -> Iterator[Alarm]:
    """An input whose hash is no longer that of the stage it names."""
    hashes = {other.name: other.output_hash for other in earlier if other.output_hash}
    for name, hashed in stage.inputs.items():
        if name in hashes and hashes[name] != hashed:
            message = f"It was made from another output of {name} ({hashed[:8]}) than the one in this run."
            yield alarm(stage, "stale_input", None, None, message)
