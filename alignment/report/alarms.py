"""Alarms: signs in a run's records that something is wrong, one function per kind; thresholds are at the top.

A `warning` means that a figure is past its threshold, a `notice` that chance could explain what was seen.
Neighbours: run.py (the facts), changes.py (gain or loss), document.py (puts the list under `alarms`).
"""

from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import TypeGuard

from alignment.core.vocabulary import COMMIT, MODES, Mode
from alignment.recipe.kinds import find_kind
from alignment.records.evaluation import EvaluationFigures
from alignment.report.document import Alarm, Change, Level, Number
from alignment.report.run import Run, Stage

ZERO_VARIANCE_GROUPS = 0.5
TRUNCATED_FRACTION = 0.2
ENTROPY_LEFT = 0.1
LOGPROB_GAP = 0.05  # used where the stage's own `max_logprob_gap` is not recorded
UNKNOWN_FRACTION = 0.05
THINK_FOLLOW = 0.9
MERGE_CHANGED = 0.5  # of the weights that an adapter updates
LEFT_OUT_FRACTION = 0.1
LEFT_OUT_NOTICED = 0.01
PROCESS_RISE = 0.05  # of a score and of a fraction, from the first to the last quarter of a stage
STEP_DRIFT = 2.0  # factor between them


def alarms(run: Run, changes: Mapping[str, Mapping[Mode, Change]]) -> list[Alarm]:
    """Every alarm of a run, in the order of its stages. `changes` is {stage: {mode: change}}."""
    found: list[Alarm] = []
    fused = False
    mixed = {stage.name for stage in run.stages if _mixes_modes(stage)}
    for index, stage in enumerate(run.stages):
        fused = fused or trained_both_modes(stage) or bool(mixed & stage.inputs.keys())
        found += _start(stage)
        found += _rows(stage)
        found += _gradients(stage)
        found += _training(stage)
        found += _process(stage)
        found += _isolation(stage)
        found += _reward_against_accuracy(stage, changes.get(stage.name, {}))
        found += _evaluations(stage, fused)
        found += _conversations(stage, fused)
        found += _lineage(stage, run.stages[:index])
    return found


def trained_both_modes(stage: Stage) -> bool:
    """Whether a training stage saw thinking and non-thinking rows, by its identity or by its recorded rollouts."""
    kind = find_kind(stage.kind)
    return (kind is None or not kind.leaves_rows) and _holds_both_modes(stage)


def _mixes_modes(stage: Stage) -> bool:
    """Whether a stage made rows of both modes for fusion."""
    kind = find_kind(stage.kind)
    return kind is not None and kind.leaves_rows and not kind.policy_writes and _holds_both_modes(stage)


def _holds_both_modes(stage: Stage) -> bool:
    fractions = [found for found in _values(stage.identity, "thinking_fraction") if is_number(found)]
    if fractions:
        return any(0 < fraction < 1 for fraction in fractions)
    named = {mode for mode in _values(stage.identity, "mode") if isinstance(mode, str)}
    return named.issuperset(MODES) or stage.rollouts.modes.issuperset(MODES)


def _training(stage: Stage) -> Iterator[Alarm]:
    silent = _mean(stage, "zero_variance_groups")
    if silent is not None and silent > ZERO_VARIANCE_GROUPS:
        message = f"{silent:.0%} of the groups had zero reward variance, hence no gradient (mean over the stage)."
        yield _alarm(stage, "zero_variance_groups", silent, ZERO_VARIANCE_GROUPS, message)
    cut = _mean(stage, "truncated_fraction")
    if cut is not None and cut > TRUNCATED_FRACTION:
        message = f"{cut:.0%} of the training completions were cut off at their token limit (mean over the stage)."
        yield _alarm(stage, "truncated_fraction", cut, TRUNCATED_FRACTION, message)
    entropy = [value for _, value in stage.series("entropy")]
    kind = find_kind(stage.kind)
    explores = kind is not None and kind.explores  # where a policy imitates, it is meant to become sure
    if explores and len(entropy) > 1 and entropy[0] > 0 and entropy[-1] < ENTROPY_LEFT * entropy[0]:
        message = f"Entropy fell from {entropy[0]:.3g} to {entropy[-1]:.3g}: the policy has stopped exploring."
        yield _alarm(stage, "entropy_collapse", entropy[-1] / entropy[0], ENTROPY_LEFT, message)
    allowed = next((gap for gap in _values(stage.identity, "max_logprob_gap") if is_number(gap)), LOGPROB_GAP)
    gaps = stage.series("logprob_gap")
    step, gap = max(gaps, key=lambda pair: pair[1], default=(0.0, 0.0))
    if gap > allowed:
        message = f"Trainer and engine disagreed by {gap:.3g} nats per token at step {step:.0f}."
        yield _alarm(stage, "logprob_gap", gap, allowed, message)
    yield from _rounded_away(stage)
    for metric in sorted({name for row in stage.metrics for name in row.figures}):
        fraction = (
            _mean(stage, metric) if metric.startswith("reward/") and metric.endswith("/unknown_fraction") else None
        )
        if fraction is not None and fraction > UNKNOWN_FRACTION:
            name = metric.removeprefix("reward/").removesuffix("/unknown_fraction")
            message = f"The verifier {name} could not judge {fraction:.0%} of the completions (mean over the stage)."
            yield _alarm(stage, "unknown_verdicts", fraction, UNKNOWN_FRACTION, message)


