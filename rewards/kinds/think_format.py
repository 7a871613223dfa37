r"""Kind `think_format`: does a completion have the form that its mode asks for?

The form is the Qwen3 chat template's: `<think>\n`, thinking, `\n</think>\n\n`, answer. In non-thinking mode the block is
empty, or absent because the template put it into the prompt. Templates of models that always think (Qwen3-Thinking-2507,
QwQ, R1's distillations) open the block in the prompt: a completion that only closes one is in form as well. The score is graded, so that reinforcement learning has a
slope to climb; only the exact form scores 1.0. `thought` and `follows_mode` are for evaluation.
"""

from collections.abc import Sequence

from rewards.contract import THINK_CLOSE, THINK_OPEN, Mode, Rollout, Verdict, split_thinking
from rewards.kind import Kind, Row

# What is looked at, and the fraction of the score it is worth. They add up to 1.
CONDITIONS: dict[str, float] = {
    "closed": 0.1,  # every block that is opened is closed
    "one_block": 0.1,  # exactly one block (in non-thinking mode, at most one)
    "well_formed": 0.3,  # the whole completion is written as the template writes it
    "mode_obeyed": 0.3,  # there is thinking if and only if the mode is thinking
    "answer_clean": 0.2,  # an answer follows, without think tags
}

_EMPTY_BLOCK = f"{THINK_OPEN}\n\n{THINK_CLOSE}\n\n"


