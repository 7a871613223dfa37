"""Tokens that step labels cost: every completion of every prefix, against stopping early and binary search.

    python benchmarks/step_labels.py POLICY [--problems 64] [--completions 8] [--engine transformers]

POLICY is a folder with a policy that solves chains of sums, such as runs/tiny-thinking/01-cold_start/output. The plain
way draws `completions` from each prefix up to the first that reaches nothing, as Math-Shepherd does. The others draw
the same completions, by the same seeds, and fewer of them; the last two count a right solution that begins alike as a
completion, as step_labels stages do. Prints tokens, and labels that agree.
"""

import argparse
import itertools
import time
from dataclasses import dataclass

from alignment.core.vocabulary import Split
from alignment.data.sources.named import load_source
from alignment.data.sources.rows import source_problems
from alignment.data.steps.definition import StepRule
from alignment.data_factory.step_labels.labelling import Ask, Labelling, Labels, binary_search, hard_labels, run
from alignment.data_factory.step_labels.prefixes import Cost, Prefixes, Trace, with_reached
from alignment.inference.engine import SamplingSettings, request_seed
from alignment.inference.start import Serving, serve
from alignment.recipe.blocks.engine import VllmOptions
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.recipe.blocks.rewards import Reward
from alignment.rollout.episode import RolloutRequest
from alignment.rollout.sampler import TrajectorySampler
from alignment.rollout.scoring import Judged, Scorer

MOST_TOKENS = 192
FUSION: tuple[Split, ...] = ("fusion",)


@dataclass(frozen=True)
class Way:
    """One way to label: its labels, cost and time."""

    name: str
    labels: list[Labels]
    cost: Cost
    seconds: float


def plain(steps: int, completions: int, *, right: bool) -> Labelling:
    """Math-Shepherd without a shortcut: all completions of each prefix, up to the first 0."""
    labels: list[float | None] = []
    for count in range(1, steps):
        labels.append(float(any((yield Ask(count, 0, completions)))))
        if not labels[-1]:
            return Labels([*labels, *[None] * (steps - count)])
    return Labels([*labels, float(right)])


def is_right(judged: Judged) -> bool:
    """Whether a completion ended by itself with the right answer."""
    return judged.trajectory.stop_reason == "end" and (judged.total or 0) >= 1


def main() -> None:
    """Measure the three ways on the same solutions."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("policy")
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--completions", type=int, default=8)
    parser.add_argument("--engine", default="transformers")
    chosen = parser.parse_args()
    sampler = serve(chosen.policy, Serving(VllmOptions(type=chosen.engine), 128, MOST_TOKENS, "\n</think>\n\n"))
    scorer = Scorer([Reward(kind="math_answer")])
    traces = _traces(sampler, scorer, chosen.problems)
    print(f"{len(traces)} solutions, {sum(len(one.steps) for one in traces)} steps, "
          f"{sum(one.right for one in traces) / len(traces):.0%} right")  # fmt: skip
    ways = []
    for name, labelling, shares in (
        ("plain", plain, False),
        ("hard, stopping early", hard_labels, False),
        ("binary search", binary_search, False),
        ("hard, stopping early, as a stage does", hard_labels, True),
        ("binary search, as a stage does", binary_search, True),
    ):
        prefixes = Prefixes(sampler, scorer, SamplingSettings(), MOST_TOKENS, is_right)
        started = time.monotonic()
        labels = run(
            [_labelling(labelling, one, chosen.completions, shares=shares) for one in traces],
            lambda asked, prefixes=prefixes: prefixes.answer(traces, asked, 0),  # type: ignore[misc]
        )
        ways.append(Way(name, labels, prefixes.cost, time.monotonic() - started))
    _print(ways)


def _traces(sampler, scorer: Scorer, count: int) -> list[Trace]:  # type: ignore[no-untyped-def]
    source = source_problems(load_source("chain-sum"), seed=5, parameters={}, path=None, splits=FUSION)
    problems = [one for one in itertools.islice(source, count) for _ in range(4)]
    trajectories = TrajectorySampler(sampler, EnvironmentChoice(), MOST_TOKENS)
    requests = [RolloutRequest(one, "thinking", seed=request_seed(place)) for place, one in enumerate(problems)]
    judged = scorer.judge(problems, trajectories.sample(requests, SamplingSettings()))
    rule = StepRule("line")
    solved = {one.problem.id for one in judged if is_right(one)}
    kept = [one for one in judged if one.problem.id in solved and one.trajectory.stop_reason == "end"]
    found = [one for one in (Trace.of(row, rule, sampler, right=is_right(row)) for row in kept) if one.steps]
    return with_reached(found)


def _labelling(method, trace: Trace, completions: int, *, shares: bool) -> Labelling:  # type: ignore[no-untyped-def]
    reached = {"reached": trace.reached} if shares else {}
    found: Labelling = method(len(trace.steps), completions, right=trace.right, **reached)
    return found


def _print(ways: list[Way]) -> None:
    first = ways[0]
    for way in ways:
        same = sum(a.labels == b.labels for a, b in zip(way.labels, first.labels, strict=True)) / len(first.labels)
        wrong = [(a.labels, b.labels) for a, b in zip(way.labels, first.labels, strict=True) if 0.0 in b.labels]
        exact = sum(a == b for a, b in wrong) / max(1, len(wrong))
        ratio = first.cost.tokens / max(1, way.cost.tokens)
        print(
            f"{way.name}: {way.cost.completions:,} completions, {way.cost.tokens:,} tokens ({ratio:.1f}x fewer), "
            f"{way.seconds:.1f} s, the same labels on {same:.1%} of solutions, {exact:.1%} of those with an error"
        )


if __name__ == "__main__":
    main()
