"""`alignment chat`: a conversation with a model in the terminal. Neighbour: conversation.py (the work)."""

from typing import Annotated

import typer

from alignment.commands.options import AdaptiveFile, ModelOrRun, OneStage, Tools


def chat(
    model: ModelOrRun,
    stage: OneStage = None,
    budget: Annotated[int | None, typer.Option(help="Thinking budget in tokens (default: none).")] = None,
    temperature: Annotated[float, typer.Option(help="Sampling temperature; 0 is greedy.")] = 0.6,
    adaptive: AdaptiveFile = None,
    system: Annotated[str | None, typer.Option(help="A system turn that the conversation opens with.")] = None,
    tools: Tools = "",
) -> None:
    """Talk to a model. `/think` and `/no_think` set the mode, `/budget N` sets a budget, an empty line ends."""
    from alignment.commands.chat.conversation import Opening, converse
    from alignment.rollout.environments.registry import with_tools

    opening = Opening(budget, temperature, system, with_tools(tools))
    converse(model, opening, stage=stage, adaptive=adaptive)
