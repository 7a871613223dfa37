"""The command line: `alignment COMMAND ...`, or `python -m alignment.cli COMMAND ...`. `--help` lists the commands.

Each command is a file or a folder of commands/ with a function of its name. A command imports what it works with when it
is called, so that `--help` and `check` answer at once. Adding one is one file there and one line here.
"""

import sys

import typer

from alignment.commands import (
    adapt,
    audit,
    budget,
    chat,
    check,
    doctor,
    evaluate,
    lint,
    model,
    report,
    run,
    serve,
    show,
)
from alignment.core.entry import PREFIX, errors_in_words

COMMANDS = (
    check.check,
    lint.lint,
    run.run,
    show.show,
    report.report,
    evaluate.evaluate,
    budget.budget,
    adapt.adapt,
    chat.chat,
    serve.serve,
    audit.audit,
    doctor.doctor,
    model.model,
)

app = typer.Typer(
    name="alignment",
    help="Take an open-weights model through the four-stage thinking pipeline, and see after every stage what was gained and lost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich's Markdown and emoji tables would be half of the start
)
for command in COMMANDS:
    app.command()(command)


def main() -> None:
    """The console script. Errors meant for the user are printed without a traceback."""
    try:
        with errors_in_words(_as_printed):
            app()
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None


def _as_printed(error: Exception) -> str:
    """One line with its prefix; several, such as the issues of a recipe, as they are."""
    text = str(error)
    return text if "\n" in text else f"{PREFIX}{text}"


if __name__ == "__main__":
    main()
