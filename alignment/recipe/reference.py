"""Generates docs/recipes.md from the schema.

`python -m alignment.recipe.reference > docs/recipes.md`. tests/recipes/test_reference.py fails if the page is out of
date. Neighbours: schema.py and the files it is made of (the sentences), kinds.py (the stage kinds that are built in),
rewards (the reward kinds and their options).
"""

import json
import re
import types
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from alignment.recipe import schema, stage
from alignment.recipe.blocks import (
    algorithm,
    classifier,
    data,
    engine,
    environment,
    evaluation,
    expansion,
    hardware,
    held_out,
    judges,
    lora,
    own_task,
    process,
    sampling,
    scorers,
    search,
    steps,
    teacher,
)
from alignment.recipe.blocks import rewards as reward_block
from alignment.recipe.blocks.algorithm import ALGORITHM_NAMES, ALGORITHMS
from alignment.recipe.kinds import StageKind, kinds
from alignment.recipe.trainer_keys import OWNED_BY_EVERY_STAGE, OWNED_WITH_TRL
from rewards import VERIFIERS, verifier_options

COMMAND = "python -m alignment.recipe.reference > docs/recipes.md"
EXAMPLE = """\
name: first
model: embeded
stages:
  - name: cold_start
    kind: sft
    data: tiny-cold-start
    max_length: 512
    trainer: {learning_rate: 1e-5}
"""
EXAMPLE_ERRORS = """\
first.yaml:2: model: there is no folder embeded; did you mean `embedded`?
first.yaml:8: stages.cold_start.trainer.learning_rate: found text, and a number is needed: YAML reads 1e-5 as text; write 1.0e-5
2 errors; nothing was started
"""
OVERRIDES = (
    ("seed=3", "one value"),
    ("stages.reasoning_rl.rollout.generations=16", "stages by name"),
    ("stages.reasoning_rl.rewards.math_answer.timeout_seconds=4", "rewards by name or kind"),
    ("stages.fusion_data.data.chain-sum.count=64", "mixture parts by source or stage, or by number from 0"),
    ("stages.cold_start.trainer={max_steps: 10}", "the value is YAML and replaces the whole mapping"),
    ("stages.mode_fusion.lora.rank=8", "a missing block is created"),
)
Section = tuple[type[BaseModel], str, str]  # a block of the recipe, its title, and what stands above its table
ABOVE_KINDS: tuple[Section, ...] = (
    (schema.Recipe, "Recipe", "The whole document."),
    (hardware.Hardware, "Hardware", "`hardware`. Launcher configs are in recipes/accelerate/."),
    (stage.StageFields, "Every stage", "`stages` is a list; `kind` decides which further keys a stage has."),
    (stage.TrainingStage, "Every training stage", "{training}, which train."),
)
BELOW_KINDS: tuple[Section, ...] = (
    (sampling.Sampling, "Sampling", "`rollout` of a sample stage, and the first part of a grpo or distill stage's."),
    (
        engine.EngineOptions,
        "Engine",
        "`engine` of a rollout and of the evaluations; `engine: vllm` is short for `engine: {type: vllm}`.",
    ),
    (engine.VllmOptions, "Engine vllm", "The keys of every engine, and these; `auto` takes them too."),
    (
        engine.VllmServerOptions,
        "Engine vllm_server",
        "The keys of every engine, and these; [rollouts.md](rollouts.md#rollout-workers) says how servers work.",
    ),
    (
        sampling.ThinkingBudget,
        "Thinking budget",
        "`thinking_budget` of a rollout and of the evaluations; `thinking_budget: 256` is short for `{most: 256}`.",
    ),
    (sampling.Rollout, "Rollout", "`rollout` of a grpo stage: the keys of Sampling, and these."),
    (sampling.StudentRollout, "Student rollout", "`rollout` of a distill stage: the keys of Sampling, and these."),
    (teacher.Teacher, "Teacher", "`teacher` of a distill or sample stage ([distillation.md](distillation.md))."),
    (teacher.TeacherServer, "Teacher server", "`server` of a distill stage's `teacher`."),
    (
        sampling.ProblemOrder,
        "Problem order",
        "`order` of a grpo stage's rollout; `order: reward_variance` is short for `{by: reward_variance}` "
        "([rollouts.md](rollouts.md#which-problems-a-step-asks-for)).",
    ),
    (
        algorithm.AlgorithmFields,
        "Algorithm",
        "`algorithm` of a grpo stage: a mapping with `type`, or the name alone. [rl.md](rl.md) has the formulas.",
    ),
    *((one, f"Algorithm {name}", one.__doc__ or "") for one, name in zip(ALGORITHMS, ALGORITHM_NAMES, strict=True)),
    (
        environment.EnvironmentChoice,
        "Environment",
        "`environment` of a rollout and of the evaluations; the options of its kind stand beside these keys "
        "([rollouts.md](rollouts.md)).",
    ),
    (
        steps.Steps,
        "Steps",
        "`steps` of a step_labels stage; `steps: line` is short for `{by: line}` ([process-rewards.md](process-rewards.md)).",
    ),
    (expansion.Expansion, "Expansion", "`expand` of a prm stage ([process-rewards.md](process-rewards.md#training))."),
    (
        process.Process,
        "Process",
        "`process` of a grpo stage and of a search: what scores steps ([process-rewards.md](process-rewards.md)).",
    ),
    (
        search.BeamSearch,
        "Search beam",
        "`search` of a sample stage: step-level beam search "
        "([process-rewards.md](process-rewards.md#guided-decoding)).",
    ),
    (search.BestOfN, "Search best_of", "`search` of a sample stage: the best of several answers."),
    (
        scorers.ScorerFields,
        "Scorer",
        "One item of `scorers` of a grpo stage: these keys, and those of its kind ([scorers.md](scorers.md)).",
    ),
    (
        scorers.RewardModelScorer,
        "Scorer reward_model",
        "One item of `scorers` of a grpo stage ([scorers.md](scorers.md)).",
    ),
    (scorers.FluencyScorer, "Scorer fluency", "One item of `scorers` of a grpo stage ([scorers.md](scorers.md))."),
    (
        classifier.Classifier,
        "Classifier",
        "One item of `classifiers` of a filter_quality stage ([data-factory.md](data-factory.md#quality-and-safety)).",
    ),
    *((one, f"Label method {name}", one.__doc__ or "") for name, one in steps.METHODS.items()),
    (reward_block.Reward, "Reward", "One item of `rewards`; the options of its kind stand beside these keys."),
    (
        judges.Agreement,
        "Agreement",
        "`agreement` of a reward of `kind: judge` ([judges.md](judges.md#whether-it-may-train)).",
    ),
    (judges.ServedJudge, "Judge", "One entry of `judges` ([judges.md](judges.md))."),
    (lora.Lora, "LoRA", "`lora` of a training stage."),
    (
        held_out.HeldOut,
        "Held-out rows",
        "`held_out` of an sft or dpo stage; `held_out: 0.02` is short for `held_out: {fraction: 0.02}`.",
    ),
    (data.MixturePart, "Mixture part", "One item of `data`, and of `parts` in data/mixtures/."),
    (data.DataOverrides, "Data", "`data` at the top of the recipe."),
    (data.SourceOverride, "Source", "One entry of `data.sources`."),
    (evaluation.Evaluations, "Evaluations", "`evaluations`."),
    (
        own_task.OwnTask,
        "Evaluation task",
        "A file of its own, which `after_each_stage` and `--tasks` name by its path ([evaluation.md](evaluation.md#tasks-of-your-own)).",
    ),
)
_LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "min_length": "at least"}
_WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false", Path: "path", Any: "anything"}


