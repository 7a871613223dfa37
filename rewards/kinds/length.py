"""Kind `length`: how a completion's length stands to what was asked, in one of six forms.

Tokens are counted, never guessed from text: `completion_ids` for the whole completion, the column `thinking_tokens` for
the think block. Tokens that a thinking budget forced are not the policy's and do not count. Forms: `l1_exact` and
`l1_max` (L1, arXiv 2503.04697), `overlong` (DAPO, arXiv 2503.14476, equation 13), `budget` (kept by its own doing),
`adherence` (as many thinking tokens as the row asks for), `least` (an answer of so many tokens: a guard where short is
easy).
"""

from collections.abc import Sequence
from typing import Any, Literal

from rewards.contract import Rollout, Verdict, not_applicable
from rewards.kind import Group, Kind, Row

Form = Literal["l1_exact", "l1_max", "overlong", "budget", "adherence", "least"]

_COLUMNS: dict[str, tuple[str, ...]] = {
    "l1_exact": ("budget",),
    "l1_max": ("budget",),
    "overlong": (),
    "least": (),
    "budget": ("mode", "budget", "thinking_tokens"),
    "adherence": ("mode", "budget", "thinking_tokens"),
}


class Length:
    """Verifier of the kind `length`.

    With n the completion's own tokens and b its row's `budget`: l1_exact is 1 - alpha |b - n| and l1_max is
    alpha (b - n) + delta, both between 0 and 1; overlong is 0 up to max_tokens - cache_tokens, falls to -1 at
    max_tokens and stays there; budget is 1 for thinking of at most b tokens and falls to 0 at 2 b, and is 0 where
    the thinking had to be cut off; adherence is 1 - |b - t| / b for thinking of t tokens, at least 0; least is
    a / min_tokens for an answer of a tokens without its thinking, at most 1.
    """

    columns: tuple[str, ...] = ("mode", "budget")

    def __init__(
        self,
        *,
        form: Form = "budget",
        alpha: float = 0.0003,
        delta: float = 0.5,
        max_tokens: int = 0,
        cache_tokens: int = 0,
        min_tokens: int = 0,
    ) -> None:
        fault = self.option_fault(
            form=form, alpha=alpha, max_tokens=max_tokens, cache_tokens=cache_tokens, min_tokens=min_tokens
        )
        if fault is not None:
            raise ValueError(fault)
        self.form, self.alpha, self.delta = form, alpha, delta
        self.max_tokens, self.cache_tokens, self.min_tokens = max_tokens, cache_tokens, min_tokens
        self.columns = _COLUMNS[form]

    @staticmethod
    def option_fault(
        *,
        form: Form = "budget",
        alpha: float = 0.0003,
        delta: float = 0.5,
        max_tokens: int = 0,
        cache_tokens: int = 0,
        min_tokens: int = 0,
    ) -> str | None:
        """Why options do not fit together, or None when they do."""
        if form == "overlong" and not 0 < cache_tokens <= max_tokens:
            return f"overlong needs 0 < cache_tokens <= max_tokens, not {cache_tokens} and {max_tokens}"
        if form == "least" and min_tokens < 1:
            return f"least needs min_tokens of at least 1, not {min_tokens}"
        return None if alpha > 0 else f"alpha must be above 0, not {alpha}"

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout. Rows without a budget are not this verifier's, except in the forms `overlong` and `least`."""
        forms = {
            "overlong": self._overlong, "budget": self._budget, "adherence": self._adherence, "least": self._least,
        }  # fmt: skip
        judge = forms.get(self.form, self._l1)
        return [judge(rollout) for rollout in rollouts]

    def close(self) -> None:
        """Nothing to end."""

    def _l1(self, rollout: Rollout) -> Verdict:
        if rollout.budget is None:
            return not_applicable("budget")
        tokens = own_tokens(rollout)
        if tokens is None:
            return Verdict(None, "tokens_unknown")
        ahead = rollout.budget - tokens
        score = 1 - self.alpha * abs(ahead) if self.form == "l1_exact" else self.alpha * ahead + self.delta
        reason = "on_target" if ahead == 0 else "shorter" if ahead > 0 else "longer"
        return Verdict(_clamped(score), reason, {"tokens": tokens, "budget": rollout.budget})

    def _overlong(self, rollout: Rollout) -> Verdict:
        tokens = own_tokens(rollout)
        if tokens is None:
            return Verdict(None, "tokens_unknown")
        over = (self.max_tokens - self.cache_tokens - tokens) / self.cache_tokens
        reason = "within" if over >= 0 else "nearly_overlong" if over > -1 else "overlong"
        return Verdict(min(0.0, max(-1.0, over)), reason, {"tokens": tokens, "max_tokens": self.max_tokens})

    def _least(self, rollout: Rollout) -> Verdict:
        tokens = own_tokens(rollout)
        if tokens is None:
            return Verdict(None, "tokens_unknown")
        answered = max(0, tokens - int(rollout.columns.get("thinking_tokens") or 0))
        reason = "long_enough" if answered >= self.min_tokens else "too_short"
        return Verdict(_clamped(answered / self.min_tokens), reason, {"tokens": answered, "least": self.min_tokens})

    def _budget(self, rollout: Rollout) -> Verdict:
        over = _thought_over(rollout)
        if isinstance(over, Verdict):
            return over
        return Verdict(_clamped(1 - over), "within" if over <= 0 else "over", _thought(rollout))

    def _adherence(self, rollout: Rollout) -> Verdict:
        over = _thought_over(rollout)
        if isinstance(over, Verdict):
            return over
        reason = "on_target" if over == 0 else "shorter" if over < 0 else "longer"
        return Verdict(_clamped(1 - abs(over)), reason, _thought(rollout))


