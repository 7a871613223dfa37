"""A budget for each prompt: learned from sweeps whose truth is known, judged on other problems, refused where it cannot be."""

import hashlib
import io
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from alignment.commands.adapt.fitting import AdaptOptions, fit_sweep
from alignment.core.errors import ArtifactError, OptionError
from alignment.core.files import write_json
from alignment.core.statistics.estimate import Estimate
from alignment.evaluation.adaptive_budget.budget import agreement, load_adaptive
from alignment.evaluation.adaptive_budget.fit import fixed_tokens, hull
from alignment.records.adaptive import AdaptiveBudget, Bin, Probe, Savings, Target
from alignment.records.sweep import (
    OutcomesFile,
    Place,
    ProblemOutcome,
    Sweep,
    SweepFigures,
    SweepPoint,
    SweepSettings,
    SweptPolicy,
    outcomes_file,
    write_outcomes,
)
from smoke.processes import alignment

BUDGETS = (0, 20, 40, 80, 160)
SAMPLES, PROBLEMS = 4, 600
QUIET = Console(quiet=True)
# Of one problem: prompt tokens, the tokens it has to think or None if it never gets there, right without thinking.
Kind = tuple[int, int | None, bool]


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:16]


def outcomes(kinds: list[Kind], budget: int | None) -> Iterator[ProblemOutcome]:
    """What a policy that is right as soon as it has thought enough would leave at one budget."""
    for number, (prompt, needed, plainly) in enumerate(kinds):
        enough = budget is not None and needed is not None and needed <= budget
        right = plainly or enough
        spent = 0 if budget is None else needed if enough else budget
        yield ProblemOutcome(
            problem=key(number), prompt_tokens=prompt, correct=(right,) * SAMPLES, thinking_tokens=(spent or 0,) * SAMPLES,
            answer_tokens=(5,) * SAMPLES, groups=(0,) * SAMPLES if plainly else tuple(range(SAMPLES)),
        )  # fmt: skip


def sweep(folder: Path, kind: Callable[[random.Random], Kind], problems: int = PROBLEMS) -> Path:
    """A sweep's folder for a policy and problems of these kinds."""
    draw = random.Random(1)
    kinds = [kind(draw) for _ in range(problems)]
    points, files = [], []
    for budget in (*BUDGETS, None):
        place = Place("last", "sums", "non_thinking" if budget is None else "thinking", budget)
        name = f"{budget}".rjust(16, "0")
        write_outcomes(folder, name, list(outcomes(kinds, budget)))
        points.append(SweepPoint(place, SweepFigures(problems * SAMPLES, Estimate(0.5))))
        files.append(OutcomesFile(place, outcomes_file(folder, name).relative_to(folder).as_posix()))
    sampling: Any = {"non_thinking": {"temperature": 0.7, "top_p": 0.8, "top_k": 20}}
    settings = SweepSettings(problems, SAMPLES, 1, 192, {"type": "transformers"}, sampling)
    Sweep(tuple(points), (SweptPolicy("last", "abc"),), (), tuple(files), settings).write(folder / "budget.json")
    return folder


def savings(found: AdaptiveBudget) -> Savings:
    """What was found on the held-out problems."""
    assert found.held_out is not None
    return found.held_out.savings


def by_length(draw: random.Random) -> Kind:
    """Short prompts need 20 tokens, longer ones 80, and the longest are hopeless. Nothing is right without thinking."""
    return draw.choice([(10, 18, False), (20, 75, False), (30, None, False)])


def by_agreement(draw: random.Random) -> Kind:
    """All prompts are alike; half of the problems are right without thinking, and the answers agree there alone."""
    return draw.choice([(15, 150, True), (15, 150, False)])


def by_nothing(draw: random.Random) -> Kind:
    """What a prompt looks like has nothing to do with what it needs."""
    return (draw.choice([10, 20, 30, 40]), draw.choice([18, 75, None]), False)


