"""Whether a judge may train a policy: measured on verdicts that are known, before anything is trained.

Neighbours: rewards/kinds/judge/agreement.py (counts), training/stages/grpo.py (asks before it trains), commands/audit/
(prints the same), recipe/blocks/judges.py (what a recipe asks for).
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import rewards
from alignment.core.errors import ArtifactError, DataError, JudgeRefused
from alignment.core.files import read_json_lines
from alignment.core.statistics.estimate import Estimate
from alignment.core.statistics.intervals import wilson
from alignment.recipe.blocks.judges import Agreement
from alignment.recipe.blocks.rewards import Reward
from alignment.records.judges import KnownAgreement
from alignment.rollout.judges import reward_options
from rewards.kinds.judge.agreement import RIGHT_FROM, JudgeAgreement, KnownVerdict, measure_agreement

LEAST_OF_EACH = 5  # rows that are right, and rows that are wrong
MOST_UNKNOWN = 0.1  # fraction of rows without a score
QUESTION, RESPONSE, SCORE = ("question", "prompt", "messages"), "response", "score"


def known_verdicts(path: Path) -> list[KnownVerdict]:
    """The rows of a file. Raises DataError that names the line for one that is no row, or if too few are right or wrong."""
    damaged: list[int] = []
    try:
        rows = list(read_json_lines(path, damaged))
    except ArtifactError as error:
        raise DataError(str(error)) from error
    if damaged:
        raise DataError(f"{path}:{damaged[0]}: it is not JSON")
    known = [_known(path, number, row) for number, row in enumerate(rows, 1)]
    right = sum(one.score >= RIGHT_FROM for one in known)
    if min(right, len(known) - right) < LEAST_OF_EACH:
        raise DataError(
            f"{path}: {right} responses are known as right and {len(known) - right} as wrong; a judge's agreement needs at least "
            f"{LEAST_OF_EACH} of each, or one that always says the same would pass"
        )
    return known


def measured(options: dict[str, Any], known: Sequence[KnownVerdict]) -> JudgeAgreement:
    """A judge's agreement. options: its spec for rewards/. Raises RewardSpecError and BudgetSpent."""
    with rewards.reward_function([options]) as reward:
        component = reward.components[0]
        rows = [KnownVerdict(one.prompt, one.response, one.score, _named(one, component)) for one in known]
        return measure_agreement(component.verifier, rows)


def faults(found: JudgeAgreement, asked: Agreement) -> Iterator[str]:
    """Why a judge may not train, in words."""
    unknown = found.rows - found.judged
    if unknown > MOST_UNKNOWN * found.rows:
        reasons = ", ".join(f"{reason} {count}" for reason, count in found.reasons.items())
        yield f"it gave no verdict on {unknown} of {found.rows} rows ({reasons})"
    if found.agreement is not None and found.agreement < asked.least:
        low, high = wilson(found.agreed, found.judged)
        yield (
            f"it agrees with {found.agreed} of {found.judged} known verdicts ({found.agreement:.2f}, 95% interval {low:.2f} to "
            f"{high:.2f}), and agreement.least is {asked.least:g}; it called {found.false_positives} of {found.negatives} wrong "
            f"answers right, and {found.missed} of {found.positives} right ones wrong"
        )
    if found.planted_fraction is not None and found.planted_fraction > asked.max_planted:
        first = found.talked[0].replace("\n", " ")[-120:]
        yield (
            f"it can be talked round: {found.passed} of {found.planted} wrong answers with planted words passed it, and "
            f"agreement.max_planted is {asked.max_planted:g}; the first ends {first!r}"
        )


def refuse_disagreeing(stage: str, specs: Sequence[Reward], judgements: Path) -> dict[str, KnownAgreement]:
    """The measured agreement of each judge that the recipe asks it of, for the manifest. Raises JudgeRefused, DataError."""
    measures: dict[str, KnownAgreement] = {}
    for spec in specs:
        if spec.agreement is None:
            continue
        found = measured(reward_options(spec, judgements), known_verdicts(Path(spec.agreement.data)))
        if reasons := list(faults(found, spec.agreement)):
            raise JudgeRefused(
                f"stage `{stage}`: the judge of reward `{spec.called}` may not train: {'; '.join(reasons)}. A policy would learn its "
                "mistakes: use a better model, a form with a reference or a rubric, or a verifier"
            )
        measures[spec.called] = agreement_figures(found)
    return measures


def agreement_figures(found: JudgeAgreement) -> KnownAgreement:
    """The figures of an agreement, as they are recorded."""
    low, high = wilson(found.agreed, found.judged) if found.judged else (None, None)
    return KnownAgreement(
        rows=found.rows,
        judged=found.judged,
        agreement=Estimate(found.agreement, low, high),
        kappa=found.kappa,
        false_positives=found.false_positives,
        negatives=found.negatives,
        missed=found.missed,
        positives=found.positives,
        mean_difference=found.difference,
        planted=found.planted,
        planted_passed=found.passed,
    )


def _known(path: Path, number: int, row: Any) -> KnownVerdict:
    keys = f"write `question`, `{RESPONSE}` and `{SCORE}`, from 0 (wrong) to 1 (right), and what the judge's form reads"
    if not isinstance(row, dict):
        raise DataError(f"{path}: row {number} is not an object; {keys}")
    question = next((row[name] for name in QUESTION if row.get(name)), None)
    response, score = row.get(RESPONSE), row.get(SCORE)
    if not isinstance(question, (str, list)) or not isinstance(response, str):
        raise DataError(f"{path}: row {number} has {', '.join(map(str, row))[:200]}; {keys}")
    if not isinstance(score, (bool, int, float)) or not math.isfinite(score) or not 0 <= score <= 1:
        raise DataError(f"{path}: row {number} has the score {score!r}; write a number from 0 to 1, or true or false")
    own = {name: one for name, one in row.items() if name not in (*QUESTION, RESPONSE, SCORE)}
    return KnownVerdict(question, response, float(score), own)


def _named(one: KnownVerdict, component: rewards.Component) -> dict[str, Any]:
    """A row's columns under the names that the judge knows; None where the row has none."""
    own = {name: one.columns.get(component.columns.get(name, name)) for name in component.verifier.columns}
    return {**one.columns, **own}
