"""`alignment evaluate`: any stage of a run, or any model folder, on problems of a seed of one's own choosing.

Neighbours: options.py (what is asked), measuring.py (does it).
"""

from typing import Annotated

import typer

from alignment.commands.options import AsJson, Engine, LongestCompletion, ModelOrRun, OneStage, Tasks


def evaluate(
    model: ModelOrRun,
    stage: OneStage = None,
    tasks: Tasks = "",
    file: Annotated[
        list[str] | None, typer.Option(metavar="TASK=FILE", help="A local file in place of a public task's rows.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of fresh problems; left out, the recipe's own.")] = None,
    count: Annotated[int | None, typer.Option(help="Problems per task and mode.")] = None,
    samples: Annotated[int | None, typer.Option(help="Answers to each problem.")] = None,
    follow_turns: Annotated[
        int | None, typer.Option(help="Turns of the conversations that measure think-follow; 1 for none.")
    ] = None,
    follow_count: Annotated[int | None, typer.Option(help="Conversations, and single prompts asked by flag.")] = None,
    engine: Engine = None,
    max_completion_tokens: LongestCompletion = None,
    json_: AsJson = False,
) -> None:
    """Measure a policy on held-out problems. In both modes; nothing in a run is changed."""
    from alignment.commands.evaluate.measuring import measure
    from alignment.commands.evaluate.options import EvaluateOptions

    changes = (
        ("seed", seed), ("count", count), ("samples", samples), ("follow_turns", follow_turns),
        ("follow_count", follow_count), ("engine", engine), ("max_completion_tokens", max_completion_tokens),
    )  # fmt: skip
    measure(EvaluateOptions(model, stage, tasks, tuple(file or ()), changes), as_json=json_)