def _rounded_away(stage: Stage) -> Iterator[Alarm]:
    """Updates of an adapter that are lost in a merge: in what the engine sampled from, or in what the stage left."""
    sampled = [value for _, value in stage.series("merge_changed_fraction")]
    left = stage.counts.get("merge_changed_fraction")
    if sampled and sampled[-1] < MERGE_CHANGED:
        message = (
            f"The engine sampled a policy in which {sampled[-1]:.0%} of the weights that the adapter changes were changed: "
            "the other updates were rounded away in the merge. Write `engine: {dtype: float32}`."
        )
        yield _alarm(stage, "engine_rounded", sampled[-1], MERGE_CHANGED, message)
    if is_number(left) and left < MERGE_CHANGED:
        message = (
            f"The merged model holds {left:.0%} of the adapter's updates; the others were rounded away. Use output/adapter, "
            "or write `lora: {output: adapter}` or `weights_dtype: float32`."
        )
        yield _alarm(stage, "merge_rounded", left, MERGE_CHANGED, message)


def _start(stage: Stage) -> Iterator[Alarm]:
    model, at, revision = stage.inputs.get("model", "").removeprefix("hub:").partition("@")
    if stage.inputs.get("model", "").startswith("hub:") and not COMMIT.fullmatch(revision):
        pinned = f"is pinned to {revision}, a branch or tag" if at else "is not pinned"
        message = (
            f"The model {model} {pinned}: write its commit as `revision` at the top of the recipe, or the same recipe may "
            "start from other weights one day."
        )
        yield _alarm(stage, "model_not_pinned", None, None, message, "notice")


def _rows(stage: Stage) -> Iterator[Alarm]:
    """Rows, pairs or problems that were too long to be used."""
    long = _count(stage, "left_out_too_long")
    used = _count(stage, "problems" if "problems" in stage.counts else "rows")
    fraction = long / (long + used) if long else 0.0
    if fraction > LEFT_OUT_NOTICED:
        message = f"{long:,.0f} of {long + used:,.0f} rows were too long and were left out."
        level: Level = "warning" if fraction > LEFT_OUT_FRACTION else "notice"
        yield _alarm(stage, "left_out_too_long", fraction, LEFT_OUT_FRACTION, message, level)


def _gradients(stage: Stage) -> Iterator[Alarm]:
    """Steps that changed nothing, or that computed no number."""
    norms = [value for _, value in stage.series("gradient_norm")]
    lost = [step for step, count in stage.series("not_finite") if count]
    if norms and not any(norms) and not lost:
        message = (
            f"Not one of its {len(norms)} steps had a gradient: the policy is the one that the stage started from."
        )
        yield _alarm(stage, "no_gradient", 0.0, None, message)
    if lost:
        message = f"Loss or gradient was NaN or infinite at {len(lost)} steps, first at step {lost[0]:.0f}."
        yield _alarm(stage, "not_finite", len(lost), 0.0, message)


def _count(stage: Stage, name: str) -> float:
    found = stage.counts.get(name)
    return float(found) if is_number(found) else 0.0


def _process(stage: Stage) -> Iterator[Alarm]:
    """Signs that a policy pleases its process scorer: it scores more while less is right, or its steps drift."""
    scores, right = _ends(stage, "process_score"), _ends(stage, "right_fraction")
    if scores and right and scores[1] - scores[0] > PROCESS_RISE and right[0] - right[1] > PROCESS_RISE:
        message = (
            f"The process score rose from {scores[0]:.2f} to {scores[1]:.2f} while the fraction of right answers fell from "
            f"{right[0]:.2f} to {right[1]:.2f}: the policy has learned to please the scorer."
        )
        yield _alarm(stage, "process_up_accuracy_down", right[1] - right[0], -PROCESS_RISE, message)
    for metric, shown in (("steps_per_answer", "steps per answer"), ("tokens_per_step", "tokens per step")):
        ends = _ends(stage, metric)
        if ends and min(ends) > 0 and max(ends) / min(ends) > STEP_DRIFT:
            message = f"The {shown} went from {ends[0]:.1f} to {ends[1]:.1f}; look at what the policy writes."
            yield _alarm(stage, "step_drift", ends[1] / ends[0], STEP_DRIFT, message)


