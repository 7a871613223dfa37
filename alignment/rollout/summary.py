"""A step's judged rollouts -> figures by the names of records/metrics.py: means of verdicts, unknown ones, entropy, writing.

Neighbours: scoring.py (judges), writing.py (what the texts are like), task_figures.py (the same by task).
"""

from collections import Counter
from collections.abc import Sequence

from alignment.rollout.scoring import Judged
from alignment.rollout.trajectory import Trajectory
from alignment.rollout.writing import writing


def summary(judged: Sequence[Judged]) -> dict[str, float]:
    """Means and unknown fractions by verdict, and properties of the completions, by the names of records/metrics.py.

    Rollouts whose environment failed are counted, and no part of the means.
    """
    given, judged = len(judged), [row for row in judged if not row.trajectory.fault]
    failed = {"environment_fault_fraction": (given - len(judged)) / given} if given > len(judged) else {}
    if not judged:
        return {**failed, "unknown_fraction": 1.0} if given else {}
    figures: dict[str, float] = {}
    for name in judged[0].verdicts:
        scores = [row.verdicts[name].score for row in judged if row.verdicts[name].applicable]
        if not scores:
            continue  # no row of this batch is this verifier's
        known = [score for score in scores if score is not None]
        if known:
            figures[f"reward/{name}/mean"] = sum(known) / len(known)
        figures[f"reward/{name}/unknown_fraction"] = 1 - len(known) / len(scores)
        why = Counter(one.reason for row in judged if (one := row.verdicts[name]).applicable and one.score is None)
        figures |= {f"reward/{name}/unknown/{reason}": count / len(scores) for reason, count in why.items()}
    thinking = [row.trajectory.thinking_tokens for row in judged if row.trajectory.mode == "thinking"]
    if thinking:
        figures["thinking_tokens"] = sum(thinking) / len(thinking)
    figures["unknown_fraction"] = (sum(row.total is None for row in judged) + given - len(judged)) / given
    figures |= failed
    figures["rollout_entropy"] = drawn_entropy([row.trajectory for row in judged])
    return {**figures, **writing([row.trajectory for row in judged])}


def drawn_entropy(completions: Sequence[Trajectory]) -> float:
    """Mean negative log-prob (nats) of the tokens the policy drew itself; at temperature 1 an unbiased estimate of the
    mean entropy of its next token, over all rollouts, whether they are trained on or not."""
    drawn = [
        logprob
        for made in completions
        for logprob, forced in zip(made.logprobs, made.forced, strict=True)
        if not forced
    ]
    return -sum(drawn) / len(drawn) if drawn else 0.0