def test_hopeless_prompts_get_nothing_and_others_what_they_need(tmp_path: Path) -> None:
    found = fit_sweep(AdaptOptions(sweep(tmp_path, by_length), accuracy=0.6), QUIET)
    assert found.probe.kind == "prompt_tokens"
    assert [found.budget_for(length) for length in (10, 20, 30)] == [20, 80, 0]
    # A fixed budget of 80 spends 80 on the hopeless third; the lengths save that and nothing else.
    held = savings(found)
    fixed = held.fixed_tokens.value
    assert held.saved_fraction.value == pytest.approx(1 - held.mean_thinking_tokens.value / fixed, abs=1e-3)
    assert held.mean_thinking_tokens.value == pytest.approx((18 + 75) / 3, abs=4) and fixed == pytest.approx(
        57.7, abs=4
    )
    assert held.saved_fraction.low < held.saved_fraction.value < held.saved_fraction.high
    assert held.saved_fraction.low > 0.35 and held.mean_probe_tokens.value == 0
    assert load_adaptive(tmp_path / "adaptive.json") == found


def test_agreement_is_chosen_where_lengths_say_nothing_and_its_own_tokens_are_counted(tmp_path: Path) -> None:
    found = fit_sweep(AdaptOptions(sweep(tmp_path, by_agreement), accuracy=0.95), QUIET)
    assert found.probe == Probe(kind="agreement", samples=2, sampling={"temperature": 0.7, "top_p": 0.8, "top_k": 20})
    assert (found.budget_for(1.0), found.budget_for(0.5)) == (0, 160)
    held = savings(found)
    assert held.mean_probe_tokens.value == 10 and held.accuracy.value == 1.0
    spent = held.mean_thinking_tokens.value + 10
    assert held.saved_fraction.value == pytest.approx(1 - spent / held.fixed_tokens.value, abs=1e-3)
    assert 0.3 < held.saved_fraction.value < 0.6


def test_a_probe_that_knows_nothing_saves_nothing_beside_lots(tmp_path: Path) -> None:
    told = io.StringIO()
    found = fit_sweep(
        AdaptOptions(sweep(tmp_path, by_nothing), accuracy=0.6, probe="length"), Console(file=told, width=200)
    )
    assert savings(found).saved_fraction_beside_random.low < 0.02
    assert abs(savings(found).saved_fraction_beside_random.value) < 0.08
    assert ("that is no clear saving" in told.getvalue()) is (savings(found).saved_fraction.low <= 0)
    assert "95%" in told.getvalue() and "adaptive.json" in told.getvalue()


def test_no_problem_is_both_fitted_and_held_out(tmp_path: Path) -> None:
    from alignment.commands.adapt.fitting import as_curve

    draw = random.Random(1)
    kinds = [by_length(draw) for _ in range(100)]
    doubled = [*outcomes(kinds, 20), *outcomes(kinds, 20)]  # the same questions twice
    curve, left_out = as_curve({0: list(outcomes(kinds, 0)), 20: doubled}, [])
    fitted, held_out = curve.part(2, 0)
    assert not set(fitted.keys) & set(held_out.keys) and len(fitted.keys) + len(held_out.keys) == 100
    assert left_out == 0 and min(len(fitted.keys), len(held_out.keys)) > 30


def test_a_saving_that_is_none_is_called_so(tmp_path: Path) -> None:
    told = io.StringIO()
    options = AdaptOptions(sweep(tmp_path, by_length), accuracy=0.6, probe="agreement")  # it costs and tells nothing
    found = fit_sweep(options, Console(file=told, width=200))
    assert savings(found).saved_fraction.high < 0 and "warning: that is no clear saving" in told.getvalue()


def test_a_target_of_tokens_is_kept(tmp_path: Path) -> None:
    folder = sweep(tmp_path, by_length)
    found = fit_sweep(AdaptOptions(folder, tokens=12.0), QUIET)
    assert found.fitted.savings.mean_thinking_tokens.value <= 12.0 and found.target == Target(tokens=12.0)
    assert [found.budget_for(length) for length in (10, 20, 30)] == [20, 0, 0]
    assert found.fitted.savings.accuracy.value == pytest.approx(1 / 3, abs=0.06)


