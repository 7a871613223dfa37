"""The table of `length`: each form on, near and beyond its target, tokens that nobody counted, and ways to seem short."""

from typing import Any

from rewards.audit_tables import Group, Row

EXACT = {"form": "l1_exact"}  # 1 - 0.0003 |b - n|
MAXIMUM = {"form": "l1_max"}  # 0.0003 (b - n) + 0.5
OVERLONG = {"form": "overlong", "max_tokens": 100, "cache_tokens": 20}  # free up to 80, -1 from 100


def _total(group: Group, options: dict[str, Any], tokens: int | None, score: float | None, **known: Any) -> Row:
    """A row whose whole completion counts."""
    known = {"budget": None if options["form"] == "overlong" else 1000, **known}
    return Row(group, known.pop("completion", "Salt."), score, tokens=tokens, options=options, **known)


def _thinking(group: Group, thinking: int | None, score: float | None, **known: Any) -> Row:
    """A row of the form `budget`, which is the default, with a budget of 64."""
    known = {"mode": "thinking", "budget": 64, "tokens": 300, "completion": "<think>\nSalt.\n</think>\n\nSea.", **known}
    return Row(group, score=score, columns={"thinking_tokens": thinking}, **known)


ADHERENCE = {"form": "adherence"}  # 1 - |b - t| / b


ROWS: tuple[Row, ...] = (
    _thinking("gold", 64, 1.0, options=ADHERENCE),
    _thinking("near_miss", 48, 0.75, options=ADHERENCE),
    _thinking("near_miss", 80, 0.75, options=ADHERENCE),
    _thinking("garbage", 0, 0.0, options=ADHERENCE),
    _thinking("unjudgeable", None, None, options=ADHERENCE),
    _thinking("adversarial", 64, 0.0, options=ADHERENCE, forced=3),  # the budget did it
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