def reference() -> str:
    """The whole page."""
    return "\n".join([*_opening(), *(line for one in sections() for line in _section(*one)), *_tables()]) + "\n"


@cache
def sections() -> tuple[Section, ...]:
    """Every block of a recipe, in the order of the page."""
    training = [f"`{kind.name}`" for kind in kinds() if issubclass(kind.fields, stage.TrainingStage)]
    listed = f"Kinds {', '.join(training[:-1])} and {training[-1]}"
    above = [(model, title, opening.format(training=listed)) for model, title, opening in ABOVE_KINDS]
    return (*above, *map(_kind_section, kinds()), *BELOW_KINDS)


def _kind_section(kind: StageKind[Any]) -> Section:
    takes = {"problems": "problems with answers", "rows": "conversations", "pairs": "pairs of a chosen and a rejected answer",
             "steps": "steps with labels"}[kind.takes]  # fmt: skip
    opening = f"{kind.sentence[0].upper()}{kind.sentence[1:]}. Takes {takes}; leaves {kind.files}."
    return kind.fields, f"Stage kind {kind.name}", opening


@cache
def _titles() -> dict[type[BaseModel], str]:
    return {model: title for model, title, _ in sections()}


def _opening() -> Iterator[str]:
    yield f"""<!-- Made by `{COMMAND}`. Change the sentences in alignment/recipe/. -->
# Recipes

A recipe is one YAML file that says what to run: a model, ordered stages, and what is measured after each. A key that is
not on this page is an error. `alignment check FILE` needs no GPU and starts nothing. It prints every error, or the plan
if there is none; `alignment run FILE` checks first, too.

## Errors

All errors are printed at once in the order of the file: file and line, path in the recipe, what was found, and what to
write. The exit status is 2. For

```yaml
{EXAMPLE}```

`alignment check` prints

```
{EXAMPLE_ERRORS}```

## Overrides

`--set path.by.name=value` changes one value without changing the file. It may be repeated, and the last one wins. `check`
and `run` both take it, and the resolved recipe is kept in the [run directory](run-directory.md).

| override | what it shows |
|---|---|"""
    for override, meaning in OVERRIDES:
        yield f"| `--set '{override}'` | {meaning} |" if " " in override else f"| `--set {override}` | {meaning} |"
    yield ""


