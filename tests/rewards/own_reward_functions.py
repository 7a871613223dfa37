"""Rewards of one's own as people write them, for the tests: right ones, and every way in which one can be wrong."""

import os
import time
from collections.abc import Sequence

from own_reward_words import clean

from rewards import Rollout, Verdict, not_applicable


def brevity(completions, *, longest: int = 200, **kwargs):
    return [max(0.0, 1 - len(clean(one)) / longest) for one in completions]


def holds_answer(completions, answer, **kwargs):
    return [float(right in turns[0]["content"]) for turns, right in zip(completions, answer, strict=True)]


def typed(completions: list[str], prompts: list[str]):
    return [len(one) + len(asked) / 10 for one, asked in zip(completions, prompts, strict=True)]


async def of_the_mode(completions, mode, log_metric=None):
    return [1.0 if one == "thinking" else None for one in mode]


def hard(completions, **kwargs):
    if any("hang" in one for one in completions):
        time.sleep(1000)
    if any("exit" in one for one in completions):
        os._exit(3)
    if any("large" in one for one in completions):
        return [len(bytearray(1 << 40))]
    return [1 / one.count("a") for one in completions]


def best_of_batch(completions, **kwargs):
    time.sleep(1000 if any("hang" in one for one in completions) else 0)
    return [float(len(one) == max(map(len, completions))) for one in completions]


def one_for_all(completions, **kwargs):
    return [1.0]


def words(completions, **kwargs):
    return "good"


def odd(completions, **kwargs):
    return [float("nan"), "x", None, True, not_applicable("answer")][: len(completions)]


def trainers(completions, trainer_state):
    return [0.0 for _ in completions]


def of_one(completion, answer):
    return 1.0


def with_reserved(completions, weight=1.0):
    return [weight for _ in completions]


class Palindrome:
    """A verifier as rewards/ has them."""

    columns = ("letters",)

    def __init__(self, *, ignore_case: bool = True) -> None:
        self.ignore_case = ignore_case

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return [self._judge(one) for one in rollouts]

    def close(self) -> None:
        """Nothing to end."""

    def _judge(self, rollout: Rollout) -> Verdict:
        text = rollout.answer.casefold() if self.ignore_case else rollout.answer
        right = text == text[::-1] and len(text) == rollout.column("palindrome", "letters")
        return Verdict(float(right), "palindrome" if right else "none", {"mode": rollout.mode})


class NoVerifier:
    """A class that judges nothing."""
