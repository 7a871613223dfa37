"""`alignment adapt`: from a finished budget sweep to adaptive.json, a thinking budget for each prompt.

Half of the sweep's problems are fitted, the other half measure the saving. Nothing is sampled. Neighbours:
commands/budget/sweeping.py (measures the sweep), evaluation/adaptive_budget/ (the arithmetic and the file).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.table import Table

from alignment.core.errors import ArtifactError, OptionError
from alignment.records.adaptive import (
    ADAPTIVE,
    AdaptiveBudget,
    FittedFigures,
    HeldOutFigures,
    Probe,
    Savings,
    Target,
    TargetFigures,
)
from alignment.records.sweep import FOLDER, SWEEP, ProblemOutcome, Sweep, read_outcomes
from alignment.report.phrases import decimals

if TYPE_CHECKING:
    from alignment.evaluation.adaptive_budget.fit import Curve, Rule

FEWEST = 64  # problems of a sweep; of fewer, neither half could say anything
ROWS = 8  # of the table that shows what other targets would bring


@dataclass(frozen=True)
class AdaptOptions:
    """The options of `alignment adapt` as written."""

    path: Path
    stage: str | None = None
    task: str | None = None
    accuracy: float | None = None
    tokens: float | None = None
    probe: Literal["auto", "length", "agreement"] = "auto"
    output: Path | None = None

    @property
    def folder(self) -> Path:
        """The sweep's folder: the path itself, or budget/ in a run. Raises OptionError if there is no sweep."""
        found = next((one for one in (self.path, self.path / FOLDER) if (one / SWEEP).is_file()), None)
        if found is None:
            raise OptionError(f"{self.path}: there is no budget sweep; measure one first: alignment budget {self.path}")
        return found

    @property
    def target(self) -> Target:
        """The target of the fit. Raises OptionError for none or two."""
        if (self.accuracy is None) == (self.tokens is None):
            raise OptionError(
                "write one target: --accuracy 0.7 for the fewest tokens that reach it, or --tokens 200 for the highest accuracy"
            )
        return Target(self.accuracy, self.tokens)


def fit_sweep(options: AdaptOptions, console: Console) -> AdaptiveBudget:
    """Fit on one half, measure on the other, write adaptive.json and print it.

    Raises OptionError for a target that cannot be reached, ArtifactError for a sweep that cannot be fitted.
    """
    from alignment.evaluation.adaptive_budget.fit import best_probe, fit, with_intervals

    target, swept = options.target, _swept(options)
    curve = swept.curve
    fitted, held_out = curve.part(2, 0)
    probe, promised = best_probe(fitted, _probes(options, swept), target)
    rule = fit(fitted, probe, target)
    if rule is None:
        raise OptionError(_out_of_reach(fitted, target))
    figures = HeldOutFigures(
        problems=len(held_out.keys),
        left_out_unknown=swept.left_out,
        promised=promised,
        savings=with_intervals(held_out, rule),
        other_targets=_other_targets(fitted, held_out, probe),
    )
    found = AdaptiveBudget(
        stage=swept.stage,
        policy=swept.policy,
        task=swept.task,
        probe=probe,
        bins=rule.bins(fitted),
        target=target,
        fitted=FittedFigures(len(fitted.keys), with_intervals(fitted, rule)),
        held_out=figures,
    )
    path = options.output or options.folder / ADAPTIVE
    found.write(path)
    _print(found, len(fitted.keys), figures, console)
    console.print(f"written: {path}; use it with --adaptive in `alignment chat` and `alignment serve`",
                  highlight=False, soft_wrap=True)  # fmt: skip
    return found


@dataclass(frozen=True)
class _Swept:
    """What is learned from: one policy on one task, its curve, and the problems with a sample that could not be judged."""

    sweep: Sweep
    stage: str
    policy: str
    task: str
    curve: "Curve"
    left_out: int


def _swept(options: AdaptOptions) -> _Swept:
    sweep = Sweep.read(options.folder / SWEEP)
    stage = _named("stage", options.stage, [one.stage for one in sweep.stages], last=True)
    task = _named("task", options.task, list(dict.fromkeys(one.place.task for one in sweep.points)), last=False)
    files = [one for one in sweep.outcomes if (one.place.stage, one.place.task) == (stage, task)]
    thinking = {one.place.budget: options.folder / one.file for one in files if one.place.budget is not None}
    if len(thinking) < 2:
        raise ArtifactError(
            f"{options.folder / SWEEP} has {len(thinking)} budgets of {stage} on {task} with the outcome of every problem, "
            "and two or more are needed; measure them: alignment budget ... --budgets 0,64,256 --output FOLDER"
        )
    plain = next((options.folder / one.file for one in files if one.place.mode == "non_thinking"), None)
    budgets = {budget: read_outcomes(thinking[budget]) for budget in sorted(thinking)}
    curve, left_out = as_curve(budgets, read_outcomes(plain) if plain else [])
    if len(curve.keys) < FEWEST:
        raise OptionError(
            f"{options.folder}: {len(curve.keys)} problems are too few to fit and to measure; measure at least "
            f"{FEWEST}, better 500: alignment budget ... --count 500"
        )
    return _Swept(sweep, stage, str(sweep.policy_of(stage)), task, curve, left_out)


def _named(what: str, asked: str | None, known: list[str], *, last: bool) -> str:
    if asked in known:
        return str(asked)
    if asked is not None or (len(known) != 1 and not last):
        raise OptionError(f"write --{what} with one of those that the sweep has: {', '.join(known)}")
    return known[-1]


