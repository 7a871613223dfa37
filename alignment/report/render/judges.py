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
    "again. A judge with `double` in its name is a rule in place of a model. Those without a verdict have no reward and were left out; the "
    "mean is over the steps. Agreement is with verdicts that were known before training; planted are wrong answers with words that ask for a good grade."
)
HEADINGS = (
    "stage",
    "judge",
    "asked",
    "tokens",
    "cost",
    "no verdict %",
    "agreement %",
    "wrong called right",
    "right called wrong",
    "planted passed",
)


def table(stages: Sequence[StageSection]) -> list[tuple[str, ...]]:
    """A row for each judge of a stage, the stage's cost in its first, in the order of HEADINGS."""
    rows: list[tuple[str, ...]] = []
    for stage in stages:
        spent, measured = _mapping(stage.counts.get("judges")), _mapping(stage.counts.get("judge_agreement"))
        if not spent and not measured:
            continue
        cost = (_count(spent, "asked"), _count(spent, "tokens"), f"{_number(spent, 'cost') or 0.0:.2f}")
        models = _mapping(spent.get("models"))
        for number, name in enumerate(dict.fromkeys([*models, *measured]) or [""]):
            agreed = _agreement(_mapping(measured[name])) if name in measured else (phrases.MISSING,) * 4
            named = str(models.get(name) or phrases.MISSING)
            rows.append((stage.name, named, *(("", "", "") if number else cost), _unknown(stage, name), *agreed))
    return rows


def _unknown(stage: StageSection, name: str) -> str:
    """The percentage of its completions that a reward's judge gave no verdict on, and the reasons, the most frequent first."""
    fraction = stage.training.get(f"reward/{name}/unknown_fraction")
    if fraction is None:
        return phrases.MISSING
    start = f"reward/{name}/unknown/"
    why = {metric.removeprefix(start): one.mean for metric, one in stage.training.items() if metric.startswith(start)}
    reasons = ", ".join(sorted(why, key=lambda reason: -why[reason]))
    return f"{100 * fraction.mean:.1f}" + (f" ({reasons})" if reasons else "")


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
