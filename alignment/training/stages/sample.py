"""Rejection sampling: draw completions from a policy, judge them, keep rows that are worth training on.

Leaves rows.jsonl (accepted conversations), preferences.jsonl (an accepted and a refused answer to the same prompt)
and pass_rates.jsonl (how often each problem was solved). Problems are worked through in chunks; a chunk that is done
is not drawn again after a kill.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from alignment.core.errors import DataError
from alignment.core.files import append_json_lines, write_json, write_json_lines
from alignment.core.progress import Progress
from alignment.data.chat.modes import with_flag
from alignment.data.mixture import load_parts
from alignment.data.rows import Conversation, Message, Preference, Problem, ToolSchema, write_rows
from alignment.inference.engine import SamplingSettings, request_seed
from alignment.inference.open_scorer import open_step_model
from alignment.lint.rows import sound_problems
from alignment.records.metrics import MetricsRow
from alignment.records.rollout import PassRate, RolloutRow, VerdictRecord
from alignment.rollout.episode import RolloutRequest
from alignment.rollout.groups import chance, group_mode
from alignment.rollout.guided import VERDICT, Found, GuidedSampler
from alignment.rollout.judgeable import refuse_unjudged
from alignment.rollout.judges import spending_counts
from alignment.rollout.references import refuse_failing
from alignment.rollout.sampler import TrajectorySampler
from alignment.rollout.scoring import Judged, Scorer
from alignment.training.context import StageContext
from rewards import NOT_APPLICABLE
from rewards.contract import split_thinking

if TYPE_CHECKING:
    from alignment.recipe.blocks.search import Search
    from alignment.training.kinds.filter_queries import FilterQueriesStage
    from alignment.training.kinds.sample import SampleStage

SEARCHED = ".searched.json"  # beside a chunk: what its searches sampled
CHUNK = 64  # problems per chunk: what a kill can lose


def run(context: StageContext, output: Path) -> int:
    """Draw, judge and write the rows; returns the tokens sampled. Raises DataError if nothing was accepted."""
    stage: SampleStage = context.stage
    problems, left_out = sound_problems(context.recipe, stage, load_parts(stage.data), context.artifact)
    context.leave_out(left_out)
    refuse_unjudged(problems, stage.rewards)
    if context.is_main:
        refuse_failing(context.recipe, stage, problems)
    context.folder.checkpoints.mkdir(parents=True, exist_ok=True)
    judged = [row for chunk in judged_chunks(context, problems) for row in chunk]
    groups: dict[str, list[RolloutRow]] = {}
    for row in judged:
        groups.setdefault(row.problem, []).append(row)
    kept = {name: rows for name, rows in groups.items() if _within(rows, stage)}
    by_id = {problem.id: problem for problem in problems}
    conversations = [made for name, rows in kept.items() for made in _conversations(by_id[name], rows, stage)]
    if not conversations:
        raise DataError(_none_accepted(judged, stage))
    output.mkdir(parents=True, exist_ok=True)
    write_rows(output / "rows.jsonl", conversations)
    pairs = write_rows(
        output / "preferences.jsonl", (pair for name, rows in kept.items() for pair in _pairs(by_id[name], rows, stage))
    )
    rates = {name: _pass_rate(rows, stage) for name, rows in groups.items()}
    write_json_lines(output / "pass_rates.jsonl", [PassRate(name, rate) for name, rate in rates.items()])
    context.counts.update(
        problems=len(groups),
        left_out_too_long=len(by_id) - len(groups),
        completions=len(judged),
        accepted=sum(is_accepted(row, stage) for row in judged),
        unknown=sum(row.reward is None for row in judged),
        rows=len(conversations),
        preferences=pairs,
        left_out_pass_rate=len(groups) - len(kept),
        mean_pass_rate=round(sum(rates.values()) / len(rates), 4),
    )
    searched = [
        json.loads(path.read_text(encoding="utf-8")) for path in context.folder.checkpoints.glob(f"*{SEARCHED}")
    ]
    if searched:
        context.counts["search_tokens"] = sum(one["tokens"] for one in searched)
    return context.counts.get("search_tokens") or sum(row.completion_tokens for row in judged)


def _none_accepted(judged: list[RolloutRow], stage: "SampleStage") -> str:
    """Why there is nothing to train on, and what to change."""
    reasons = ", ".join(sorted({verdict.reason for row in judged for verdict in row.verdicts.values()}))
    cut = sum(row.stop_reason != "end" for row in judged)
    wanted = "the full score" if stage.accept_score is None else f"accept_score {stage.accept_score:g}"
    limit = stage.rollout.max_completion_tokens
    return (
        f"none of {len(judged)} completions was accepted: {cut} were cut off at max_completion_tokens {limit}, the others did "
        f"not reach {wanted}, so there is nothing to train on; the verdicts said: {reasons}. Raise the limit where answers are "
        "cut off, or lower accept_score"
    )


def judged_chunks(context: StageContext, problems: list[Problem]) -> Iterator[list[RolloutRow]]:
    """The judged completions of each chunk, from disk where it was done before.

    The stage has `rollout`, `rewards` and `accept_score`.
    """
    draw: _Draw | None = None
    progress = Progress(context.stage.name, len(problems))
    for number, start in enumerate(range(0, len(problems), CHUNK)):
        path = context.folder.checkpoints / f"chunk-{number:06d}.jsonl"
        if not path.exists():
            draw = draw or _Draw(context)
            draw.chunk(problems[start : start + CHUNK], number, path)
        rows = list(RolloutRow.read_lines(path))
        accepted = sum(is_accepted(row, context.stage) for row in rows) / max(1, len(rows))
        progress.report(min(start + CHUNK, len(problems)), accepted=accepted)
        _record(context, rows, number, len(problems), accepted)
        yield rows
    if draw is not None:
        draw.close()


def _record(context: StageContext, rows: list[RolloutRow], number: int, problems: int, accepted: float) -> None:
    line = MetricsRow(number + 1, -(-problems // CHUNK), figures={"accepted_fraction": accepted})
    add = append_json_lines if number else write_json_lines
    add(context.folder.metrics, [line])
    add(context.folder.rollouts, rows[:: max(1, len(rows) // 8)])


class _Draw:
    """The engine and the graders of a sample stage, started when the first chunk needs them."""

    def __init__(self, context: StageContext) -> None:
        settings = context.stage.rollout
        self._context, self._settings = context, settings
        self._sampler = context.trajectory_sampler()
        self._scorer = Scorer(context.stage.rewards, context.run.judgements)
        self._guided = _guided(context, self._sampler)
        context.counts["engine"] = self._sampler.sampler.engine.name

    def chunk(self, problems: list[Problem], number: int, path: Path) -> None:
        """Sample and judge one chunk, and write it so that it is there whole or not at all."""
        seed, settings = self._context.recipe.seed, self._settings
        asked, requests = [], []
        for problem in problems:
            mode = group_mode(problem, number, seed, settings.thinking_fraction)
            flagged = _is_flagged(self._context, problem)
            if len(self._sampler.prompt_ids(problem, mode, flagged=flagged)) <= settings.max_prompt_tokens:
                asked += [problem] * settings.generations
                for generation in range(settings.generations):
                    drawn_with = request_seed("draw", seed, self._context.stage.name, problem.id, generation)
                    requests.append(RolloutRequest(problem, mode, flagged, settings.thinking_budget, drawn_with))
        sampling = SamplingSettings(settings.temperature, settings.top_p, settings.top_k)
        if self._guided is None:
            judged = self._scorer.judge(asked, self._sampler.sample(requests, sampling))
        else:
            judged = self._searched(self._guided.sample(requests, sampling), asked, path)
        write_json_lines(path, [row.row(number + 1) for row in judged])

    def _searched(self, found: list[Found], asked: list[Problem], path: Path) -> list[Judged]:
        """The answers that searches took, judged; what they sampled in all is kept beside the chunk."""
        write_json(path.with_suffix(SEARCHED), {"tokens": sum(one.tokens for one in found)})
        judged = self._scorer.judge(asked, [one.trajectory for one in found])
        return [
            self._scorer.joined(row, VERDICT, one.verdict, 0.0, None) for row, one in zip(judged, found, strict=True)
        ]

    def close(self) -> None:
        self._context.counts.update(spending_counts(self._scorer.spent_in_all(), self._scorer.judges()))
        self._scorer.close()
        self._sampler.close()
        self._sampler.sampler.engine.close()


def _guided(context: StageContext, trajectories: TrajectorySampler) -> GuidedSampler | None:
    """What searches in place of plain sampling, where the stage says so."""
    search: Search | None = getattr(context.stage, "search", None)
    if search is None:
        return None
    model = open_step_model(search.process, context.artifact, trust_remote_code=context.recipe.trust_remote_code)
    return GuidedSampler(trajectories, model, search, context.stage.rollout.max_completion_tokens)


def accept_score(stage: "SampleStage | FilterQueriesStage", verdicts: Mapping[str, VerdictRecord]) -> float:
    """The total from which a completion is accepted: the recipe's, or the highest that the weights allow its row."""
    if stage.accept_score is not None:
        return stage.accept_score
    asked = [spec for spec in stage.rewards if verdicts[spec.called].reason != NOT_APPLICABLE]
    return sum(spec.weight for spec in asked if spec.weight > 0) - 1e-9


