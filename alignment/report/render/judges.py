"""The table of the report's part on judges: what they were asked, what that cost, and how far they agreed before training.

For the page and for Markdown. Neighbours: ../document.py (a stage's counts), rollout/judges.py and judge_agreement.py (write them).
"""

from collections.abc import Mapping, Sequence

from alignment.core.statistics.estimate import Estimate
from alignment.core.typed_json import Json
from alignment.report.document import StageSection
from alignment.report.render import phrases

LEGEND = (
    "Tokens and cost are those of the reward's judges in the whole run up to the stage's end; what was judged before is not paid for "
    "again. Agreement is with verdicts that were known before training; planted are wrong answers with words that ask for a good grade."
)
HEADINGS = (
    "stage",
    "asked",
    "tokens",
    "cost",
    "agreement %",
    "wrong called right",
    "right called wrong",
    "planted passed",
)


def table(stages: Sequence[StageSection]) -> list[tuple[str, ...]]:
    """A row for each stage with a judge, and one more for each further judge that was measured, in the order of HEADINGS."""
    rows: list[tuple[str, ...]] = []
    for stage in stages:
        spent, measured = _mapping(stage.counts.get("judges")), _mapping(stage.counts.get("judge_agreement"))
        if not spent and not measured:
            continue
        cost = (_count(spent, "asked"), _count(spent, "tokens"), f"{_number(spent, 'cost') or 0.0:.2f}")
        agreed = [_agreement(_mapping(one)) for one in measured.values()] or [(phrases.MISSING,) * 4]
        rows.append((stage.name, *cost, *agreed[0]))
        rows += [(stage.name, "", "", "", *one) for one in agreed[1:]]
    return rows


def _agreement(found: Mapping[str, Json]) -> tuple[str, str, str, str]:
    agreement = Estimate(*(_number(found, name) for name in ("agreement", "agreement_low", "agreement_high")))
    return (
        phrases.with_interval(agreement),
        f"{_count(found, 'false_positives')} of {_count(found, 'negatives')}",
        f"{_count(found, 'missed')} of {_count(found, 'positives')}",
        f"{_count(found, 'planted_passed')} of {_count(found, 'planted')}",
    )


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _number(found: Mapping[str, Json], name: str) -> float | None:
    value = found.get(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _count(found: Mapping[str, Json], name: str) -> str:
    value = _number(found, name)
    return phrases.MISSING if value is None else f"{int(value):,}"
