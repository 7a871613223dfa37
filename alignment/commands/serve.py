"""`alignment serve`: an OpenAI-compatible server for a model. Neighbour: serve/command.py."""

from typing import Annotated

import typer

from alignment.commands.options import AdaptiveFile, ModelOrRun, OneStage


def serve(
    model: ModelOrRun,
    stage: OneStage = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; the default is reachable from this machine only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any free one.")] = 8000,
    max_length: Annotated[
        int | None,
        typer.Option(min=16, help="Longest conversation in tokens (default: the model's; on a CPU at most 8192)."),
    ] = None,
    budget: Annotated[
        int | None, typer.Option(min=0, help="Thinking budget, in tokens, of requests that set none.")
    ] = None,
    adaptive: AdaptiveFile = None,
) -> None:
    """Serve a model to any OpenAI client. Thinking has its own field; flags and thinking budgets work."""
    from alignment.serve.command import ServeOptions, serve_policy

    serve_policy(ServeOptions(model, stage, host, port, max_length, budget, adaptive))