class ThinkFormat:
    """Verifier of the kind `think_format`: the weighted fraction of CONDITIONS that hold."""

    columns: tuple[str, ...] = ("mode",)

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout. A rollout without a mode cannot be judged."""
        return [self._judge(rollout) for rollout in rollouts]

    def close(self) -> None:
        """Nothing to end."""

    def _judge(self, rollout: Rollout) -> Verdict:
        if rollout.mode is None:
            return Verdict(None, "mode_unknown")
        held = conditions(rollout.completion, rollout.mode)
        score = 1.0 if all(held.values()) else round(sum(CONDITIONS[name] for name in held if held[name]), 6)
        return Verdict(score, "well_formed" if score == 1.0 else "malformed", held)


def conditions(completion: str, mode: Mode) -> dict[str, bool]:
    """Which CONDITIONS a completion meets. An empty one meets none: it must not be the easy way to half a score."""
    if not completion.strip():
        return dict.fromkeys(CONDITIONS, False)
    opened, closed = completion.count(THINK_OPEN), completion.count(THINK_CLOSE)
    _, answer = split_thinking(completion)
    blocks = (0, 1) if mode == "non_thinking" else (1,)
    # Opened in the prompt, and closed after some thinking.
    in_prompt = mode == "thinking" and opened == 0 and closed == 1 and thought(completion)
    return {
        "closed": in_prompt or (opened == closed and (opened > 0 or mode == "non_thinking")),
        "one_block": in_prompt or (opened == closed and opened in blocks),
        "well_formed": _is_well_formed(completion, mode),
        "mode_obeyed": follows_mode(completion, mode),
        "answer_clean": bool(answer),
    }


def thought(completion: str) -> bool:
    """Whether a completion holds any thinking."""
    return bool(split_thinking(completion)[0].replace(THINK_OPEN, "").replace(THINK_CLOSE, "").strip())


def follows_mode(completion: str, mode: Mode) -> bool:
    """Whether a completion thinks in thinking mode, and does not in non-thinking mode."""
    return thought(completion) == (mode == "thinking")


def _is_well_formed(completion: str, mode: Mode) -> bool:
    if mode == "thinking":
        body, end, answer = completion.removeprefix(f"{THINK_OPEN}\n").partition(f"\n{THINK_CLOSE}\n\n")
        return bool(end) and _is_clean(body) and _is_clean(answer)
    return _is_clean(completion.removeprefix(_EMPTY_BLOCK))


def _is_clean(text: str) -> bool:
    """There is something, and no think tags in it."""
    return bool(text.strip()) and THINK_OPEN not in text and THINK_CLOSE not in text


# The table of `think_format`: both modes, each condition broken alone and together, and forms made to look right.
GOOD = "<think>\nSix and six.\n</think>\n\nTwelve."
EMPTY = "<think>\n\n</think>\n\nTwelve."

ROWS: tuple[Row, ...] = (
    Row("gold", GOOD, 1.0, mode="thinking"),
    Row("gold", "<think>\nOne.\n\nTwo.\n\nThree.\n</think>\n\nTwelve.\n\nIndeed.", 1.0, mode="thinking"),
    Row("gold", "<think>\nif a < b: think\n</think>\n\n```\n<b>12</b>\n```", 1.0, mode="thinking"),
    Row("gold", "<think>\n考え中。\n</think>\n\n十二。", 1.0, mode="thinking"),
    Row("gold", EMPTY, 1.0, mode="non_thinking"),
    Row("gold", "Twelve.", 1.0, mode="non_thinking"),
    Row("gold", "Twelve.\n\nSix and six make twelve.", 1.0, mode="non_thinking"),
    # One condition broken: the block is not written as the template writes it.
    Row("near_miss", "<think>Six and six.</think>Twelve.", 0.7, mode="thinking"),
    Row("near_miss", "<think>\nSix.\n</think>\nTwelve.", 0.7, mode="thinking"),
    Row("near_miss", "Well, " + GOOD, 0.7, mode="thinking"),
    Row("near_miss", "\n" + GOOD, 0.7, mode="thinking"),
    Row("near_miss", "<think></think>Twelve.", 0.7, mode="non_thinking"),
    Row("near_miss", "<think>\n \n</think>\n\nTwelve.", 0.7, mode="non_thinking"),
    # The mode is not obeyed.
    Row("near_miss", EMPTY, 0.4, mode="thinking"),
    Row("near_miss", GOOD, 0.4, mode="non_thinking"),
    Row("near_miss", "Twelve.", 0.2, mode="thinking"),
    # No answer, or one with tags in it.
    Row("near_miss", "<think>\nSix and six.\n</think>\n\n", 0.5, mode="thinking"),
    Row("near_miss", GOOD + "</think>", 0.3, mode="thinking"),
    Row("gold", "Six and six.\n</think>\n\nTwelve.", 1.0, mode="thinking"),  # opened by the template, in the prompt
    Row("near_miss", "Six and six.</think>Twelve.", 0.7, mode="thinking"),
    Row("near_miss", "Six and six.\n</think>\n\n", 0.5, mode="thinking"),
    Row("near_miss", "Six.\n</think>\n\nTwelve.\n</think>\n\nNo.", 0.5, mode="thinking"),
    Row("near_miss", "Six and six.\n</think>\n\nTwelve.", 0.2, mode="non_thinking"),
    Row("garbage", "", 0.0, mode="thinking"),
    Row("garbage", " \n\t", 0.0, mode="non_thinking"),
    Row("garbage", "<think>", 0.0, mode="thinking"),
    Row("garbage", "<think>\nSix and", 0.3, mode="thinking"),
    Row("garbage", "</think>", 0.0, mode="thinking"),
    Row("unjudgeable", GOOD, None),
    Row("unjudgeable", "Twelve.", None),
    Row("unjudgeable", "", None),
    Row("adversarial", GOOD * 2, 0.6, mode="thinking"),
    Row("adversarial", "<think>\n" * 50 + "Six." + "\n</think>\n\n" * 50 + "Twelve.", 0.6, mode="thinking"),
    Row("adversarial", "<think>\n" + "\n x" * 200_000, 0.3, mode="thinking"),
    Row("adversarial", "<think>\n\n</think>\n\n" + GOOD, 0.3, mode="non_thinking"),
    Row("adversarial", "<THINK>\nSix.\n</THINK>\n\nTwelve.", 0.2, mode="thinking"),
)

KIND = Kind("think_format", ThinkFormat, ROWS)
