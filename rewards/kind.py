"""What a kind of reward is made of: a verifier, its audit table, its gold answer, and what it asks of a row.

A kind is one file in kinds/ (a folder where it is big) that ends in `KIND = Kind(...)`, and one line in registry.py;
another package registers the same object under the entry point group `alignment.verifiers`. audit.py runs the table,
gold.py writes the gold answers, specs.py builds verifiers from what a person wrote.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from rewards.contract import Mode, Verifier

# gold: right, in many spellings. near_miss: almost right. garbage: no answer at all. unjudgeable: a row whose reference
# or other column is broken. adversarial: made to be rewarded, to hang the verifier or to end it.
Group = Literal["gold", "near_miss", "garbage", "unjudgeable", "adversarial"]
GROUPS: tuple[Group, ...] = get_args(Group)


@dataclass(frozen=True)
class Row:
    """A row of an audit table: one completion, what its row holds, and the score it has to get.

    `score` None is "could not judge". `options` are the kind's own, where a row is about others than the defaults.
    `tokens` is how many the completion has, its text aside, the first `forced` of them not sampled; None where that is
    not known. All rows are self-made.
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


@dataclass(frozen=True)
class Option:
    """One option of a kind: its type (a class, or a Literal of words), and its value when a spec does not give it."""

    type: Any
    default: Any

    @property
    def wanted(self) -> str:
        """What a value has to be, in words."""
        words = get_args(self.type)
        return f"one of {', '.join(map(str, words))}" if words else str(self.type.__name__)


@dataclass(frozen=True)
class Gold:
    """How a right answer is written from a row's columns. `reference`: the column where a person looks first."""

    write: Callable[[Mapping[str, Any]], str]
    reference: str


@dataclass(frozen=True)
class AuditSettings:
    """How a kind's table is run: options over the defaults, and the reasons that mean that nobody judges here.

    `advice`: what to do about such a reason, in words for a person; `{reason}` in it is replaced.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    unavailable: tuple[str, ...] = ()
    advice: str = ""


@dataclass(frozen=True)
class Kind:
    """One kind of reward.

    `verifier` is the class that judges. Its keyword-only parameters are the kind's options (or those of its class
    `Options`), its `columns` the dataset columns it reads. Two members are its to have or not: a static
    `option_fault(**options) -> str | None` (what is wrong with options together) and `fault_here() -> str | None`
    (why this machine cannot judge; starts what that needs).

    `table`: rows of every group, for `alignment audit`. `gold`: where a right answer can be written from a row.
    `row_fault`: why a row's columns can never be judged, or None; called when data is loaded, so it is quick and starts
    nothing. `optional`: columns that a row of this kind may do without; `may_be_empty`: columns in which an empty list
    says something. `options`: the options, where the verifier's parameters do not say them.
    """

    name: str
    verifier: type[Verifier]
    table: tuple[Row, ...] = ()
    gold: Gold | None = None
    row_fault: Callable[[Mapping[str, Any]], str | None] | None = None
    optional: tuple[str, ...] = ()
    may_be_empty: tuple[str, ...] = ()
    audit: AuditSettings = AuditSettings()
    options: Mapping[str, Option] | None = None
