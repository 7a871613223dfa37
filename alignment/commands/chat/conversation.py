"""`alignment chat`: a conversation with any stage in the terminal, in either mode, with a thinking budget, with tools.

Tool results stand between the model's turns. Neighbours: inference/start.py (the engine), rollout/sampler.py (turns and
tools), data/chat/modes.py (flags), evaluation/adaptive_budget/ (a budget for each prompt).
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from alignment.core.console import open_console
from alignment.core.machine import visible_gpus
from alignment.data.chat.modes import flagged_mode
from alignment.data.rows import Message, Problem, user_turn
from alignment.evaluation.adaptive_budget.budget import agreement_of, load_adaptive
from alignment.recipe.blocks.engine import engine_options
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.recipe.blocks.sampling import ThinkingBudget
from alignment.records.adaptive import AdaptiveBudget
from alignment.records.policies import named_policies, thinking_budget
from alignment.report.render.turns import ShownTurn, shown_turns

MAX_COMPLETION_TOKENS = 2048
SAMPLING = {"temperature": float, "top_p": float, "top_k": int}


@dataclass(frozen=True)
class Opening:
    """The options of `alignment chat` as written."""

    budget: int | None = None
    temperature: float = 0.6
    system: str | None = None
    environment: EnvironmentChoice = field(default_factory=EnvironmentChoice)  # what answers the turns, such as tools


@dataclass
class Conversation:
    """The turns so far, and the settings of the next answer; budgets and max_tokens are in tokens."""

    budget: int | None
    temperature: float
    thinking: ThinkingBudget  # the texts that enforce a budget
    max_tokens: int  # of one answer
    adaptive: AdaptiveBudget | None = None  # sets the budget if there is none
    messages: list[Message] = field(default_factory=list)

    @property
    def asked(self) -> Problem:
        """The conversation so far, as a problem for the rollout sampler."""
        return Problem("chat", self.messages, "")


def converse(path: Path, opening: Opening, *, stage: str | None, adaptive: Path | None = None) -> None:
    """Read questions from the terminal until an empty line, and answer them.

    Raises ArtifactError or EngineError if the model cannot be loaded.
    """
    policy = named_policies(path, [] if stage is None else [stage])[0]
    folder, console = policy.folder, open_console()
    fitted = None if adaptive is None else load_adaptive(adaptive)
    if fitted is not None and (warning := fitted.warning_for(policy.output_hash())):
        console.print(f"warning: {warning}", style="yellow", highlight=False)
    console.print(
        f"{folder}\n/think and /no_think set the mode, /budget N sets a budget, an empty line ends.",
        style="dim",
        highlight=False,
    )
    thinking, max_tokens = thinking_budget(path), min(MAX_COMPLETION_TOKENS, _longest(folder) // 2)
    from alignment.rollout.sampler import TrajectorySampler

    sampler = TrajectorySampler(_sampler(folder, thinking.stop_text, max_tokens), opening.environment, max_tokens)
    system = [] if opening.system is None else [{"role": "system", "content": opening.system}]
    talk = Conversation(opening.budget, opening.temperature, thinking, max_tokens, fitted, list(system))
    while True:
        try:
            line = console.input("[bold]> [/bold]").strip()
        except EOFError:
            return
        if not line:
            return
        if line.startswith("/budget"):
            number = line.removeprefix("/budget").strip()
            talk.budget = int(number) if number.isdigit() else None
            otherwise = "none" if fitted is None else "adaptive"
            console.print(f"budget: {talk.budget if talk.budget is not None else otherwise}", style="dim")
            continue
        _answer(sampler, talk, line, console)


def _answer(sampler: Any, talk: Conversation, question: str, console: Console) -> None:
    from alignment.inference.engine import SamplingSettings
    from alignment.rollout.episode import RolloutRequest

    talk.messages.append(user_turn(question))
    mode = flagged_mode(talk.messages) or "thinking"
    settings = SamplingSettings(temperature=talk.temperature, top_p=0.95, top_k=20)
    budget = talk.budget
    if budget is None and talk.adaptive is not None and mode == "thinking":
        budget = _adaptive_budget(sampler, talk, talk.adaptive)
    request = RolloutRequest(talk.asked, mode, budget=talk.thinking.at(budget), seed=len(talk.messages))
    (made,) = sampler.sample([request], settings)
    for turn in shown_turns(made.messages):
        show_turn(turn, console)
    forced = f", {made.forced_tokens} forced" if made.forced_tokens else ""
    forced += f", budget {budget}" if budget is not None else ""
    console.print(
        f"{mode}: {made.thinking_tokens} thinking tokens of {made.policy_tokens}{forced}", style="dim", highlight=False
    )
    talk.messages += made.messages


def show_turn(turn: ShownTurn, console: Console) -> None:
    """Print a turn: thinking dim, tool results in colour. Text, because output of models and tools is never markup."""
    if turn.thinking:
        console.print(Text(turn.thinking, style="dim"))
    if turn.role == "assistant":
        console.print(Text(turn.text))
    else:
        console.print(Text(f"{turn.role}: {turn.text}", style="cyan"))


def _adaptive_budget(sampler: Any, talk: Conversation, adaptive: AdaptiveBudget) -> int:
    """The budget for a prompt by its probe; the probe `agreement` first samples non-thinking answers."""
    if adaptive.probe.kind == "prompt_tokens":
        return adaptive.budget_for(len(sampler.prompt_ids(talk.asked, "thinking")))
    from alignment.inference.engine import GenerationRequest, SamplingSettings

    plain = sampler.prompt_ids(talk.asked, "non_thinking")
    first = len(talk.messages) << 16
    requests = [
        GenerationRequest(plain, "non_thinking", max_tokens=talk.max_tokens, seed=first + number)
        for number in range(adaptive.probe.samples)
    ]
    settings = SamplingSettings(**{name: type_(adaptive.probe.sampling[name]) for name, type_ in SAMPLING.items()
                                   if name in adaptive.probe.sampling})  # fmt: skip
    drawn = sampler.sampler.sample(requests, settings)
    return adaptive.budget_for(agreement_of([made.text for made in drawn]))


def _longest(folder: Path) -> int:
    """The model's context length in tokens, at most 8,192."""
    from transformers import AutoConfig

    return min(8192, int(getattr(AutoConfig.from_pretrained(folder), "max_position_embeddings", 4096)))


def _sampler(folder: Path, stop_text: str, max_tokens: int) -> Any:
    from transformers.utils.logging import disable_progress_bar

    from alignment.inference.start import Serving, serve

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    disable_progress_bar()  # a progress bar would run into the conversation
    # For a single user without a GPU, vLLM's start-up costs more than it saves.
    engine = engine_options("auto" if visible_gpus() else "transformers")
    return serve(str(folder), Serving(engine, _longest(folder) - max_tokens, max_tokens, stop_text))
