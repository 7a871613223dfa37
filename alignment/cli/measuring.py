"""The commands that measure what was made: evaluate, budget, adapt, audit."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from alignment.cli.options import AsJson, Engine, LongestCompletion, ModelOrRun, OneStage, Tasks


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
    from alignment.commands import evaluate as command
    from alignment.commands.evaluate_options import EvaluateOptions

    changes = (
        ("seed", seed), ("count", count), ("samples", samples), ("follow_turns", follow_turns),
        ("follow_count", follow_count), ("engine", engine), ("max_completion_tokens", max_completion_tokens),
    )  # fmt: skip
    command.evaluate(EvaluateOptions(model, stage, tasks, tuple(file or ()), changes), as_json=json_)


def budget(
    model: ModelOrRun,
    stage: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A stage of the run, or `all`; left out, the last trained.")
    ] = None,
    tasks: Tasks = "",
    budgets: Annotated[str, typer.Option(help="Thinking tokens, as 0,64,256; left out, the recipe's.")] = "",
    samples: Annotated[int, typer.Option(help="Answers to each problem; two or more show what voting brings.")] = 4,
    modes: Annotated[Literal["both", "thinking", "non_thinking"], typer.Option(help="What is measured.")] = "both",
    count: Annotated[int | None, typer.Option(help="Problems per task; left out, the recipe's, or 256.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the problems; left out, the recipe's.")] = None,
    engine: Engine = None,
    max_completion_tokens: LongestCompletion = None,
    stop_text: Annotated[
        str | None, typer.Option(help="What ends the thinking at the budget; left out, the recipe's, or Qwen3's.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the results; left out, budget/ in the run.")] = None,
    json_: AsJson = False,
) -> None:
    """Measure accuracy over thinking budgets. What is measured already is not measured again."""
    from alignment.commands.budget import sweep_budgets
    from alignment.commands.budget_options import SweepOptions
    from alignment.report import write_report

    changes = (
        ("count", count), ("seed", seed), ("engine", engine), ("max_completion_tokens", max_completion_tokens),
        ("stop_text", stop_text),
    )  # fmt: skip
    options = SweepOptions(model, tuple(stage or ()), tasks, budgets, modes, samples, changes, output)
    sweep_budgets(options, as_json=json_)
    if options.belongs_to_run:
        write_report(model)


def adapt(
    sweep: Annotated[Path, typer.Argument(metavar="RUN_OR_SWEEP", help="What `alignment budget` has measured.")],
    accuracy: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Reach this with the least tokens.")] = None,
    tokens: Annotated[float | None, typer.Option(min=0.0, help="Mean tokens, probe included, to stay within.")] = None,
    stage: Annotated[str | None, typer.Option(help="A stage of the sweep; left out, its last.")] = None,
    task: Annotated[str | None, typer.Option(help="A task of the sweep, where it has several.")] = None,
    probe: Annotated[
        Literal["auto", "length", "agreement"], typer.Option(help="What tells hard prompts from easy ones.")
    ] = "auto",
    output: Annotated[Path | None, typer.Option(help="The file; left out, adaptive.json beside the sweep.")] = None,
) -> None:
    """Fit a thinking budget for each prompt. And say what it saves on held-out problems beside a fixed one."""
    from rich.console import Console

    from alignment.commands import adapt as adapt_command

    options = adapt_command.AdaptOptions(sweep, stage, task, accuracy, tokens, probe, output)
    adapt_command.adapt(options, Console())


def audit(
    verifiers: Annotated[
        list[str] | None, typer.Argument(metavar="[VERIFIER]...", help="Reward kinds; left out, all.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="JSON lines whose references are graded in place of the tables.")
    ] = None,
    reference_column: Annotated[
        str | None, typer.Option(help="Where the reference is; left out, `answer`, `calls` or `solution`.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="An option of the verifier; may be repeated.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print what was found as JSON and nothing else.")] = False,
) -> None:
    """Hold every verifier against rows whose verdict is known. Or your own references against their grader."""
    from rich.console import Console

    from alignment.commands import audit as audit_command

    console, kinds = Console(), verifiers or ([] if data is None else ["math_answer"])
    options = audit_command.options(option or [], kinds)
    if data is not None:
        raise typer.Exit(audit_command.audit_data(kinds, options, data, reference_column, console, as_json=json_))
    raise typer.Exit(audit_command.audit(kinds, options, console, as_json=json_))