def _ends(stage: Stage, metric: str) -> tuple[float, float] | None:
    """The means of the first and the last quarter of a metric; None with fewer than four values."""
    values = [value for _, value in stage.series(metric)]
    quarter = len(values) // 4
    return (fmean(values[:quarter]), fmean(values[-quarter:])) if quarter else None


def _isolation(stage: Stage) -> Iterator[Alarm]:
    if "none" in _values(stage.identity.get("stage"), "isolation"):
        message = "Programs that the model wrote ran without isolation (isolation: none), with the rights of this run."
        yield _alarm(stage, "no_isolation", None, None, message)


def _reward_against_accuracy(stage: Stage, changes: Mapping[Mode, Change]) -> Iterator[Alarm]:
    """Training reward that rises while held-out accuracy falls: a sign of reward hacking."""
    rewards = [value for _, value in stage.series("reward")]
    quarter = max(1, len(rewards) // 4)
    if len(rewards) < 2 or fmean(rewards[-quarter:]) <= fmean(rewards[:quarter]):
        return
    risen = fmean(rewards[-quarter:]) - fmean(rewards[:quarter])
    for mode, change in changes.items():
        fallen = change.tested.accuracy
        if fallen is None or fallen >= 0:
            continue
        clear = change.tested.verdict == "loss"
        message = (
            f"Reward rose by {risen:.2f} while held-out {mode.replace('_', '-')} accuracy fell by "
            f"{-100 * fallen:.1f} points{'' if clear else ', which chance could explain'}."
        )
        yield _alarm(stage, "reward_up_accuracy_down", fallen, 0.0, message, "warning" if clear else "notice")


def _evaluations(stage: Stage, fused: bool) -> Iterator[Alarm]:
    for mode, record in stage.evaluations.items():
        evaluation = record.figures
        spoken = mode.replace("_", "-")
        cut, follow = evaluation.truncated_fraction, evaluation.think_follow
        if cut is not None and cut > TRUNCATED_FRACTION:
            message = f"{cut:.0%} of the {spoken} evaluation answers were cut off at their token limit."
            yield _alarm(stage, "evaluation_truncated", cut, TRUNCATED_FRACTION, message)
        if fused and follow is not None and follow < THINK_FOLLOW:
            message = f"The {spoken} flag alone is followed in {follow:.0%} of answers, after both modes were trained."
            yield _alarm(stage, "think_follow", follow, THINK_FOLLOW, message)
        unknown = unknown_fraction(evaluation)
        if unknown:
            message = f"{unknown:.1%} of the {spoken} evaluation answers could not be judged."
            level: Level = "warning" if unknown > UNKNOWN_FRACTION else "notice"
            yield _alarm(stage, "evaluation_unknown", unknown, UNKNOWN_FRACTION, message, level)
        if evaluation.left_out_too_long:
            message = (
                f"{evaluation.left_out_too_long} problems of the {spoken} evaluation have prompts above max_prompt_tokens "
                "and were not asked: accuracy is that of the others."
            )
            yield _alarm(stage, "evaluation_too_long", evaluation.left_out_too_long, 0, message)


def _conversations(stage: Stage, fused: bool) -> Iterator[Alarm]:
    obeyed = None if stage.follow is None else stage.follow.obeyed.value
    if fused and obeyed is not None and obeyed < THINK_FOLLOW:
        message = (
            f"Over several turns the flag in force is followed in {obeyed:.0%} of them, after both modes were trained."
        )
        yield _alarm(stage, "follow_turns", obeyed, THINK_FOLLOW, message)


def _lineage(stage: Stage, earlier: tuple[Stage, ...]) -> Iterator[Alarm]:
    """An input whose hash is no longer that of the stage it names."""
    hashes = {other.name: other.output_hash for other in earlier if other.output_hash}
    for name, hashed in stage.inputs.items():
        if name in hashes and hashes[name] != hashed:
            message = f"It was made from another output of {name} ({hashed[:8]}) than the one in this run."
            yield _alarm(stage, "stale_input", None, None, message)


def unknown_fraction(figures: EvaluationFigures) -> float:
    """The fraction of answers that could not be judged."""
    return figures.unknown / (figures.count + figures.unknown) if figures.unknown else 0.0


def _alarm(stage: Stage, kind: str, value: Number, threshold: Number, message: str, level: Level = "warning") -> Alarm:
    return Alarm(stage.name, kind, level, None if value is None else round(value, 6), threshold, message)


def _mean(stage: Stage, metric: str) -> Number:
    values = [value for _, value in stage.series(metric)]
    return fmean(values) if values else None


def _values(tree: object, key: str) -> Iterator[object]:
    """Every value stored under `key` at any depth of a JSON tree."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            if name == key:
                yield value
            yield from _values(value, key)
    elif isinstance(tree, list | tuple):
        for item in tree:
            yield from _values(item, key)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value of an identity is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
