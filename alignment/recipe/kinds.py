"""StageKind, the declaration of a stage kind, and finding kinds: built-in ones, and those of other packages.

A kind is one file that needs no torch: its fields in a recipe, what it takes and leaves, its checks, its line of the plan,
how it runs. No other code names kinds. docs/stages.md says how to write one. Neighbours: stage.py (the fields of every
stage), training/kinds/ (the built-in kinds).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from alignment.core.errors import RecipeError
from alignment.core.registry import Registry
from alignment.core.vocabulary import Mode
from alignment.recipe.issue import Issue, nearest
from alignment.recipe.stage import StageFields
from alignment.recipe.trainer_keys import TrainerKeys

if TYPE_CHECKING:
    from alignment.recipe.schema import Recipe

Takes = Literal["rows", "pairs", "problems", "steps"]
Leaves = Literal["policy", "rows", "process_model", "reward_model"]
Fields = TypeVar("Fields", bound=StageFields)
Check = Callable[["Recipe", int, Fields], Iterator[Issue]]  # from a recipe, the index of a stage, and the stage

BUILT_IN = {
    "sft": "alignment.training.kinds.sft",
    "grpo": "alignment.training.kinds.grpo",
    "dpo": "alignment.training.kinds.dpo",
    "reward_model": "alignment.training.kinds.reward_model",
    "distill": "alignment.training.kinds.distill",
    "sample": "alignment.training.kinds.sample",
    "fusion": "alignment.training.kinds.fusion",
    "step_labels": "alignment.training.kinds.step_labels",
    "prm": "alignment.training.kinds.prm",
    "filter_queries": "alignment.training.kinds.filter_queries",
    "filter_responses": "alignment.training.kinds.filter_responses",
    "filter_quality": "alignment.training.kinds.filter_quality",
    "deduplicate": "alignment.training.kinds.deduplicate",
    "decontaminate": "alignment.training.kinds.decontaminate",
}


@dataclass(frozen=True)
class LintIntent:
    """What the linter needs to know about a stage: its length limit and where its loss falls."""

    max_length: int | None = None  # tokens of a row, or of a prompt in a stage that samples
    places_loss: bool = False  # the stage masks the loss itself
    loss_on_empty_think: bool = False
    loss_on_history: bool = False


@dataclass(frozen=True)
class Done:
    """What a finished stage did: number of optimizer steps, and of tokens trained on or sampled."""

    steps: int
    tokens: int


def _no_intent(_: StageFields) -> LintIntent:
    return LintIntent()


@dataclass(frozen=True)
class StageKind(Generic[Fields]):
    """The declaration of a stage kind. No field may need torch; `run` imports it when called."""

    name: str
    fields: type[Fields]  # the kind's fields in a recipe
    sentence: str  # what it does, for docs/stages.md
    takes: Takes  # rows and pairs to train on, problems to answer, or steps with labels
    leaves: Leaves
    files: str  # what its output folder holds, for docs/stages.md
    trains: bool  # started by the launcher on every process; else one plain process
    work: Callable[[Fields], str]  # its line of `alignment check`'s plan
    run: Callable[[Any], Done]  # from a training.context.StageContext; writes its output folder
    gives: tuple[Takes, ...] = ()  # what later stages may take from it with `stage: NAME`
    policy_writes: bool = False  # its rows were sampled from a policy
    passes_on: bool = False  # its rows are some of those that it takes, as they are
    most_rows: Callable[[Fields], Mapping[Mode, float]] | None = None  # upper bound of rows by mode, if known
    batch: Callable[[Fields], tuple[int, int]] | None = None  # rows and tokens per row of one forward pass
    holds_reference: Callable[[Fields], bool] | None = None  # whether a frozen policy lies beside the trained one
    trainer: TrainerKeys | None = None  # which keys `trainer:` may hold
    lint: Callable[[Fields], LintIntent] = _no_intent
    checks: tuple[Check[Fields], ...] = ()

    @property
    def leaves_policy(self) -> bool:
        """Whether its output is a policy, which is then evaluated and can be started from."""
        return self.leaves == "policy"

    @property
    def leaves_rows(self) -> bool:
        """Whether its output is rows, which later stages can train on."""
        return self.leaves == "rows"

    @property
    def explores(self) -> bool:
        """Whether it is RL: a policy is trained on its own samples, and not on given rows."""
        return self.leaves_policy and self.takes == "problems"


REGISTRY: Registry[StageKind[Any]] = Registry(
    "stage kind", StageKind, "KIND", "alignment.stage_kinds", "docs/stages.md", BUILT_IN
)


def stage_kind(name: str) -> StageKind[Any]:
    """The kind of that name. Raises RecipeError if there is none, or if a package's declaration cannot be used."""
    kind = find_kind(name)
    if kind is None:
        raise RecipeError(f"there is no stage kind `{name}`; {nearest(name, kind_names())}")
    return kind


def kind_of(stage: StageFields) -> StageKind[Any]:
    """The kind of a recipe's stage. Raises RecipeError as `stage_kind`."""
    return stage_kind(stage.kind)


def find_kind(name: str) -> StageKind[Any] | None:
    """Like `stage_kind`, but None for an unknown kind, as in a run made by another installation."""
    return REGISTRY.find(name)


def kind_names() -> list[str]:
    """Names of all kinds, built-in ones and those of other packages, sorted."""
    return sorted(REGISTRY.names())


def kinds() -> list[StageKind[Any]]:
    """The built-in kinds, in the order of the documentation."""
    return [stage_kind(name) for name in BUILT_IN]