def as_curve(budgets: dict[int, list[ProblemOutcome]], plain: list[ProblemOutcome]) -> "tuple[Curve, int]":
    """The problems that could be judged at every budget, and the number of those that could not."""
    import numpy as np

    from alignment.evaluation.adaptive_budget.fit import Curve

    tables = [{one.problem: one for one in outcomes} for outcomes in budgets.values()]
    probes = {one.problem: one for one in plain}
    whole = [key for key in tables[0] if all(key in table for table in tables) and (not probes or key in probes)]
    judged = [key for key in whole if all(None not in table[key].correct for table in tables)]

    def means(name: str) -> Any:
        return np.array([[np.mean(getattr(table[key], name)) for table in tables] for key in judged], dtype=float)

    probe_tokens = [list(probes[key].answer_tokens) if probes else [] for key in judged]
    return Curve(
        keys=judged,
        budgets=list(budgets),
        accuracy_PB=means("correct"),
        tokens_PB=means("thinking_tokens"),
        prompt_tokens_P=np.array([tables[0][key].prompt_tokens for key in judged], dtype=float),
        groups_PS=[probes[key].groups for key in judged] if probes else [[] for _ in judged],
        probe_tokens_PS=np.array(probe_tokens, dtype=float).reshape(len(judged), -1),
    ), len(tables[0]) - len(judged)


def _probes(options: AdaptOptions, swept: _Swept) -> list[Probe]:
    """The candidate probes: the length, and agreement of 2, 4, ... non-thinking answers if the sweep has them."""
    drawn = swept.curve.probe_tokens_PS.shape[1]
    sampling = {} if swept.sweep.settings is None else swept.sweep.settings.sampling.get("non_thinking", {})
    sizes = [2**power for power in range(1, 7) if 2**power <= drawn]
    agreement = [Probe(kind="agreement", samples=size, sampling=sampling) for size in sizes]
    length = [] if options.probe == "agreement" else [Probe(kind="prompt_tokens")]
    if options.probe == "agreement" and not agreement:
        raise OptionError(
            "the sweep has fewer than two non-thinking answers per problem; measure them: alignment budget ... "
            "--modes both --samples 4"
        )
    return length + ([] if options.probe == "length" else agreement)


def _out_of_reach(curve: "Curve", target: Target) -> str:
    best = float(curve.accuracy_PB.mean(axis=0).max())
    if target.accuracy is not None:
        return (
            f"--accuracy {target.accuracy} is out of reach: the best fixed budget has {best:.3f} on the problems that "
            "are fitted; write less, or measure larger budgets"
        )
    return f"--tokens {target.tokens:g}: even the smallest budgets, with the probe, cost more; write more"


def _other_targets(fitted: "Curve", held_out: "Curve", probe: Probe) -> tuple[TargetFigures, ...]:
    """Figures of the same probe at other targets, from cheap to expensive, on the held-out problems."""
    from alignment.evaluation.adaptive_budget.fit import beside_fixed, rules

    every: list[Rule] = list(rules(fitted, probe))[1:]
    shown = every[:: max(1, -(-len(every) // ROWS))]
    found = []
    for rule in shown if not every or shown[-1] is every[-1] else [*shown, every[-1]]:
        reached = float(rule.spent(fitted)[0].mean())
        found.append(TargetFigures(round(reached, 4), beside_fixed(held_out, rule).rounded()))
    return tuple(found)


def _print(found: AdaptiveBudget, fitted: int, held: HeldOutFigures, console: Console) -> None:
    console.print(f"{found.stage} on {found.task}: {fitted} problems fitted, {held.problems} others "
                  "held out", highlight=False, soft_wrap=True)  # fmt: skip
    promises = [f"{name} {'–' if share is None else f'{share:+.0%}'}" for name, share in held.promised.items()]
    console.print(f"probe: {found.probe.described}; saved in cross-validation: {', '.join(promises)}",
                  highlight=False, soft_wrap=True)  # fmt: skip
    ends = [f"above: {one.budget}" if one.up_to is None else f"to {one.up_to:g}: {one.budget}" for one in found.bins]
    console.print(f"budgets by {found.probe.described}: {', '.join(ends)}", highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title="held out, by target", title_justify="left")
    for heading in ("accuracy", "thinking", "probe", "best fixed\nbudget", "saved", "random\nbudgets", "saved"):
        table.add_column(heading, justify="right", vertical="bottom")
    for row in held.other_targets:
        table.add_row(*_cells(row.savings))
    table.add_row(*_cells(held.savings), style="bold")
    console.print(table)
    saved, accuracy = held.savings.saved_fraction, held.savings.accuracy
    console.print(
        f"saved beside the best fixed budget of equal accuracy: {decimals(saved.value, '.1%')} "
        f"(95%: {decimals(saved.low, '.1%')} to {decimals(saved.high, '.1%')}) at an accuracy of "
        f"{decimals(accuracy.value)} ({decimals(accuracy.low)}–{decimals(accuracy.high)})",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    if saved.low is None or saved.low <= 0:
        console.print(
            f"warning: that is no clear saving; a fixed budget (here of about "
            f"{decimals(held.savings.fixed_tokens.value, '.0f')} tokens on average) is simpler and as good",
            style="yellow", highlight=False, soft_wrap=True,
        )  # fmt: skip


def _cells(row: Savings) -> list[str]:
    tokens = (row.mean_thinking_tokens, row.mean_probe_tokens, row.fixed_tokens)
    return [
        decimals(row.accuracy.value),
        *(decimals(one.value, ".1f") for one in tokens),
        decimals(row.saved_fraction.value, ".1%"),
        decimals(row.random_budget_tokens.value, ".1f"),
        decimals(row.saved_fraction_beside_random.value, ".1%"),
    ]