def _is_flagged(context: StageContext, problem: Problem) -> bool:
    return chance("flag", context.recipe.seed, problem.id) < context.stage.rollout.flag_fraction


def is_accepted(row: RolloutRow, stage: "SampleStage | FilterQueriesStage") -> bool:
    """Whether a completion ended by itself and has the reward that the stage asks for; one of unknown reward has not."""
    if row.reward is None or row.stop_reason != "end":
        return False
    return row.reward >= accept_score(stage, row.verdicts)


def _pass_rate(rows: list[RolloutRow], stage: "SampleStage") -> float:
    return sum(is_accepted(row, stage) for row in rows) / len(rows)


def _within(rows: list[RolloutRow], stage: "SampleStage") -> bool:
    low, high = stage.pass_rate
    return low <= _pass_rate(rows, stage) <= high


def _prompt(problem: Problem, row: RolloutRow) -> tuple[list[Message], list[ToolSchema]]:
    """The prompt messages without flags, and the tools."""
    if row.opening is None:
        return problem.messages, problem.tools
    return [dict(one) for one in row.opening.messages], [dict(one) for one in row.opening.tools]


def _reply(row: RolloutRow) -> list[Message]:
    """The messages of the rollout: the policy's, with thinking apart, and tool results."""
    if row.messages:
        return [dict(one) for one in row.messages]
    thinking, answer = split_thinking(row.text)
    return [{"role": "assistant", "reasoning_content": thinking, "content": answer}]


