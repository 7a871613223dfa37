"""What a stage kind declares, and where the kinds are found: the built-in ones, and those of other packages.

A kind is one light file: its recipe block, what it takes and leaves, its checks, its line of the plan, how it runs.
Nothing else in the project knows kinds by name; whoever needs to know something asks the kind. docs/stages.md says how
to write one. Neighbours: stage.py (the fields of every stage), training/kinds/ (the built-in kinds).
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from alignment.core.errors import RecipeError
from alignment.core.vocabulary import Mode
from alignment.recipe.issue import Issue, nearest
from alignment.recipe.stage import StageFields
from alignment.recipe.trainer_keys import TrainerKeys

if TYPE_CHECKING:
    from alignment.recipe.schema import Recipe

Takes = Literal["rows", "pairs", "problems", "steps"]
Leaves = Literal["policy", "rows", "process_model", "reward_model"]
Fields = TypeVar("Fields", bound=StageFields)
Check = Callable[["Recipe", int, Fields], Iterator[Issue]]  # a recipe, and a stage in it with its place in the list

GROUP = "alignment.stage_kinds"  # entry points of other packages: `NAME = "package.module:KIND"`
BUILT_IN = {
    "sft": "alignment.training.kinds.sft",
    "grpo": "alignment.training.kinds.grpo",
    "dpo": "alignment.training.kinds.dpo",
    "sample": "alignment.training.kinds.sample",
    "fusion": "alignment.training.kinds.fusion",
}


@dataclass(frozen=True)
class LintIntent:
    """What a stage means to do with its rows, which the linter holds them against."""

    max_length: int | None = None  # tokens of a row, or of a prompt where the stage samples
    places_loss: bool = False  # the stage says itself which tokens of a row carry loss
    loss_on_empty_think: bool = False
    loss_on_history: bool = False


@dataclass(frozen=True)
class Done:
    """What a stage has done when it ends: optimizer steps, and tokens trained on or sampled."""

    steps: int
    tokens: int


def _no_intent(_: StageFields) -> LintIntent:
    return LintIntent()


@dataclass(frozen=True)
class StageKind(Generic[Fields]):
    """A stage kind as it is declared. No field may need torch; `run` imports what it needs when it is called."""

    name: str
    fields: type[Fields]  # the kind's block of a recipe
    sentence: str  # what it does, for a reader of docs/stages.md
    takes: Takes  # rows to imitate, pairs to prefer, problems to answer, or steps with labels
    leaves: Leaves
    files: str  # what its output holds, for a reader of docs/stages.md
    trains: bool  # started through the launcher on every process; else one plain process
    work: Callable[[Fields], str]  # its line of `alignment check`'s plan
    run: Callable[[Any], Done]  # from a training.context.StageContext; output is written under its folder
    gives: tuple[Takes, ...] = ()  # what later stages may take from it with `stage: NAME`
    policy_writes: bool = False  # its rows are what a policy wrote, so that they are judged and not curated
    most_rows: Callable[[Fields], Mapping[Mode, float]] | None = None  # at most as many rows of each mode, where known
    batch: Callable[[Fields], tuple[int, int]] | None = None  # rows and tokens per row of one forward pass
    trainer: TrainerKeys | None = None  # which keys `trainer:` may hold
    lint: Callable[[Fields], LintIntent] = _no_intent
    checks: tuple[Check[Fields], ...] = ()

    @property
    def leaves_policy(self) -> bool:
        return self.leaves == "policy"

    @property
    def leaves_rows(self) -> bool:
        return self.leaves == "rows"

    @property
    def explores(self) -> bool:
        """Whether a policy learns from what it tries out itself, and not from rows that it imitates."""
        return self.leaves_policy and self.takes == "problems"


def stage_kind(name: str) -> StageKind[Any]:
    """The kind of that name. Raises RecipeError if there is none, or if a package's declaration cannot be used."""
    kind = find_kind(name)
    if kind is None:
        raise RecipeError(f"there is no stage kind `{name}`; {nearest(name, kind_names())}")
    return kind


def kind_of(stage: StageFields) -> StageKind[Any]:
    """The kind that a stage of a recipe is of."""
    return stage_kind(stage.kind)


@cache
def find_kind(name: str) -> StageKind[Any] | None:
    """As `stage_kind`, but None where there is no such kind, as in a run that another installation made."""
    if name in BUILT_IN:
        return _declared(name, importlib.import_module(BUILT_IN[name]), BUILT_IN[name])
    point = _entry_points().get(name)
    if point is None:
        return None
    where = f"{point.value} of the package {point.dist.name if point.dist else 'that names it'}"
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise RecipeError(f"the stage kind `{name}` cannot be loaded from {where}: {error}") from error
    return _checked(name, found, where)


def kind_names() -> list[str]:
    """Every kind there is, built-in ones and those of other packages, by name."""
    return sorted({*BUILT_IN, *_entry_points()})


def kinds() -> list[StageKind[Any]]:
    """Every kind that is built in, in the order in which the documentation lists them."""
    return [stage_kind(name) for name in BUILT_IN]


@cache
def _entry_points() -> dict[str, EntryPoint]:
    """Those of other packages by name; a built-in kind's name cannot be taken."""
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in BUILT_IN}


def _declared(name: str, module: Any, where: str) -> StageKind[Any]:
    return _checked(name, getattr(module, "KIND", None), where)


def _checked(name: str, found: Any, where: str) -> StageKind[Any]:
    if not isinstance(found, StageKind):
        raise RecipeError(f"the stage kind `{name}`: {where} is no StageKind; see docs/stages.md")
    if found.name != name:
        raise RecipeError(f"the stage kind `{name}`: {where} declares `{found.name}`; the names have to be the same")
    return found
