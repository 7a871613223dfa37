"""Calls every reward of the user's own on three rows of its stage's data, so that a fault in it is found before training.

Whether it can be imported and what it takes is looked at with every other reward (checks/rewards.py). Neighbours:
recipe.py (runs the checks), rewards/own/ (how such a reward runs).
"""

import itertools
from collections.abc import Iterator, Sequence

import rewards
from alignment.core.errors import DataError
from alignment.data.parts import placed_parts, problems_at_hand
from alignment.data.rows import Message, Problem
from alignment.recipe.blocks.rewards import Reward
from alignment.recipe.issue import Issue, Place
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import rewards_of
from rewards.own.description import described
from rewards.own.loading import is_own, own_name

ROWS = 3
FAULTS = ("raised", "timed_out", "crashed", "wrong_length", "wrong_type", "not_a_number", "not_finite")
# A completion for each row, with its mode: the reference with thinking, the reference alone, and something else.
COMPLETIONS = (
    ("<think>\nLet me see.\n</think>\n\n{}", "thinking"),
    ("{}", "non_thinking"),
    ("I am not sure.", "thinking"),
)


def own_rewards(recipe: Recipe) -> Iterator[Issue]:
    """Every reward of the user's own gives three rows of its stage a number or None."""
    for index, stage in enumerate(recipe.stages):
        specs = [(number, spec) for number, spec in enumerate(rewards_of(stage)) if is_own(spec.kind)]
        if not specs or kind_of(stage).takes != "problems":
            continue
        sample = sampled_problems(recipe, index)
        place: Place = ("stages", index, "rewards")
        for number, spec in specs:
            fault = dry_fault(spec, sample) if sample else None
            if fault is not None:
                yield Issue((*place, number), fault)


def described_rewards(recipe: Recipe) -> Iterator[str]:
    """For the plan: what each reward of the user's own is, and in which form it takes completions."""
    for stage in recipe.stages:
        for spec in rewards_of(stage):
            if is_own(spec.kind):
                about = described(spec.kind)
                form = (
                    "a verifier" if about.what == "verifier" else f"a function that takes completions as {about.reads}"
                )
                needs = f" and reads {', '.join(about.needs)}" if about.needs else ""
                yield f"{spec.called}: {form}{needs} ({own_name(spec.kind).short})"


def sampled_problems(recipe: Recipe, index: int) -> list[Problem]:
    """A few problems of a stage, from sources that need no download."""
    found: list[Problem] = []
    for _, part in placed_parts(recipe, index):
        try:
            found += itertools.islice(problems_at_hand(recipe, part), ROWS)
        except DataError:
            continue  # the check of references says what is wrong with the rows
    return found


def dry_fault(spec: Reward, sample: Sequence[Problem]) -> str | None:
    """What is wrong with a reward by a call on a few problems; None if nothing is, or if its options are wrong."""
    asked = spec.spec()
    if rewards.spec_faults([asked]):
        return None
    problems = [one for one in sample if rewards.is_row_of(spec.kind, _columns(spec, one))][:ROWS]
    if not problems:
        return None
    texts = [form.format(one.right or "42") for one, (form, _) in zip(problems, COMPLETIONS, strict=False)]
    modes = [mode for _, (_, mode) in zip(problems, COMPLETIONS, strict=False)]
    names = dict.fromkeys(name for one in problems for name in _columns(spec, one))
    messages: list[list[Message]] = [[{"role": "assistant", "content": text}] for text in texts]
    try:
        with rewards.reward_function([asked]) as reward:
            table = reward.verdicts(
                [one.messages for one in problems],
                messages,
                [list(text.encode()) for text in texts],
                completion_text=texts,
                **{
                    "mode": modes, "budget": [None] * len(problems), "stop_reason": ["end"] * len(problems),
                    "thinking_tokens": [3] * len(problems), "forced": [[False] * len(text.encode()) for text in texts],
                    **{name: [_columns(spec, one).get(name) for one in problems] for name in names},
                },
            )  # fmt: skip
    except rewards.RewardsError as error:
        return str(error)
    verdicts = [verdict for row in table for verdict in row.values() if verdict.reason in FAULTS]
    if not verdicts:
        return None
    said = verdicts[0].evidence.get("detail") or verdicts[0].reason
    return (
        f"a call on {len(problems)} rows of this stage's data fails: {said}; it has to return a number or None for each "
        "completion"
    )


def _columns(spec: Reward, problem: Problem) -> dict[str, object]:
    """A problem's columns as a reward is given them, under the names that its `columns` says."""
    row = {**problem.columns, "answer": problem.answer or None, "tools": problem.tools or None}
    named = (spec.model_extra or {}).get("columns") or {}
    return {**row, **{own: row.get(given) for own, given in named.items()}} if isinstance(named, dict) else row