def _conversations(problem: Problem, rows: list[RolloutRow], stage: "SampleStage") -> Iterator[Conversation]:
    accepted = {json.dumps(_reply(row)): row for row in rows if is_accepted(row, stage)}  # each reply once
    for index, row in enumerate(list(accepted.values())[: stage.accepted_per_problem]):
        prompt, tools = _prompt(problem, row)
        yield Conversation(f"{problem.id}#{index}", [*prompt, *_reply(row)], row.mode, problem.family, tools)


def _thinks_unasked(row: RolloutRow) -> bool:
    return row.mode == "non_thinking" and bool(split_thinking(row.text)[0])


def _pairs(problem: Problem, rows: list[RolloutRow], stage: "SampleStage") -> Iterator[Preference]:
    """At most one pair per problem: the first accepted answer over the first that was judged and refused.

    Rollouts of several turns make none: their prompts part after the first turn. Neither does one that thinks after the empty
    think block of its prompt: as an answer in a chat it would not continue that prompt.
    """
    flagged = stage.rollout.flag_fraction >= 1.0
    rows = [row for row in rows if len(_reply(row)) == 1 and (flagged or not _thinks_unasked(row))]
    chosen = next((row for row in rows if is_accepted(row, stage)), None)
    refused = (
        row for row in rows if row.reward is not None and not is_accepted(row, stage) and row.stop_reason == "end"
    )
    rejected = next(refused, None)
    if chosen is None or rejected is None or chosen.text == rejected.text:
        return
    prompt, tools = _prompt(problem, chosen)
    messages = with_flag(prompt, chosen.mode) if flagged else prompt
    (better,), (worse,) = _reply(chosen), _reply(rejected)
    yield Preference(problem.id, messages, better, worse, chosen.mode, problem.family, tools)
