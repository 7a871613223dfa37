"""Alarms of a stage's steps: groups without variance, cut-off completions, entropy, log-prob gaps, gradients, rounding.

Neighbours: rewards.py (what a policy learned to please), evidence.py.
"""

from collections.abc import Iterator

from alignment.recipe.kinds import find_kind
from alignment.report.alarms.evidence import alarm, is_number, mean_of, values_of
from alignment.report.document import Alarm
from alignment.report.run import Stage

ZERO_VARIANCE_GROUPS = 0.5
TRUNCATED_FRACTION = 0.2
ENTROPY_LEFT = 0.1
LOGPROB_GAP = 0.05  # used where the stage's own `max_logprob_gap` is not recorded
UNKNOWN_FRACTION = 0.05
MERGE_CHANGED = 0.5  # of the weights that an adapter updates


def training_alarms(stage: Stage) -> Iterator[Alarm]:
    """What a stage's steps were like: no gradient to follow, cut off, no exploration, an engine that disagrees, no verdicts."""
    no_variance = mean_of(stage, "zero_variance_groups")
    if no_variance is not None and no_variance > ZERO_VARIANCE_GROUPS:
        message = f"{no_variance:.0%} of the groups had zero reward variance, hence no gradient (mean over the stage)."
        message += " `order: reward_variance` and `dynamic_sampling` of its rollout waste fewer."
        yield alarm(stage, "zero_variance_groups", no_variance, ZERO_VARIANCE_GROUPS, message)
    cut = mean_of(stage, "truncated_fraction")
    if cut is not None and cut > TRUNCATED_FRACTION:
        message = f"{cut:.0%} of the training completions were cut off at their token limit (mean over the stage)."
        yield alarm(stage, "truncated_fraction", cut, TRUNCATED_FRACTION, message)
    entropy = [value for _, value in stage.series("entropy")]
    kind = find_kind(stage.kind)
    taught = bool(stage.series("teacher_entropy"))  # where a policy imitates, it is meant to become sure
    explores = kind is not None and kind.explores and not taught
    if explores and len(entropy) > 1 and entropy[0] > 0 and entropy[-1] < ENTROPY_LEFT * entropy[0]:
        message = f"Entropy fell from {entropy[0]:.3g} to {entropy[-1]:.3g}: the policy has stopped exploring."
        yield alarm(stage, "entropy_collapse", entropy[-1] / entropy[0], ENTROPY_LEFT, message)
    allowed = next((gap for gap in values_of(stage.identity, "max_logprob_gap") if is_number(gap)), LOGPROB_GAP)
    gaps = stage.series("logprob_gap")
    step, gap = max(gaps, key=lambda pair: pair[1], default=(0.0, 0.0))
    if gap > allowed:
        message = f"Trainer and engine disagreed by {gap:.3g} nats per token at step {step:.0f}."
        yield alarm(stage, "logprob_gap", gap, allowed, message)
    yield from _rounded_away(stage)
    for metric in sorted({name for row in stage.metrics for name in row.figures}):
        fraction = (
            mean_of(stage, metric) if metric.startswith("reward/") and metric.endswith("/unknown_fraction") else None
        )
        if fraction is not None and fraction > UNKNOWN_FRACTION:
            name = metric.removeprefix("reward/").removesuffix("/unknown_fraction")
            message = f"The verifier {name} could not judge {fraction:.0%} of the completions (mean over the stage)"
            message += f": {', '.join(reasons)}." if (reasons := unknown_reasons(stage, name)) else "."
            yield alarm(stage, "unknown_verdicts", fraction, UNKNOWN_FRACTION, message)


def unknown_reasons(stage: Stage, verifier: str) -> list[str]:
    """Why a verifier could not judge, the most frequent reason first."""
    start = f"reward/{verifier}/unknown/"
    named = {name for row in stage.metrics for name in row.figures if name.startswith(start)}
    weight = {name.removeprefix(start): sum(value for _, value in stage.series(name)) for name in named}
    return sorted(weight, key=lambda reason: (-weight[reason], reason))


def _rounded_away(stage: Stage) -> Iterator[Alarm]:
    """Updates of an adapter that are lost in a merge: in what the engine sampled from, or in what the stage left."""
    sampled = [value for _, value in stage.series("merge_changed_fraction")]
    left = stage.counts.get("merge_changed_fraction")
    if sampled and sampled[-1] < MERGE_CHANGED:
        message = (
            f"The engine sampled a policy in which {sampled[-1]:.0%} of the weights that the adapter changes were changed: "
            "the other updates were rounded away in the merge. Write `engine: {dtype: float32}`."
        )
        yield alarm(stage, "engine_rounded", sampled[-1], MERGE_CHANGED, message)
    if is_number(left) and left < MERGE_CHANGED:
        message = (
            f"The merged model holds {left:.0%} of the adapter's updates; the others were rounded away. Use output/adapter, "
            "or write `lora: {output: adapter}` or `weights_dtype: float32`."
        )
        yield alarm(stage, "merge_rounded", left, MERGE_CHANGED, message)


def gradient_alarms(stage: Stage) -> Iterator[Alarm]:
    """Steps that changed nothing, or that computed no number."""
    norms = [value for _, value in stage.series("gradient_norm")]
    lost = [step for step, count in stage.series("not_finite") if count]
    if norms and not any(norms) and not lost:
        message = (
            f"Not one of its {len(norms)} steps had a gradient: the policy is the one that the stage started from."
        )
        yield alarm(stage, "no_gradient", 0.0, None, message)
    if lost:
        message = f"Loss or gradient was NaN or infinite at {len(lost)} steps, first at step {lost[0]:.0f}."
        yield alarm(stage, "not_finite", len(lost), 0.0, message)
