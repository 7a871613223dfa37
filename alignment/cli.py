"""The command line: `alignment COMMAND ...`, or `python -m alignment.cli COMMAND ...`. `--help` lists the commands.

Each command is a function in a file or folder of commands/. It imports what it needs when it is called, so that `--help` and
`check` are fast. A new command is one file there and one line here.
"""

import sys

import typer

from alignment.commands import (
    adapt,
    audit,
    budget,
    chat,
    check,
    compare,
    data,
    doctor,
    evaluate,
    export,
    join,
    launch,
    lint,
    merge,
    mixture,
    model,
    plan,
    processbench,
    report,
    rows,
    run,
    serve,
    show,
)
from alignment.core.entry import PREFIX, errors_in_words

COMMANDS = (
    check.check,
    plan.plan,
    data.data,
    lint.lint,
    rows.rows,
    mixture.mixture,
    run.run,
    launch.launch,
    join.join,
    show.show,
    report.report,
    evaluate.evaluate,
    compare.compare,
    budget.budget,
    processbench.processbench,
    adapt.adapt,
    chat.chat,
    serve.serve,
    audit.audit,
    doctor.doctor,
    merge.merge,
    export.export,
)

app = typer.Typer(
    name="alignment",
    help="Take an open-weights model through the four-stage thinking pipeline, and see after every stage what was gained and lost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich's Markdown would take half of the start-up time
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(model.app, name="model", help="Inspect a model folder, or convert a packaged model.")


def main() -> None:
    """The console script. Errors meant for the user are printed without a traceback."""
    try:
        with errors_in_words(_as_printed):
            app()
    except KeyboardInterrupt:
        print("interrupted; run the same command again to resume", file=sys.stderr)
        raise SystemExit(130) from None


def _as_printed(error: Exception) -> str:
    """One line with its prefix; several, such as the issues of a recipe, as they are."""
    text = str(error)
    return text if "\n" in text else f"{PREFIX}{text}"


if __name__ == "__main__":
    main()
