"""Checks of judges: each reward names one that the recipe has, which can be served here, and known verdicts can be read.

Neighbours: recipe.py (runs the checks), rewards.py (the options of rewards), recipe/blocks/judges.py (the fields).
"""

from collections.abc import Iterator
from pathlib import Path

from alignment.core.errors import DataError, RecipeError
from alignment.core.resources import EMBEDDED
from alignment.recipe.blocks.engine import engine_kind
from alignment.recipe.blocks.rewards import Reward
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.own.paths import DOUBLE
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import rewards_of
from alignment.rollout.judge_agreement import known_verdicts
from alignment.run.launcher import launcher_config

SERVED_ALONE = ("base_url", "model", "api_key_env", "patience_seconds")  # what a served judge's entry decides


def judges(recipe: Recipe) -> Iterator[Issue]:
    """Rewards name judges that are there, judges are named by rewards and can be served here, and agreement can be measured."""
    named = set()
    for index, stage in enumerate(recipe.stages):
        for number, spec in enumerate(rewards_of(stage)):
            place: Place = ("stages", index, "rewards", number)
            named.add(spec.judge)
            yield from _reward(recipe, spec, place)
            if spec.agreement is not None and stage.kind != "grpo":
                yield Issue(
                    (*place, "agreement"), "is measured before a grpo stage trains, and this stage does not; remove it"
                )
    for name, judge in recipe.judges.items():
        place = ("judges", name)
        if name not in named:
            yield Issue(place, f"no reward names it; write `judge: {name}` under a `kind: judge`, or remove it")
        if not judge.is_double and (fault := engine_kind("vllm_server").fault(1)):
            yield Issue(
                (*place, "engine"),
                f"cannot be served here: {fault}; serve it elsewhere and write `base_url` under the reward",
            )
        if (
            judge.model not in (EMBEDDED, DOUBLE)
            and Path(judge.model).is_dir()
            and not any(Path(judge.model).glob("*.safetensors"))
        ):
            yield Issue((*place, "model"), f"{judge.model} has no .safetensors file; write a folder with a whole model")
        yield from _machines(recipe, place)


def unmeasured(recipe: Recipe) -> Iterator[str]:
    """A line for each judge that trains a stage and is compared with no known verdict before."""
    for stage in recipe.stages:
        for spec in rewards_of(stage):
            if stage.kind == "grpo" and spec.kind == "judge" and spec.weight and spec.agreement is None:
                yield (
                    f"warning: {stage.name} trains on the judge `{spec.name or spec.judge or spec.kind}`, which is compared with no "
                    "known verdict; write `agreement: {data: FILE}` under that reward (docs/judges.md)"
                )


def _reward(recipe: Recipe, spec: Reward, place: Place) -> Iterator[Issue]:
    if spec.kind != "judge":
        for key in ("judge", "agreement"):
            if getattr(spec, key) is not None:
                yield Issue((*place, key), f"is for `kind: judge`, and this is `{spec.kind}`; remove it")
        return
    if spec.judge is not None:
        if spec.judge not in recipe.judges:
            hint = nearest(spec.judge, list(recipe.judges)) if recipe.judges else "write it under `judges`"
            yield Issue((*place, "judge"), f"found `{spec.judge}`, which is not under `judges`; {hint}")
        elif recipe.judges[spec.judge].is_double and (spec.model_extra or {}).get("form", "reference") != "reference":
            told = (
                f"the judge `{spec.judge}` is a double, which judges by `form: reference` alone; write that, or a model"
            )
            yield Issue((*place, "form"), told)
        for key in SERVED_ALONE:
            if key in (spec.model_extra or {}):
                yield Issue(
                    (*place, key), f"the judge `{spec.judge}` is served by the run, which decides that; remove it"
                )
    if spec.agreement is not None:
        try:
            known_verdicts(Path(spec.agreement.data))
        except DataError as error:
            yield Issue((*place, "agreement", "data"), str(error))


def _machines(recipe: Recipe, place: Place) -> Iterator[Issue]:
    try:
        several = launcher_config(recipe.hardware).several_machines
    except RecipeError:  # the check of surroundings says what is wrong with it
        return
    if several:
        told = "is served on one machine, and the launcher config names several; serve it yourself and write `base_url` under the reward"
        yield Issue(place, told)
