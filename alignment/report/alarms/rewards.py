"""Alarms of what rises: a score that a policy pleases while what it stands for does not rise with it.

Neighbours: training.py (the other figures of steps), evidence.py.
"""

from collections.abc import Iterator, Mapping
from statistics import fmean

from alignment.core.vocabulary import Mode
from alignment.report.alarms.evidence import alarm, quarters
from alignment.report.alarms.trends import best_quarter, outer_quarters, since
from alignment.report.document import Alarm, Change
from alignment.report.run import Stage
from alignment.report.scores import scorers_of, verifiers_of

PROCESS_RISE = 0.05  # of a score and of a fraction, from the first to the last quarter of a stage
TRUTH_FALL = 0.05  # of a verifier's mean score
STEP_DRIFT = 2.0  # factor between them


def process_alarms(stage: Stage) -> Iterator[Alarm]:
    """Signs that a policy pleases its process scorer: it scores more while less is right, or its steps drift."""
    scores, right = quarters(stage, "process_score"), quarters(stage, "right_fraction")
    if scores and right and scores[1] - scores[0] > PROCESS_RISE and right[0] - right[1] > PROCESS_RISE:
        message = (
            f"The process score rose from {scores[0]:.2f} to {scores[1]:.2f} while the fraction of right answers fell from "
            f"{right[0]:.2f} to {right[1]:.2f}: the policy has learned to please the scorer."
        )
        yield alarm(stage, "process_up_accuracy_down", right[1] - right[0], -PROCESS_RISE, message)
    for metric, shown in (("steps_per_answer", "steps per answer"), ("tokens_per_step", "tokens per step")):
        ends = quarters(stage, metric)
        if ends and min(ends) > 0 and max(ends) / min(ends) > STEP_DRIFT:
            message = f"The {shown} went from {ends[0]:.1f} to {ends[1]:.1f}; look at what the policy writes."
            yield alarm(stage, "step_drift", ends[1] / ends[0], STEP_DRIFT, message)


def accuracy_alarms(stage: Stage, changes: Mapping[Mode, Change]) -> Iterator[Alarm]:
    """Training reward that rises while held-out accuracy falls: a sign of reward hacking."""
    rewards = [value for _, value in stage.series("reward")]
    if len(rewards) < 2:
        return
    before, after = outer_quarters(rewards)
    risen = fmean(after) - fmean(before)
    if risen <= 0:
        return
    for mode, change in changes.items():
        fallen = change.tested.accuracy
        if fallen is None or fallen >= 0:
            continue
        clear = change.tested.verdict == "loss"
        message = (
            f"Reward rose by {risen:.2f} while held-out {mode.replace('_', '-')} accuracy fell by "
            f"{-100 * fallen:.1f} points{'' if clear else ', which chance could explain'}."
        )
        yield alarm(stage, "reward_up_accuracy_down", fallen, 0.0, message, "warning" if clear else "notice")


def proxy_alarms(stage: Stage) -> Iterator[Alarm]:
    """A reward model's score that does not clearly fall while a verifier's does, from its best (Goodhart's law, arXiv 2210.10760)."""
    for proxy in scorers_of(stage, "reward_model"):
        for name in verifiers_of(stage):
            series = stage.series(f"reward/{name}/mean")
            best = best_quarter(series)
            if best is None:
                continue
            truth, paid = since(series, *best), since(stage.series(f"reward/{proxy}/mean"), *best)
            if truth is None or paid is None or not truth.falls or truth.change > -TRUTH_FALL or paid.falls:
                continue
            message = (
                f"They part after step {best[1]:.0f}: from there the reward model {proxy} went from {paid.first:.2f} to "
                f"{paid.last:.2f} while the verifier {name} fell from {truth.first:.2f} to {truth.last:.2f}. The policy pleases the "
                "model and not what it stands for. Stop earlier, lower its weight, or add a KL term."
            )
            yield alarm(stage, "proxy_up_truth_down", truth.change, -TRUTH_FALL, message)
