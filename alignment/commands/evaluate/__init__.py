"""`alignment evaluate`: measures a stage of a run or a model folder on held-out problems.

Neighbours: options.py (from options to a job), measuring.py (the work).
"""

from typing import Annotated

import typer

from alignment.commands.options import AsJson, Engine, LongestCompletion, ModelOrRun, OneStage, Tasks, Tools


def evaluate(
    model: ModelOrRun,
    stage: OneStage = None,
    tasks: Tasks = "",
    file: Annotated[
        list[str] | None, typer.Option(metavar="TASK=FILE", help="A local file in place of a public task's rows.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the problems (default: the recipe's).")] = None,
    count: Annotated[int | None, typer.Option(help="Problems per task and mode.")] = None,
    samples: Annotated[int | None, typer.Option(help="Completions per problem.")] = None,
    follow_turns: Annotated[
        int | None, typer.Option(help="Turns of the conversations that measure think-follow; 1 for no conversations.")
    ] = None,
    follow_count: Annotated[
        int | None, typer.Option(help="Number of conversations, and of single prompts with a flag.")
    ] = None,
    engine: Engine = None,
    dtype: Annotated[str | None, typer.Option(help="The engine's floating-point type: float32 or bfloat16.")] = None,
    max_prompt_tokens: Annotated[
        int | None, typer.Option(help="Longest prompt in tokens; problems with a longer one are left out.")
    ] = None,
    max_completion_tokens: LongestCompletion = None,
    tools: Tools = "",
    json_: AsJson = False,
) -> None:
    """Measure a policy on held-out problems in both modes. Changes nothing in a run."""
    from alignment.commands.evaluate.measuring import measure
    from alignment.commands.evaluate.options import EvaluateOptions
    from alignment.rollout.environments.registry import with_tools

    changes = (
        ("seed", seed), ("count", count), ("samples", samples), ("follow_turns", follow_turns),
        ("follow_count", follow_count), ("engine", engine), ("dtype", dtype), ("max_prompt_tokens", max_prompt_tokens),
        ("max_completion_tokens", max_completion_tokens),
        ("environment", with_tools(tools).model_dump() if tools else None),
    )  # fmt: skip
    measure(EvaluateOptions(model, stage, tasks, tuple(file or ()), changes), as_json=json_)
