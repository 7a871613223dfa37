"""What came of one rollout: its turns, its tokens, and which of them the policy sampled itself.

It is what verifiers, metrics, rollouts.jsonl and TRL get. Tokens are kept as they were sampled, over all turns: nothing
is decoded and encoded again. Neighbours: sampler.py (makes them), scoring.py (judges them).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from alignment.core.vocabulary import Mode
from alignment.data.rows import Message
from alignment.inference.engine import Generation, Spans, spans_joined
from alignment.recipe.blocks.sampling import ThinkingBudget
from alignment.rollout.environments.calls import as_message
from alignment.rollout.environments.protocol import Opening

# end: the environment was done. length: the tokens ran out. turns: the turns did, and the environment had more to say.
# fault: the environment failed.
TrajectoryEnd = Literal["end", "length", "turns", "fault"]


@dataclass(frozen=True)
class Turn:
    """One turn after the first prompt, and where its tokens are: `token_ids[start:end]` of its trajectory.

    text is an assistant turn as it was sampled, with its thinking and calls, without the end-of-turn token; of other turns,
    their content. Turns that the environment says together share their span, which ends with the header of the answer.
    """

    message: Message
    text: str
    start: int
    end: int

    @property
    def role(self) -> str:
        """Who speaks: assistant, tool or user."""
        return str(self.message["role"])


@dataclass(frozen=True)
class Trajectory:
    """One rollout. opening is what it began with: the messages of the first prompt, and the tools that it offered.

    token_ids, logprobs and loss_mask have one entry for each token after the first prompt.

    loss_mask is true where the policy sampled the token; forced text (a thinking budget's) and what the environment said
    carry no loss, and their log-probs (nats) are 0 and mean nothing. versions: the weights of each span of tokens, as
    Generation has them.
    """

    opening: Opening
    prompt_ids: list[int]
    turns: tuple[Turn, ...]
    token_ids: list[int]
    logprobs: list[float]
    loss_mask: list[bool]
    mode: Mode
    budget: ThinkingBudget | None
    stop_reason: TrajectoryEnd
    thinking_tokens: int  # over all turns
    versions: Spans = ()
    environment_reward: float | None = None  # the environment's own score of the rollout, where it gives one
    fault: str = ""  # of the environment, in words; such a rollout is not judged

    @property
    def text(self) -> str:
        """The policy's last turn as it was sampled: what an answer is read from."""
        return self.assistant_turns[-1].text if self.assistant_turns else ""

    @property
    def messages(self) -> list[Message]:
        """Everything after the prompt as chat messages, with structured tool calls."""
        return [turn.message for turn in self.turns]

    @property
    def several_messages(self) -> tuple[Message, ...]:
        """The messages of a rollout of several turns, as records keep them; empty for a single turn."""
        return tuple(self.messages) if len(self.turns) > 1 else ()

    @property
    def assistant_turns(self) -> list[Turn]:
        """The turns that the policy took."""
        return [turn for turn in self.turns if turn.role == "assistant"]

    @property
    def forced(self) -> list[bool]:
        """Which tokens the policy did not sample."""
        return [not sampled for sampled in self.loss_mask]

    @property
    def forced_tokens(self) -> int:
        """Tokens of the policy's own turns that were written in its place."""
        return sum(not sampled for turn in self.assistant_turns for sampled in self.loss_mask[turn.start : turn.end])

    @property
    def policy_tokens(self) -> int:
        """Tokens of the policy's turns, forced ones included."""
        return sum(turn.end - turn.start for turn in self.assistant_turns)

    @property
    def answer_tokens(self) -> int:
        """Tokens of the policy's turns that are not thinking."""
        return self.policy_tokens - self.thinking_tokens


def one_turn(opening: Opening, generation: Generation) -> Trajectory:
    """The trajectory of a single answer."""
    return joined(opening, [generation], [])


def joined(
    opening: Opening,
    generations: Sequence[Generation],
    said: Sequence[tuple[list[Message], list[int]]],
    stop_reason: TrajectoryEnd | None = None,
) -> Trajectory:
    """Turn after turn as one trajectory.

    said: after each generation but the last, the environment's messages and the tokens that they were rendered to.
    stop_reason: where the environment failed, or had more to say than a limit let it; else the last generation's.
    """
    first, last = generations[0], generations[-1]
    turns: list[Turn] = []
    ids: list[int] = []
    logprobs: list[float] = []
    mask: list[bool] = []
    versions: Spans = ()
    for place, made in enumerate(generations):
        turns.append(Turn(as_message(made.text), made.text, len(ids), len(ids) + len(made.token_ids)))
        versions = spans_joined(versions, len(ids), made.versions)
        ids += made.token_ids
        logprobs += made.logprobs
        mask += [not forced for forced in made.forced]
        if place < len(said):
            messages, between = said[place]
            span = (len(ids), len(ids) + len(between))
            turns += [Turn(message, str(message.get("content") or ""), *span) for message in messages]
            ids += between
            logprobs += [0.0] * len(between)
            mask += [False] * len(between)
    return Trajectory(
        opening=opening,
        prompt_ids=first.request.prompt_ids,
        turns=tuple(turns),
        token_ids=ids,
        logprobs=logprobs,
        loss_mask=mask,
        mode=first.request.mode,
        budget=first.request.budget,
        stop_reason=stop_reason or last.stop_reason,
        thinking_tokens=sum(made.thinking_tokens for made in generations),
        versions=versions,
    )
