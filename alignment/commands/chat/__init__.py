"""`alignment chat`: talk to a model in a terminal. Neighbour: conversation.py (does it)."""

from typing import Annotated

import typer

from alignment.commands.options import AdaptiveFile, ModelOrRun, OneStage


def chat(
    model: ModelOrRun,
    stage: OneStage = None,
    budget: Annotated[int | None, typer.Option(help="Thinking tokens after which the answer is asked for.")] = None,
    temperature: Annotated[float, typer.Option(help="Sampling temperature; 0 is greedy.")] = 0.6,
    adaptive: AdaptiveFile = None,
) -> None:
    """Talk to a model. `/think` and `/no_think` switch the mode, `/budget N` sets a budget, an empty line ends."""
    from alignment.commands.chat.conversation import converse

    converse(model, stage=stage, budget=budget, temperature=temperature, adaptive=adaptive)
