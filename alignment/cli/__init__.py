"""The command line, one function a command. `alignment --help` lists them.

Every command is a screen at most and calls into one module; heavy imports happen inside the commands that need them,
so that `--help` and `check` answer at once.
"""

import sys

import typer

from alignment.cli import making, measuring, using
from alignment.core.errors import AlignmentError

app = typer.Typer(
    name="alignment",
    help="Take an open-weights model through the four-stage thinking pipeline, and see after every stage what was gained and lost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich's Markdown and emoji tables would be half of the start
)
for command in (
    making.check, making.lint, making.run, making.show, making.report,
    measuring.evaluate, measuring.budget, measuring.adapt,
    using.chat, using.serve, measuring.audit, using.doctor, using.model,
):  # fmt: skip
    app.command()(command)


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
