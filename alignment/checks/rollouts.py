"""Checks of sampling: engines and environments can run here, and thinking budgets leave room for an answer.

Neighbours: recipe.py (runs the checks), rows/lengths.py (positions of the model), evaluations.py.
"""

from collections.abc import Iterator, Sequence

from alignment.checks.own_rewards import sampled_problems
from alignment.checks.servers import adapters, reachable
from alignment.core.errors import RecipeError
from alignment.data.rows import Problem, user_turn
from alignment.recipe.blocks.engine import EngineOptions, engine_kind
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.recipe.blocks.sampling import ThinkingBudget
from alignment.recipe.issue import Issue, Place
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import rollout_of
from alignment.rollout.environments.protocol import EnvironmentFault, HoldingEnvironment
from alignment.rollout.environments.registry import environment_faults, open_environments
from rewards.own.loading import is_own

ANY_PROBLEM = Problem("check", [user_turn("What is 1 + 2?")], "3")  # where a stage's own are not at hand


def rollouts(recipe: Recipe) -> Iterator[Issue]:
    """Engines and environments can run here, and thinking budgets leave room for an answer."""
    for index, stage in enumerate(recipe.stages):
        rollout = rollout_of(stage)
        if rollout is None:
            continue
        place: Place = ("stages", index, "rollout")
        trains = kind_of(stage).trains
        yield from engine(place, rollout.engine, recipe.hardware.processes if trains else 1)
        if trains and (rollout.engine.workers or 1) > 1 and not engine_kind(rollout.engine.type).has_workers:
            told = (
                "each training process samples in itself, from weights that change; write 1, leave it out, or write type "
                "vllm_server, whose workers all processes share"
            )
            yield Issue((*place, "engine", "workers"), told)
        if trains:
            yield from reachable(place, rollout.engine, recipe)
            yield from adapters(place, stage)
        yield from thinking_budget(place, rollout.thinking_budget, rollout.max_completion_tokens)
        yield from environment(place, rollout.environment, _first(recipe, index, rollout.environment))


def environment(place: Place, choice: EnvironmentChoice, sample: Sequence[Problem] = ()) -> Iterator[Issue]:
    """The environment exists, takes its options, and runs on this machine; one of the user's own begins with a problem."""
    faults = environment_faults(choice)
    yield from (Issue((*place, "environment"), fault) for fault in faults)
    if not faults and is_own(choice.kind):
        environments = open_environments(choice)
        try:
            tried = environments.new()
            tried.reset(next(iter(sample), ANY_PROBLEM))
            if isinstance(tried, HoldingEnvironment):
                tried.release()
        except (RecipeError, EnvironmentFault) as error:
            yield Issue((*place, "environment"), str(error))
        finally:
            environments.close()


def engine(place: Place, options: EngineOptions, processes: int) -> Iterator[Issue]:
    """The engine can run here, beside so many training processes."""
    fault = engine_kind(options.type).fault(processes)
    if fault:
        told = f"{options.type} cannot run here: {fault}; write `auto` or `transformers`"
        yield Issue((*place, "engine"), told)


def thinking_budget(place: Place, budget: ThinkingBudget, longest: int) -> Iterator[Issue]:
    """The stop text ends the thinking, `least` is not above `most`, and both leave room for an answer."""
    place = (*place, "thinking_budget")
    if "</think>" not in budget.stop_text:
        yield Issue((*place, "stop_text"), "has no </think>, so thinking would never end; add it")
    if budget.most is not None and budget.most >= longest:
        yield Issue(
            (*place, "most"), f"leaves no token for the answer; write less than max_completion_tokens {longest}"
        )
    if budget.most is not None and budget.least > budget.most:
        yield Issue((*place, "least"), f"{budget.least} is above most, {budget.most}; lower it")


def _first(recipe: Recipe, index: int, choice: EnvironmentChoice) -> list[Problem]:
    """A problem of a stage, where an environment of the user's own is tried with it."""
    return sampled_problems(recipe, index)[:1] if is_own(choice.kind) else []
