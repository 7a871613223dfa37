"""Think-follow over several turns: conversations with random flags, every turn answered by the policy itself.

After ThinkFollow of the Qwen3 report (arXiv 2505.09388, Table 22): user turns carry `/think`, `/no_think` or nothing,
the last flag wins, and without any the policy thinks. Its own earlier answers stand in the history, without their
thinking where the template strips it. Conversations run in parallel, one turn of all of them at a time. Neighbours:
evaluation/answering.py (single questions), data/chat/modes.py (which flag counts).
"""

import itertools
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from alignment.core.progress import Progress
from alignment.core.statistics.estimate import Estimate
from alignment.core.statistics.intervals import Cluster, fraction_estimate
from alignment.core.vocabulary import MODES, Mode
from alignment.data.chat.modes import FLAGS, flagged_mode, with_flag
from alignment.data.chat.template import inert, render_prompt
from alignment.data.rows import Message, Problem, ToolSchema
from alignment.evaluation.answering import CHUNK, completed
from alignment.evaluation.outcomes import fraction
from alignment.inference.engine import GenerationRequest, request_seed
from alignment.inference.sampler import Sampler
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.records.follow import FollowFigures, FollowGroup, FollowTurn
from rewards.contract import split_thinking
from rewards.kinds.think_format import follows_mode

KEPT_CONVERSATIONS = 8


@dataclass(frozen=True)
class Plan:
    """What is asked in one conversation: a problem for each turn, and its flag or None.

    The conversation opens with the first system turn of its problems, and offers the tools of all of them. A problem
    with earlier exchanges brings these along.
    """

    problems: tuple[Problem, ...]
    flags: tuple[Mode | None, ...]

    @property
    def opening(self) -> list[Message]:
        """The system turn, or nothing."""
        return [turn for problem in self.problems for turn in problem.messages if turn["role"] == "system"][:1]

    @property
    def tools(self) -> list[ToolSchema]:
        """Every tool of the problems once."""
        offered = {json.dumps(tool, sort_keys=True): tool for problem in self.problems for tool in problem.tools}
        return list(offered.values())

    def turns(self, position: int) -> list[Message]:
        """The messages of the problem at a position, without its system turn."""
        return [turn for turn in self.problems[position].messages if turn["role"] != "system"]


@dataclass(frozen=True)
class Turn:
    """One answered turn. `before` is the mode that the conversation's last answered turn asked for, None at the first."""

    position: int  # from 1
    flag: Mode | None
    asked: Mode
    asked_by: str  # /think, /no_think, carried (an earlier flag is in force) or default (there was none)
    before: Mode | None
    text: str
    obeyed: bool


@dataclass
class Conversation:
    """A plan on its way: what was said so far, and what became of each turn.

    rounds: the messages of each answered turn and of the one that is asked, the oldest first.
    """

    plan: Plan
    rounds: list[list[Message]] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    trimmed: int = 0  # turns asked without the oldest part of their history, which did not fit
    left_out: int = 0  # turns that were too long by themselves

    @property
    def messages(self) -> list[Message]:
        """The conversation as the policy is shown it."""
        return [*self.plan.opening, *itertools.chain.from_iterable(self.rounds)]


def plan_conversations(problems: Sequence[Problem], count: int, turns: int, seed: int) -> list[Plan]:
    """`count` conversations on these problems, the same ones for the same seed; a flag is as likely as another or none."""
    draw = random.Random(f"conversations:{seed}")
    flags: tuple[Mode | None, ...] = (*MODES, None)
    return [
        Plan(
            tuple(draw.sample(problems, turns) if len(problems) >= turns else draw.choices(problems, k=turns)),
            tuple(draw.choice(flags) for _ in range(turns)),
        )
        for _ in range(count)
    ]


def converse(
    sampler: Sampler, settings: Evaluations, plans: Sequence[Plan], seed: int, work: str
) -> list[Conversation]:
    """Hold every conversation to its end, with progress under the name of the work."""
    talks = [Conversation(plan) for plan in plans]
    turns = max((len(plan.problems) for plan in plans), default=0)
    progress = Progress(work, sum(len(plan.problems) for plan in plans))
    for position in range(turns):
        waiting = [(talk, *shown) for talk in talks if (shown := _ask(sampler, settings, talk, position)) is not None]
        requests = [
            GenerationRequest(
                ids,
                asked,
                settings.thinking_budget,
                settings.max_completion_tokens,
                request_seed("conversations", seed, position, place),
            )
            for place, (_, ids, asked) in enumerate(waiting)
        ]
        finished = completed(sampler, settings, requests)
        while batch := list(itertools.islice(finished, CHUNK)):
            for index, made in batch:
                talk, _, asked = waiting[index]
                _answer(sampler, talk, position, asked, made.text)
            held = [turn.obeyed for talk in talks for turn in talk.turns]
            progress.report(len(held) + sum(talk.left_out for talk in talks), obeyed=fraction(held))
    return talks


