"""Tables of judged rows: for a verifier, answers of every group with the score that each has to get.

One module per kind, each with ROWS; audit.py runs them and names the kinds that have none. All rows are self-made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from rewards.contract import Mode

# gold: right, in many spellings. near_miss: almost right. garbage: no answer at all. unjudgeable: a row whose reference
# or other column is broken. adversarial: made to be rewarded, to hang the verifier or to end it.
Group = Literal["gold", "near_miss", "garbage", "unjudgeable", "adversarial"]
GROUPS: tuple[Group, ...] = get_args(Group)


@dataclass(frozen=True)
class Row:
    """One completion, what its row holds, and the score it has to get: None for "could not judge".

    `options` are the kind's own, where a row is about others than the defaults. `tokens` is how many the completion has,
    its text aside, the first `forced` of them not sampled; None where that is not known.
    """

    group: Group
    completion: str
    score: float | None
    columns: Mapping[str, Any] = field(default_factory=dict)
    mode: Mode | None = None
    prompt: str = ""
    budget: int | None = None
    tokens: int | None = None
    forced: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
