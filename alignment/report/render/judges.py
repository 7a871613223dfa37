"""The table of the report's part on judges: what they were asked, what that cost, and how far they agreed before training.

For the page and for Markdown. Neighbours: ../document.py (a stage's counts), records/judges.py (what they hold).
"""

from collections.abc import Sequence

from alignment.records.judges import KnownAgreement, agreements_of, spending_of
from alignment.report import phrases
from alignment.report.document import StageSection

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
        spent, agreements = spending_of(stage.counts), agreements_of(stage.counts)
        if spent is None and not agreements:
            continue
        cost = (
            (phrases.MISSING,) * 3 if spent is None else (f"{spent.asked:,}", f"{spent.tokens:,}", f"{spent.cost:.2f}")
        )
        models = {} if spent is None else spent.models
        for number, name in enumerate(dict.fromkeys([*models, *agreements]) or [""]):
            agreed = _agreement(agreements[name]) if name in agreements else (phrases.MISSING,) * 4
            named = models.get(name, phrases.MISSING)
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


def _agreement(found: KnownAgreement) -> tuple[str, str, str, str]:
    return (
        phrases.with_interval(found.agreement),
        f"{found.false_positives:,} of {found.negatives:,}",
        f"{found.missed:,} of {found.positives:,}",
        f"{found.planted_passed:,} of {found.planted:,}",
    )