def _ask(sampler: Sampler, settings: Evaluations, talk: Conversation, position: int) -> tuple[list[int], Mode] | None:
    """Say the next user turn: the prompt's tokens and the mode that it asks for, or None where it cannot be asked.

    A history that is too long loses its oldest turns. What is asked is what the policy is shown: a flag that was cut
    away with its turn asks for nothing any more.
    """
    flag = talk.plan.flags[position]
    said = talk.plan.turns(position)
    rounds = [*talk.rounds, said if flag is None else with_flag(said, flag)]
    for start in range(len(rounds)):
        messages = [*talk.plan.opening, *itertools.chain.from_iterable(rounds[start:])]
        ids = render_prompt(sampler.tokenizer, messages, "thinking", flagged=False, tools=talk.plan.tools)
        if len(ids) <= settings.max_prompt_tokens:
            talk.rounds = rounds[start:]
            talk.trimmed += start > 0
            return ids, flagged_mode(talk.messages) or "thinking"
    talk.left_out += 1
    return None


def _answer(sampler: Sampler, talk: Conversation, position: int, asked: Mode, text: str) -> None:
    flag = talk.plan.flags[position]
    carried = flag is None and flagged_mode(talk.messages) is not None
    before = talk.turns[-1].asked if talk.turns else None
    asked_by = FLAGS[flag] if flag is not None else "carried" if carried else "default"
    talk.turns.append(Turn(position + 1, flag, asked, asked_by, before, text, follows_mode(text, asked)))
    thinking, answer = split_thinking(text)
    said = {"role": "assistant", "reasoning_content": thinking, "content": inert(answer, sampler.tokenizer)}
    talk.rounds[-1] = [*talk.rounds[-1], said]


def follow_figures(talks: Sequence[Conversation]) -> FollowFigures:
    """The fraction of turns that obeyed, overall and in groups; intervals over conversations.

    `asked_thinking_fraction` is what a policy that always thinks would score.
    """
    turns = [turn for talk in talks for turn in talk.turns]
    count, obeyed = _obeyed(talk.turns for talk in talks)
    return FollowFigures(
        conversations=len(talks),
        turns=max((len(talk.plan.problems) for talk in talks), default=0),
        count=count,
        obeyed=obeyed,
        asked_thinking_fraction=fraction([turn.asked == "thinking" for turn in turns]),
        whole_fraction=fraction([all(turn.obeyed for turn in talk.turns) for talk in talks if talk.turns]),
        trimmed=sum(talk.trimmed for talk in talks),
        left_out=sum(talk.left_out for talk in talks),
        groups=tuple(_groups(talks)),
    )


def follow_samples(talks: Sequence[Conversation]) -> tuple[tuple[FollowTurn, ...], ...]:
    """The first conversations in full, for a reader."""
    return tuple(map(_sample, talks[:KEPT_CONVERSATIONS]))


GROUPS: dict[str, Callable[[Turn], str | None]] = {
    "position": lambda turn: str(turn.position),
    "switch": lambda turn: None if turn.before is None else "same" if turn.before == turn.asked else "changed",
    "asked_by": lambda turn: turn.asked_by,
    "mode": lambda turn: turn.asked,
}


def _groups(talks: Sequence[Conversation]) -> Iterator[FollowGroup]:
    """Obedience by position, by whether the mode changed, by what asked for it, and by the mode itself."""
    for name, value_of in GROUPS.items():
        found = {value_of(turn) for talk in talks for turn in talk.turns}
        for value in sorted(value for value in found if value is not None):
            chosen = ([turn for turn in talk.turns if value_of(turn) == value] for talk in talks)
            yield FollowGroup(name, value, *_obeyed(chosen))


def _obeyed(talks: Iterable[Sequence[Turn]]) -> tuple[int, Estimate]:
    """How many turns, and the fraction that obeyed. Turns of one conversation are not independent, so a conversation is one cluster."""
    clusters: list[Cluster] = [(float(sum(turn.obeyed for turn in turns)), len(turns)) for turns in talks if turns]
    return sum(size for _, size in clusters), fraction_estimate(clusters)


def _sample(talk: Conversation) -> tuple[FollowTurn, ...]:
    return tuple(
        FollowTurn(
            position=turn.position,
            question=talk.plan.problems[turn.position - 1].question,
            flag=None if turn.flag is None else FLAGS[turn.flag],
            asked=turn.asked,
            text=turn.text,
            obeyed=turn.obeyed,
        )
        for turn in talk.turns
    )