def _thought_over(rollout: Rollout) -> float | Verdict:
    """How far the thinking is beyond its budget, as a fraction of it; or the verdict if that is not known."""
    if rollout.mode == "non_thinking":
        return not_applicable("mode")
    if not rollout.budget:  # with a budget of 0 the block is closed at once, and nothing is the policy's to keep
        return not_applicable("budget")
    tokens = rollout.column("length", "thinking_tokens")
    if tokens is None:
        return Verdict(None, "tokens_unknown")
    if any(rollout.forced or ()):
        return Verdict(0.0, "cut_off", _thought(rollout))
    return float(tokens / rollout.budget - 1)


def _thought(rollout: Rollout) -> dict[str, int]:
    return {"thinking_tokens": rollout.column("length", "thinking_tokens"), "budget": rollout.budget or 0}


def own_tokens(rollout: Rollout) -> int | None:
    """How many of a completion's tokens the policy sampled; None where its token ids are not known."""
    if rollout.completion_ids is None:
        return None
    return len(rollout.completion_ids) - sum(rollout.forced or ())


def _clamped(value: float) -> float:
    return min(1.0, max(0.0, value))


# The table of `length`: each form on, near and beyond its target, tokens that nobody counted, and ways to seem short.
EXACT = {"form": "l1_exact"}  # 1 - 0.0003 |b - n|
MAXIMUM = {"form": "l1_max"}  # 0.0003 (b - n) + 0.5
OVERLONG = {"form": "overlong", "max_tokens": 100, "cache_tokens": 20}  # free up to 80, -1 from 100


def _total(group: Group, options: dict[str, Any], tokens: int | None, score: float | None, **known: Any) -> Row:
    """A row whose whole completion counts."""
    known = {"budget": None if options["form"] in ("overlong", "least") else 1000, **known}
    return Row(group, known.pop("completion", "Salt."), score, tokens=tokens, options=options, **known)


def _thinking(group: Group, thinking: int | None, score: float | None, **known: Any) -> Row:
    """A row of the form `budget`, which is the default, with a budget of 64."""
    known = {"mode": "thinking", "budget": 64, "tokens": 300, "completion": "<think>\nSalt.\n</think>\n\nSea.", **known}
    return Row(group, score=score, columns={"thinking_tokens": thinking}, **known)


ADHERENCE = {"form": "adherence"}  # 1 - |b - t| / b
LEAST = {"form": "least", "min_tokens": 40}  # a / 40


