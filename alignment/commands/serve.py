"""`alignment serve`: a model behind an OpenAI-compatible address. serve/command.py does it."""

from typing import Annotated

import typer

from alignment.commands.options import AdaptiveFile, ModelOrRun, OneStage


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
