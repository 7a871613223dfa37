"""The alarm that a reward rises while the text gets worse: shorter or longer by half, more alike, or less like the language it began with.

Neighbours: trends.py (what is clear), rewards.py (other signs of a policy that pleases its reward), rollout/writing.py (the
figures).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from alignment.report.alarms.evidence import alarm
from alignment.report.alarms.trends import trend
from alignment.report.document import Alarm, Level
from alignment.report.run import Stage
from alignment.report.scores import scorers_of, specs

LENGTH_FACTOR = 2.0
DISTINCT_LEFT = 0.8  # of the distinct fraction of bigrams
FLUENCY_LOST = 0.5  # nats per token
ASKS_FOR_LENGTH = "length"  # a reward that is meant to change the length of answers
GUARD = "least"  # its form that guards against short ones, and asks for no length


@dataclass(frozen=True)
class Sign:
    """One figure of the text that has got worse. sure: no honest reason is likely."""

    text: str
    value: float
    threshold: float
    sure: bool


def writing_alarms(stage: Stage) -> Iterator[Alarm]:
    """Reward clearly up and text worse; a `notice` where length alone has changed, which can have an honest reason."""
    reward = trend(stage.series("reward"))
    signs = list(_signs(stage))
    if reward is None or not reward.rises or not signs:
        return
    message = (
        f"Reward rose from {reward.first:.2f} to {reward.last:.2f} while {' and '.join(one.text for one in signs)}: read what "
        "the policy writes; it may have found a cheaper way to please the reward."
    )
    worst = next((one for one in signs if one.sure), signs[0])
    level: Level = "warning" if worst.sure or len(signs) > 1 else "notice"
    yield alarm(stage, "reward_up_text_worse", worst.value, worst.threshold, message, level)


def _signs(stage: Stage) -> Iterator[Sign]:
    length, distinct = trend(stage.series("answer_tokens")), trend(stage.series("distinct_bigrams"))
    if length and min(length.first, length.last) > 0 and not _rewards_length(stage):
        factor = length.last / length.first
        if max(factor, 1 / factor) >= LENGTH_FACTOR and (length.rises or length.falls):
            text = f"answers went from {length.first:.0f} to {length.last:.0f} tokens"
            yield Sign(text, factor, LENGTH_FACTOR if factor > 1 else 1 / LENGTH_FACTOR, sure=False)
    if distinct and distinct.falls and distinct.last <= DISTINCT_LEFT * distinct.first:
        text = f"the distinct fraction of its bigrams fell from {distinct.first:.2f} to {distinct.last:.2f}"
        yield Sign(text, distinct.last / distinct.first, DISTINCT_LEFT, sure=True)
    for name in scorers_of(stage, "fluency"):
        fluency = trend(stage.series(f"reward/{name}/mean"))
        if fluency and fluency.falls and fluency.change <= -FLUENCY_LOST:
            text = f"its fluency under the starting policy fell from {fluency.first:.2f} to {fluency.last:.2f} nats per token"
            yield Sign(text, fluency.change, -FLUENCY_LOST, sure=True)


def _rewards_length(stage: Stage) -> bool:
    lengths = [one for one in specs(stage, "rewards") if one.get("kind") == ASKS_FOR_LENGTH and one.get("weight") != 0]
    return any(one.get("form") != GUARD for one in lengths)
