"""`alignment adapt`: from a finished budget sweep to adaptive.json, a thinking budget for each prompt.

Half of the sweep's problems are fitted, the other half say what it is worth. Nothing is sampled. Neighbours:
budget/sweeping.py (measures the sweep), evaluation/adaptive_budget/ (the arithmetic and the file).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.table import Table

from alignment.core.errors import ArtifactError, OptionError
from alignment.core.files import read_json
from alignment.evaluation.adaptive_budget.budget import FILE, AdaptiveBudget, Probe
from alignment.records.outcomes import ProblemOutcome, read_outcomes

if TYPE_CHECKING:
    from alignment.evaluation.adaptive_budget.fit import Curve, Rule

SWEEP = "budget.json"
FEWEST = 64  # problems of a sweep; of fewer, neither half could say anything
ROWS = 8  # of the table that shows what other targets would bring
Facts = dict[str, Any]


@dataclass(frozen=True)
class AdaptOptions:
    """The options of `alignment adapt` as they were written."""

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
        found = next((one for one in (self.path, self.path / "budget") if (one / SWEEP).is_file()), None)
        if found is None:
            raise OptionError(f"{self.path}: there is no budget sweep; measure one first: alignment budget {self.path}")
        return found

    @property
    def target(self) -> dict[str, float]:
        """What is fitted to. Raises OptionError for none or two."""
        if (self.accuracy is None) == (self.tokens is None):
            raise OptionError("write one target: --accuracy 0.7 for the least tokens that reach it, or --tokens 200")
        return {"accuracy": self.accuracy} if self.accuracy is not None else {"tokens": float(self.tokens or 0)}


def fit_sweep(options: AdaptOptions, console: Console) -> AdaptiveBudget:
    """Fit, judge on the other half, write adaptive.json and print it.

    Raises OptionError for a target that cannot be reached, ArtifactError for a sweep that cannot be learned from.
    """
    from alignment.evaluation.adaptive_budget.fit import best_probe, fit, with_intervals

    target, place, curve, left_out = options.target, *_sweep(options)
    fitted, held_out = curve.part(2, 0)
    probe, promised = best_probe(fitted, _probes(options, curve), target)
    rule = fit(fitted, probe, target)
    if rule is None:
        raise OptionError(_out_of_reach(fitted, target))
    figures = {
        "problems": len(held_out.keys), "left_out_unknown": left_out, "promised": promised,
        **with_intervals(held_out, rule), "other_targets": _other_targets(fitted, held_out, probe),
    }  # fmt: skip
    found = AdaptiveBudget(
        **place, probe=probe, bins=rule.bins(fitted), target=target, held_out=figures,
        fitted={"problems": len(fitted.keys), **with_intervals(fitted, rule)},
    )  # fmt: skip
    path = options.output or options.folder / FILE
    found.write(path)
    _print(found, console)
    console.print(f"written: {path}; use it with --adaptive in `alignment chat` and `alignment serve`",
                  highlight=False, soft_wrap=True)  # fmt: skip
    return found


def _sweep(options: AdaptOptions) -> tuple[dict[str, str], "Curve", int]:
    """Stage, policy and task; the curve; and how many problems were left out because a sample could not be judged."""
    document = read_json(options.folder / SWEEP)
    listed: list[Facts] = document.get("outcomes", [])
    policies = {one["stage"]: one["policy"] for one in document["stages"]}
    stage = _named("stage", options.stage, list(policies), last=True)
    task = _named("task", options.task, list(dict.fromkeys(one["task"] for one in document["points"])), last=False)
    points = [one for one in listed if (one["stage"], one["task"]) == (stage, task)]
    thinking = {one["budget"]: options.folder / one["file"] for one in points if one["mode"] == "thinking"}
    if len(thinking) < 2:
        raise ArtifactError(
            f"{options.folder / SWEEP} has {len(thinking)} budgets of {stage} on {task} with the outcome of every problem, "
            "and two or more are needed; measure them: alignment budget ... --budgets 0,64,256 --output FOLDER"
        )
    plain = next((options.folder / one["file"] for one in points if one["mode"] == "non_thinking"), None)
    budgets = {budget: read_outcomes(thinking[budget]) for budget in sorted(thinking)}
    curve, left_out = as_curve(budgets, read_outcomes(plain) if plain else [])
    if len(curve.keys) < FEWEST:
        raise OptionError(
            f"{options.folder}: {len(curve.keys)} problems are too few to learn from and to judge by; measure at least "
            f"{FEWEST}, better 500: alignment budget ... --count 500"
        )
    return {"stage": stage, "policy": policies[stage], "task": task}, curve, left_out


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

    probe_tokens = [probes[key].answer_tokens for key in judged] if probes else [[] for _ in judged]
    return Curve(
        keys=judged,
        budgets=list(budgets),
        accuracy_PB=means("correct"),
        tokens_PB=means("thinking_tokens"),
        prompt_tokens_P=np.array([tables[0][key].prompt_tokens for key in judged], dtype=float),
        groups_PS=[probes[key].groups for key in judged] if probes else [[] for _ in judged],
        probe_tokens_PS=np.array(probe_tokens, dtype=float).reshape(len(judged), -1),
    ), len(tables[0]) - len(judged)


def _probes(options: AdaptOptions, curve: "Curve") -> list[Probe]:
    """The probes to choose from: the length, and agreement of 2, 4, ... answers where the sweep has them."""
    drawn = curve.probe_tokens_PS.shape[1]
    sampling = read_json(options.folder / SWEEP)["settings"]["sampling"]["non_thinking"]
    sizes = [2**power for power in range(1, 7) if 2**power <= drawn]
    agreement = [Probe(kind="agreement", samples=size, sampling=sampling) for size in sizes]
    length = [] if options.probe == "agreement" else [Probe(kind="prompt_tokens")]
    if options.probe == "agreement" and not agreement:
        raise OptionError(
            "the sweep has fewer than two answers without thinking to each problem; measure them: alignment budget ... "
            "--modes both --samples 4"
        )
    return length + ([] if options.probe == "length" else agreement)


def _out_of_reach(curve: "Curve", target: dict[str, float]) -> str:
    best = float(curve.accuracy_PB.mean(axis=0).max())
    if "accuracy" in target:
        return (
            f"--accuracy {target['accuracy']} is out of reach: the best fixed budget has {best:.3f} on the problems that "
            "are fitted; write less, or measure larger budgets"
        )
    return f"--tokens {target['tokens']:g}: even the smallest budgets, with the probe, cost more; write more"


def _other_targets(fitted: "Curve", held_out: "Curve", probe: Probe) -> list[Facts]:
    """What the same probe would bring at other targets, from cheap to dear, on the held-out problems."""
    from alignment.evaluation.adaptive_budget.fit import beside_fixed, rules

    every: list[Rule] = list(rules(fitted, probe))[1:]
    shown = every[:: max(1, -(-len(every) // ROWS))]
    found = []
    for rule in shown if not every or shown[-1] is every[-1] else [*shown, every[-1]]:
        reached = float(rule.spent(fitted)[0].mean())
        figures = {name: round(value, 4) for name, value in beside_fixed(held_out, rule).items()}
        found.append({"fitted_accuracy": round(reached, 4), **figures})
    return found


def _print(found: AdaptiveBudget, console: Console) -> None:
    held = found.held_out
    console.print(f"{found.stage} on {found.task}: {found.fitted['problems']} problems fitted, {held['problems']} others "
                  "held out", highlight=False, soft_wrap=True)  # fmt: skip
    promises = [f"{name} {'–' if share is None else f'{share:+.0%}'}" for name, share in held["promised"].items()]
    console.print(f"probe: {found.probe.described}; saved in cross-validation: {', '.join(promises)}",
                  highlight=False, soft_wrap=True)  # fmt: skip
    ends = [f"above: {one.budget}" if one.up_to is None else f"to {one.up_to:g}: {one.budget}" for one in found.bins]
    console.print(f"budgets by {found.probe.described}: {', '.join(ends)}", highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title="held out, by target", title_justify="left")
    for heading in ("accuracy", "thinking", "probe", "best fixed\nbudget", "saved", "fixed by\nlot", "saved"):
        table.add_column(heading, justify="right", vertical="bottom")
    for row in held["other_targets"]:
        table.add_row(*_cells(row))
    table.add_row(*_cells(held), style="bold")
    console.print(table)
    console.print(
        f"saved beside the best fixed budget of equal accuracy: {held['saved_fraction']:.1%} "
        f"(95%: {held['saved_fraction_low']:.1%} to {held['saved_fraction_high']:.1%}) at an accuracy of {held['accuracy']:.3f} "
        f"({held['accuracy_low']:.3f}–{held['accuracy_high']:.3f})",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    if held["saved_fraction_low"] <= 0:
        console.print(
            f"warning: that is no clear saving; a fixed budget (here of about {held['fixed_tokens']:.0f} tokens on average) "
            "is simpler and as good",
            style="yellow", highlight=False, soft_wrap=True,
        )  # fmt: skip


def _cells(row: Facts) -> list[str]:
    tokens = [f"{row[name]:.1f}" for name in ("mean_thinking_tokens", "mean_probe_tokens", "fixed_tokens")]
    return [f"{row['accuracy']:.3f}", *tokens, f"{row['saved_fraction']:.1%}",
            f"{row['random_budget_tokens']:.1f}", f"{row['saved_fraction_beside_random']:.1%}"]  # fmt: skip
