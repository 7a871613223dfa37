"""One rollout under way: its environment, its turns so far, and what ended it.

An environment that fails ends its own rollout and no other: what was sampled is kept, with the fault in words, and
nobody judges it. Neighbours: sampler.py (drives many), trajectory.py (what comes of one), environments/protocol.py.
"""

from dataclasses import dataclass, field, replace

from alignment.core.vocabulary import Mode
from alignment.data.rows import Message, Problem
from alignment.inference.engine import Generation, GenerationRequest, request_seed
from alignment.recipe.blocks.sampling import ThinkingBudget
from alignment.rollout.environments.protocol import (
    Environment,
    EnvironmentFault,
    Environments,
    EnvironmentsFull,
    HoldingEnvironment,
    Opening,
    ScoringEnvironment,
)
from alignment.rollout.environments.single_turn import SingleTurn
from alignment.rollout.trajectory import Trajectory, TrajectoryEnd, joined


@dataclass(frozen=True)
class RolloutRequest:
    """One rollout to sample: a problem, the mode it is asked for in, and by what (see data/template.render_prompt)."""

    problem: Problem
    mode: Mode
    flagged: bool = False
    budget: ThinkingBudget | None = None
    seed: int = 0


@dataclass(frozen=True)
class Begun:
    """An environment that was reset, and its opening: the problem's own where it failed to."""

    opening: Opening
    environment: Environment | None
    fault: str = ""
    full: bool = False  # there was no room for it: to be begun again

    def release(self) -> None:
        """Let go of what the environment holds."""
        if isinstance(self.environment, HoldingEnvironment):
            self.environment.release()


def begin(environments: Environments, problem: Problem) -> Begun:
    """Reset a fresh environment with a problem."""
    environment: Environment | None = None
    try:
        environment = environments.new()
        return Begun(environment.reset(problem), environment)
    except EnvironmentFault as error:
        own = Opening(problem.messages, problem.tools)
        return Begun(own, environment, str(error), full=isinstance(error, EnvironmentsFull))


@dataclass
class Episode:
    """A rollout under way. ids: the prompt of the next turn. left: tokens that may still come."""

    request: RolloutRequest
    begun: Begun
    ids: list[int]
    left: int
    generations: list[Generation] = field(default_factory=list)
    said: list[tuple[list[Message], list[int]]] = field(default_factory=list)
    stopped: TrajectoryEnd | None = None  # by a limit, where the environment had more to say, or by its failure
    fault: str = ""
    reward: float | None = None

    def next_turn(self) -> GenerationRequest:
        """The request for the next turn. A first turn is drawn with the rollout's own seed."""
        asked, place = self.request, len(self.generations)
        seed = request_seed(asked.seed, "turn", place) if place else asked.seed
        return GenerationRequest(self.ids, asked.mode, asked.budget, self.left, seed)

    def step(self, turn: Message) -> list[Message]:
        """What the environment says after a turn; nothing where it is done, or where it failed."""
        if self.begun.environment is None:
            return []
        try:
            return self.begun.environment.step(turn)
        except EnvironmentFault as error:
            self._fail(str(error))
            return []

    def unanswered(self, end_token: int) -> Trajectory:
        """The trajectory of a rollout whose environment could not begin: an end that was not sampled and carries no loss."""
        self.generations = [Generation(self.next_turn(), [end_token], [0.0], [True], "end")]
        self._fail(self.begun.fault)
        self.begun.release()
        return self.trajectory()

    @property
    def ends_with_its_answer(self) -> bool:
        """Whether the environment has nothing to say, score or end: no thread is needed to ask it."""
        return isinstance(self.begun.environment, SingleTurn)

    @property
    def is_scored_or_held(self) -> bool:
        """Whether the environment has something to do after the last turn."""
        return not self.ends_with_its_answer and isinstance(
            self.begun.environment, (ScoringEnvironment, HoldingEnvironment)
        )

    def finish(self) -> None:
        """Ask the environment for its score, and let go of what it holds."""
        environment = self.begun.environment
        try:
            if isinstance(environment, ScoringEnvironment) and not self.fault:
                self.reward = environment.score()
        except EnvironmentFault as error:
            self._fail(str(error))
        finally:
            self.begun.release()

    def trajectory(self) -> Trajectory:
        """What came of it."""
        made = joined(self.begun.opening, self.generations, self.said, self.stopped)
        return replace(made, environment_reward=self.reward, fault=self.fault)

    def _fail(self, fault: str) -> None:
        self.fault, self.stopped = self.fault or fault, "fault"
