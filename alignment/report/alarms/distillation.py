"""Alarms of a stage that learns from a teacher: the student's answers shrink, or it comes no closer.

Reverse KL is a sum over the tokens that the student writes: an early end leaves fewer tokens to be wrong about. Neighbours:
trends.py (what is clear), training.py (entropy, lengths and gaps of every stage that samples).
"""

from collections.abc import Iterator

from alignment.report.alarms.evidence import alarm
from alignment.report.alarms.trends import trend
from alignment.report.document import Alarm
from alignment.report.run import Stage

LENGTH_LEFT = 0.5  # of the completions' mean length in the first quarter of the steps


def distillation_alarms(stage: Stage) -> Iterator[Alarm]:
    """Nothing for a stage without a teacher."""
    if not stage.series("teacher_entropy"):
        return
    length, reward = trend(stage.series("completion_tokens")), trend(stage.series("reward"))
    if length and length.falls and length.last <= LENGTH_LEFT * length.first and not (reward and reward.rises):
        message = (
            f"The student's completions fell from {length.first:.0f} to {length.last:.0f} tokens, and no verdict says that "
            "they are better: it may have learned to end early. Read them, and compare their length with the teacher's; "
            "imitate the teacher's own answers first (a sample stage, then sft), or write `divergence: jsd`."
        )
        yield alarm(stage, "student_length_collapse", length.last / length.first, LENGTH_LEFT, message)
    apart = trend(stage.series("reverse_kl"))
    if apart and apart.change >= 0:
        message = (
            f"The student came no closer to its teacher: reverse KL went from {apart.first:.3g} to {apart.last:.3g} nats per "
            "token. Write another learning_rate, or more steps."
        )
        yield alarm(stage, "teacher_not_approached", apart.change, 0.0, message, "notice")
