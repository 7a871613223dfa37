"""Stage kind sample: rejection sampling; sample completions from a policy and keep those that the rewards accept.

Neighbours: training/stages/sample.py (how it runs), recipe/kinds.py (what a kind declares).
"""

from collections.abc import Iterator
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from pydantic import Field

from alignment.core.errors import DataError
from alignment.core.vocabulary import Mode
from alignment.data.mixture import load_parts
from alignment.recipe.blocks.rewards import Reward
from alignment.recipe.blocks.sampling import Sampling
from alignment.recipe.blocks.search import SEARCHED_BY, BeamSearch, Search
from alignment.recipe.blocks.teacher import Teacher
from alignment.recipe.issue import Issue, Place
from alignment.recipe.kinds import Done, LintIntent, StageKind
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields
from alignment.training.kinds.step_scorer import step_scorer

if TYPE_CHECKING:
    from alignment.training.context import StageContext


class SampleStage(StageFields):
    """The fields of a sample stage in a recipe."""

    rollout: Sampling = Field(Sampling(), description="How completions are sampled.")
    rewards: list[Reward] = Field(min_length=1, description="The verifiers that decide which completions are accepted.")
    accept_score: float | None = Field(
        None,
        description="Smallest reward that is accepted; default: the largest that the weights allow.",
    )
    accepted_per_problem: int = Field(
        1, ge=1, description="Maximum number of accepted completions of one problem that become rows."
    )
    pass_rate: tuple[float, float] = Field(
        (0.0, 1.0), description="Drop problems whose fraction of accepted completions is outside these bounds."
    )
    search: Search | None = Field(
        None, description="Guided decoding: each completion is what a search by scores of steps finds; default: none."
    )
    teacher: Teacher | None = Field(
        None, description="The model that answers, for a student to imitate; default: the stage's policy."
    )

    @property
    def reads(self) -> list[str]:
        """The stages whose policy answers in place of its own, and whose model scores steps."""
        named = [self.teacher.stage] if self.teacher is not None else []
        named += [self.search.process.stage, self.search.process.policy_stage] if self.search is not None else []
        return [one for one in named if one is not None]


def run(context: "StageContext") -> Done:
    """Sample, judge and write the rows to output/."""
    from alignment.training.stages import sample

    if context.stage.teacher is not None:
        context = replace(context, policy_path=context.teacher_path())
    return Done(0, sample.run(context, context.folder.output))


def pinned(recipe: Recipe, index: int, stage: SampleStage) -> Iterator[Issue]:
    """A teacher that an engine loads is the newest of its hub id, and no server's."""
    if stage.teacher is not None and stage.teacher.server is not None:
        message = "of a distill stage; write `rollout: {engine: {type: vllm_server, endpoints: [...]}}` to sample from servers"
        yield Issue(("stages", index, "teacher", "server"), message)
    if stage.teacher is not None and stage.teacher.revision is not None:
        message = "engines load the newest revision of a teacher; download the commit, and write its folder as `model`"
        yield Issue(("stages", index, "teacher", "revision"), message)


def pass_rates(recipe: Recipe, index: int, stage: SampleStage) -> Iterator[Issue]:
    """The bounds of the pass rate are in order and between 0 and 1."""
    if not 0 <= stage.pass_rate[0] <= stage.pass_rate[1] <= 1:
        yield Issue(("stages", index, "pass_rate"), "is [lowest, highest] between 0 and 1, such as [0.1, 0.9]")


def search(recipe: Recipe, index: int, stage: SampleStage) -> Iterator[Issue]:
    """What scores steps is there, and answers can be searched for: in one turn, and step by step."""
    if stage.search is None:
        return
    place: Place = ("stages", index, "search")
    chosen = stage.search.process
    if any(spec.called == "process" for spec in stage.rewards):
        yield Issue(
            ("stages", index, "rewards"), "`process` is the score of the search; give the reward another `name`"
        )
    yield from step_scorer(recipe, index, chosen, (*place, "process"))
    if stage.rollout.environment.kind != "single_turn":
        found = stage.rollout.environment.kind
        yield Issue(place, f"a search answers in one turn, and the environment is {found}; leave one of the two out")
    if not isinstance(stage.search, BeamSearch):
        return
    if stage.rollout.thinking_budget.bounds_thinking:
        yield Issue(place, "beam search enforces no thinking budget; write `type: best_of`, or leave the budget out")
    named = next((other for other in recipe.stages[:index] if other.name == chosen.stage), None)
    steps = getattr(named, "steps", None) if named is not None else chosen.steps
    if steps is not None and chosen.model is None and steps.by not in SEARCHED_BY:
        yield Issue(
            (*place, "process"),
            f"steps by {steps.by} are known in a whole answer alone, and beam search samples them one at a time; write "
            f"`type: best_of`, or steps by {' or '.join(SEARCHED_BY)}",
        )


def _most_rows(stage: SampleStage) -> dict[Mode, float]:
    """Upper bound for accepted completions, by mode."""
    try:
        problems = sum(part.count or inf for part in load_parts(stage.data))
    except DataError:
        problems = inf
    accepted = problems * min(stage.accepted_per_problem, stage.rollout.generations)
    fraction = stage.rollout.thinking_fraction
    return {"thinking": accepted if fraction > 0 else 0.0, "non_thinking": accepted if fraction < 1 else 0.0}


def _work(stage: SampleStage) -> str:
    longest = stage.rollout.max_completion_tokens
    how = {"beam": ", each by beam search", "best_of": ", each the best of several"}
    return f"{stage.rollout.generations} completions per problem, at most {longest} tokens each{how[stage.search.type] if stage.search else ''}"


KIND = StageKind(
    name="sample",
    fields=SampleStage,
    sentence="rejection sampling: samples completions and keeps those that the rewards accept",
    takes="problems",
    leaves="rows",
    files="`rows.jsonl`, `preferences.jsonl`, `pass_rates.jsonl`",
    trains=False,
    work=_work,
    run=run,
    gives=("rows", "pairs"),
    policy_writes=True,
    most_rows=_most_rows,
    lint=lambda stage: LintIntent(stage.rollout.max_prompt_tokens),
    checks=(pass_rates, pinned, search),
)