def test_what_could_not_be_judged_is_left_out_and_counted(tmp_path: Path) -> None:
    folder = sweep(tmp_path, by_length)
    path = folder / "outcomes" / f"{'40'.rjust(16, '0')}.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[3]["correct"][1] = None
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = fit_sweep(AdaptOptions(folder, accuracy=0.6), QUIET)
    assert found.held_out.left_out_unknown == 1
    assert found.fitted.problems + found.held_out.problems == PROBLEMS - 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "--accuracy 0.7 for the fewest"),
        ({"accuracy": 0.5, "tokens": 3.0}, "one target"),
        ({"accuracy": 0.99}, "out of reach: the best fixed budget has 0.6"),
        ({"accuracy": 0.5, "stage": "first"}, "write --stage with one of those that the sweep has: last"),
        ({"accuracy": 0.5, "task": "poems"}, "sums"),
    ],
)
def test_what_cannot_be_fitted_is_refused_with_what_to_write(tmp_path: Path, changes: Any, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        fit_sweep(AdaptOptions(sweep(tmp_path, by_length), **changes), QUIET)


def test_too_few_problems_and_a_sweep_without_outcomes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="40 problems are too few"):
        fit_sweep(AdaptOptions(sweep(tmp_path / "few", by_length, 40), accuracy=0.5), QUIET)
    folder = sweep(tmp_path / "old", by_length)
    document = json.loads((folder / "budget.json").read_text())
    del document["outcomes"]
    write_json(folder / "budget.json", document)
    with pytest.raises(ArtifactError, match="measure them: alignment budget"):
        fit_sweep(AdaptOptions(folder, accuracy=0.5), QUIET)
    done = alignment("adapt", tmp_path / "nothing", "--accuracy", 0.5)
    assert done.returncode == 2 and "there is no budget sweep" in done.stderr and "Traceback" not in done.stderr


def test_a_damaged_file_is_refused_by_place(tmp_path: Path) -> None:
    found = AdaptiveBudget(
        stage="s", policy="p", task="t", probe=Probe(kind="prompt_tokens"), target=Target(accuracy=0.5),
        bins=(Bin(up_to=9, budget=0, problems=1), Bin(up_to=None, budget=64, problems=1)),
    )  # fmt: skip
    found.write(tmp_path / "good.json")
    assert [load_adaptive(tmp_path / "good.json").budget_for(value) for value in (0, 9, 9.5, 1e9)] == [0, 0, 64, 64]
    good = json.loads((tmp_path / "good.json").read_text())
    assert good["schema"] == 1
    for change, says in (
        ({"schema": 2}, "schema"),
        ({"bins": []}, "bins"),
        ({"bins": [{"up_to": 9, "budget": -1, "problems": 1}]}, "budget"),
        ({"bins": [{"up_to": 9, "budget": 1, "problems": 1}]}, "the last one null"),
        ({"probe": {"kind": "agreement", "samples": 0}}, "two samples"),
        ({"probe": {"kind": "guess"}}, "probe.kind"),
    ):
        (tmp_path / "bad.json").write_text(json.dumps({**good, **change}))
        with pytest.raises(OptionError, match=says):
            load_adaptive(tmp_path / "bad.json")
    assert found.warning_for("p") is None and "fitted on another policy" in str(found.warning_for("q"))


def test_the_arithmetic_by_hand() -> None:
    tokens, accuracy = np.array([0.0, 10.0, 20.0, 40.0, 40.0]), np.array([0.0, 0.1, 0.6, 0.7, 0.65])
    assert hull(tokens, accuracy) == [0, 2, 3]  # 10 tokens for 0.1 are dear: 20 bring 0.6
    assert fixed_tokens(tokens, accuracy, 0.35) == 15.0  # half way between the budgets of 10 and 20
    assert fixed_tokens(tokens, accuracy, 0.0) == 0.0
    assert fixed_tokens(tokens, accuracy, 0.9) == 40.0  # none reaches it: the most accurate one
    assert agreement([0, 0, 1, None]) == 0.5 and agreement([None, None]) == 0.0