def _section(model: type[BaseModel], title: str, opening: str) -> Iterator[str]:
    yield f"## {title}\n\n{opening}\n\n| field | type | default | meaning |\n|---|---|---|---|"
    above = {
        name: field
        for base in reversed(model.__mro__[1:])
        if base in _titles()
        for name, field in getattr(base, "model_fields", {}).items()
    }
    for name, field in model.model_fields.items():
        if name not in above or _default(field) != _default(above[name]):
            yield f"| `{name}` | {_type(field)} | {_default(field)} | {_sentence(field)} |"
    yield ""


def _tables() -> Iterator[str]:
    yield "## Reward kinds\n\n[rewards.md](rewards.md) says what each one judges.\n\n| kind | options |\n|---|---|"
    for kind in VERIFIERS:
        options = [f"`{name}: {json.dumps(option.default)}`" for name, option in verifier_options(kind).items()]
        yield f"| `{kind}` | {', '.join(options) or 'none'} |"
    yield "\n## Trainer keys that a stage sets\n\n`trainer` passes its keys to the TRL config class; these are refused."
    yield "\n| every kind | what to write instead |\n|---|---|"
    owned = {**OWNED_BY_EVERY_STAGE, **OWNED_WITH_TRL}
    yield from (f"| `{key}` | {owned[key]} |" for key in sorted(owned))
    for one in kinds():
        if one.trainer is not None:
            yield f"\n| {one.name} | what to write instead |\n|---|---|"
            yield from (f"| `{key}` | {instead} |" for key, instead in one.trainer.own.items())


def _sentence(field: FieldInfo) -> str:
    return re.sub(r"(</?\w+>)", r"`\1`", str(field.description))  # a bare <think> would be taken for HTML


def _type(field: FieldInfo) -> str:
    limits = [
        f"{word} {getattr(limit, name):g}" + (" of them" if name == "min_length" else "")
        for limit in field.metadata
        for name, word in _LIMITS.items()
        if getattr(limit, name, None) is not None
    ]
    return ", ".join([_word(field.annotation), *limits])


def _word(annotation: Any) -> str:
    """A type in words: `list of text`, `` `new` or `continue` ``, or the section that describes it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _WORDS:
        return _WORDS[annotation]
    if annotation is stage.StageFields:
        return "stage"
    if title := _titles().get(annotation):
        return f"[{title}](#{title.lower().replace(' ', '-')})"
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        if arguments == ALGORITHMS:
            return "[algorithm](#algorithm)"
        return " or ".join(_word(argument) for argument in arguments if argument is not type(None))
    if origin is list:
        return f"list of {_word(arguments[0])}"
    if origin is tuple:
        return f"[{', '.join(map(_word, arguments))}]"
    if origin is dict:
        return f"mapping of {_word(arguments[0])} to {_word(arguments[1])}"
    return _word(arguments[0])  # Annotated


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None:
        return "none"
    if isinstance(field.default, BaseModel):
        return "its defaults"
    if field.default == sampling.QWEN3_STOP_TEXT:
        return "Qwen3's sentence"
    return f"`{json.dumps(field.default)}`"


if __name__ == "__main__":
    print(reference(), end="")
