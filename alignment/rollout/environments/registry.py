"""Every kind of environment by its name: those of this folder, and those that other people's packages register.

A new kind here is its file and a line in BUILT_IN. Another package names its own in its pyproject.toml:

    [project.entry-points."alignment.environments"]
    maze = "their_package.maze:KIND"

A name with a colon is a class of the user's own (own.py). A kind is imported when it is asked for by name. Neighbours:
protocol.py, checks/ (which ask for problems first).
"""

from pydantic import ValidationError

from alignment.core.errors import OptionError, RecipeError
from alignment.core.registry import Registry
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.recipe.issue import nearest
from alignment.rollout.environments.own import own_environment
from alignment.rollout.environments.protocol import EnvironmentKind, EnvironmentOptions, Environments
from rewards.own.loading import is_own

BUILT_IN = {
    "bfcl": "alignment.rollout.environments.bfcl",
    "nemo_gym": "alignment.rollout.environments.nemo_gym",
    "openenv": "alignment.rollout.environments.openenv",
    "single_turn": "alignment.rollout.environments.single_turn",
    "tools": "alignment.rollout.environments.tools",
    "verifiers": "alignment.rollout.environments.verifiers_v1",
}
REGISTRY = Registry("environment", EnvironmentKind, "KIND", "alignment.environments", "docs/rollouts.md", BUILT_IN)


def environment_names() -> list[str]:
    """Every kind by name; imports none of them."""
    return REGISTRY.names()


def environment_kind(name: str) -> EnvironmentKind:
    """The kind of that name. Raises RecipeError where there is none, or where its package or own code cannot be used."""
    if is_own(name):
        return own_environment(name)
    kind = REGISTRY.find(name)
    if kind is None:
        raise RecipeError(f"there is no environment `{name}`; {nearest(name, environment_names())}")
    return kind


def open_environments(choice: EnvironmentChoice) -> Environments:
    """What a stage's rollouts share. Raises RecipeError for a kind or options that are not there."""
    kind = environment_kind(choice.kind)
    return kind.open(_options(kind, choice))


def environment_faults(choice: EnvironmentChoice, *, here: bool = True) -> list[str]:
    """What is wrong with a recipe's choice: its kind, its options, and, with `here`, this machine."""
    try:
        kind = environment_kind(choice.kind)
        options = _options(kind, choice)
    except RecipeError as error:
        return [str(error)]
    fault = kind.fault_here(options) if here else None
    return [] if fault is None else [fault]


def with_tools(written: str) -> EnvironmentChoice:
    """The environment that a command line's `--tools calculator,python` asks for; of nothing, the default.

    Raises OptionError for tools that do not exist or cannot be executed here.
    """
    names = [name.strip() for name in written.split(",") if name.strip()]
    choice = EnvironmentChoice.model_validate({"kind": "tools", "tools": names} if names else {})
    for fault in environment_faults(choice):
        raise OptionError(f"--tools {written}: {fault}")
    return choice


def _options(kind: EnvironmentKind, choice: EnvironmentChoice) -> EnvironmentOptions:
    try:
        return kind.options.model_validate(choice.model_extra or {})
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        known = ", ".join(["kind", "max_turns", *kind.options.model_fields])
        raise RecipeError(f"the environment {kind.name!r} cannot be set up ({told}); it takes: {known}") from error