ROWS: tuple[Row, ...] = (
    _thinking("gold", 64, 1.0, options=ADHERENCE),
    _thinking("near_miss", 48, 0.75, options=ADHERENCE),
    _thinking("near_miss", 80, 0.75, options=ADHERENCE),
    _thinking("garbage", 0, 0.0, options=ADHERENCE),
    _thinking("unjudgeable", None, None, options=ADHERENCE),
    _thinking("adversarial", 64, 0.0, options=ADHERENCE, forced=3),  # the budget did it
    _total("gold", LEAST, 40, 1.0),
    _total("gold", LEAST, 4000, 1.0),
    _total("near_miss", LEAST, 39, 0.975),
    _total("near_miss", LEAST, 60, 0.5, columns={"thinking_tokens": 40}),  # thinking is no answer
    _total("garbage", LEAST, 0, 0.0, completion=""),
    _total("unjudgeable", LEAST, None, None),
    _total("adversarial", LEAST, 50, 0.5, forced=30),  # what was forced is not the policy's
    _total("adversarial", LEAST, 2, 0.05, completion="A long answer of 400 tokens. " * 80),
    _thinking("gold", 40, 1.0),
    _thinking("gold", 64, 1.0),
    _thinking("gold", 0, 1.0),
    _total("gold", EXACT, 1000, 1.0),
    _total("gold", EXACT, 1100, 1.0, forced=100),  # forced tokens are not the policy's
    _total("gold", MAXIMUM, 1000, 0.5),
    _total("gold", MAXIMUM, 600, 0.62),
    _total("gold", MAXIMUM, 0, 1.0, budget=5000),  # 2.0, and no more than 1
    _total("gold", OVERLONG, 0, 0.0),
    _total("gold", OVERLONG, 80, 0.0),
    _total("gold", OVERLONG, 90, 0.0, forced=10),
    _total("gold", {"form": "l1_max", "alpha": 0.001, "delta": 0.2}, 900, 0.3),
    _thinking("near_miss", 65, 63 / 64),
    _thinking("near_miss", 80, 0.75),
    _thinking("near_miss", 96, 0.5),
    _thinking("near_miss", 127, 1 / 64),
    _thinking("near_miss", 128, 0.0),
    _total("near_miss", EXACT, 1100, 0.97),
    _total("near_miss", EXACT, 900, 0.97),
    _total("near_miss", EXACT, 999, 0.9997),
    _total("near_miss", {"form": "l1_exact", "alpha": 0.001}, 1500, 0.5),
    _total("near_miss", MAXIMUM, 1001, 0.4997),
    _total("near_miss", MAXIMUM, 2000, 0.2),
    _total("near_miss", OVERLONG, 81, -0.05),
    _total("near_miss", OVERLONG, 90, -0.5),
    _total("near_miss", OVERLONG, 99, -0.95),
    _total("near_miss", OVERLONG, 100, -1.0),
    _total("near_miss", {"form": "overlong", "max_tokens": 100, "cache_tokens": 100}, 25, -0.25),
    # Nothing was said: whether that is an answer is for other verifiers; it has a length.
    _thinking("garbage", 0, 1.0, completion="", tokens=0),
    _total("garbage", EXACT, 0, 0.7, completion=""),
    _total("garbage", EXACT, 9000, 0.0, completion="\x00" * 9000),
    _total("garbage", OVERLONG, 500, -1.0, completion=" " * 500),
    _thinking("unjudgeable", None, None),
    _thinking("unjudgeable", 5, None, budget=None),
    _thinking("unjudgeable", 0, None, budget=0),
    _thinking("unjudgeable", 0, None, mode="non_thinking"),
    _total("unjudgeable", EXACT, None, None),
    _total("unjudgeable", MAXIMUM, None, None),
    _total("unjudgeable", OVERLONG, None, None, completion="Salt. " * 500),
    _total("unjudgeable", EXACT, 1000, None, budget=None),
    # Ended from outside, at the budget and below it: not kept by its own doing.
    _thinking("adversarial", 64, 0.0, forced=4),
    _thinking("adversarial", 20, 0.0, forced=1),
    _thinking("adversarial", 10**12, 0.0),
    # What a text says of its length, and how long it looks, is nothing.
    _thinking("adversarial", 128, 0.0, completion="<think>\nI used 64 tokens.\n</think>\n\nSea."),
    _thinking("adversarial", 128, 0.0, completion="</think>" * 1000),
    _total("adversarial", EXACT, 1000, 1.0, completion="x" * 500_000),
    _total("adversarial", OVERLONG, 200_000, -1.0, completion="x"),
    _total("adversarial", MAXIMUM, 100_000, 0.0, completion=""),
)

KIND = Kind("length", Length, ROWS)
