"""Runs a step_labels stage: samples solutions, judges them, and labels their steps, chunk by chunk.

Leaves rows.jsonl of Stepwise rows. A chunk that is done is not labelled again after a kill. Neighbours:
training/kinds/step_labels.py (declares the kind), data_factory/step_labels/ (the methods).
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alignment.core.errors import DataError
from alignment.core.files import append_json_lines, write_json, write_json_lines
from alignment.core.progress import Progress
from alignment.data.mixture import load_parts, problems_of
from alignment.data.rows import Problem, Stepwise, read_rows, write_rows
from alignment.data.sources.rows import LeftOut
from alignment.data.steps.definition import StepRule, faults_of, thinking_steps
from alignment.data_factory.step_labels.counts import Counts
from alignment.data_factory.step_labels.judge import TOO_LONG
from alignment.data_factory.step_labels.methods import Labelled, Labeller, named, spent_by, step_judges
from alignment.data_factory.step_labels.prefixes import Prefixes, Trace, with_reached
from alignment.data_factory.step_labels.states import StepStates
from alignment.inference.engine import SamplingSettings, request_seed
from alignment.records.metrics import MetricsRow
from alignment.rollout.episode import RolloutRequest
from alignment.rollout.groups import chance, group_mode
from alignment.rollout.judgeable import refuse_unjudged
from alignment.rollout.judges import spending_counts
from alignment.rollout.references import refuse_failing
from alignment.rollout.scoring import Judged, Scorer
from alignment.training.context import StageContext
from rewards import NOT_APPLICABLE

if TYPE_CHECKING:
    from alignment.training.kinds.step_labels import StepLabelsStage

CHUNK = 64  # problems per chunk: what a kill can lose


@dataclass
class _Stage:
    """Engine, graders and method of a step_labels stage."""

    context: StageContext
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        stage: StepLabelsStage = self.context.stage
        self.stage, self.rule = stage, StepRule(stage.steps.by, stage.steps.marker)
        self.trajectories, self.scorer = (
            self.context.trajectory_sampler(),
            Scorer(stage.rewards, self.context.run.judgements),
        )
        self.sampling = SamplingSettings(stage.rollout.temperature, stage.rollout.top_p, stage.rollout.top_k)
        sampler = self.trajectories.sampler
        self.prefixes = Prefixes(
            sampler, self.scorer, self.sampling, stage.rollout.max_completion_tokens, self.is_right
        )
        kept = judgements_file(self.context)
        self.labeller = Labeller(stage.method, self.prefixes, self.context.recipe.seed, kept)
        runs = next((one for one in stage.rewards if one.kind == "python_tests"), None)
        self.states = StepStates(runs) if stage.state and runs is not None else None
        self.context.counts["engine"] = sampler.engine.name

    def is_right(self, judged: Judged) -> bool | None:
        """Whether a completion ended by itself with a full reward; None where that is not known."""
        if judged.trajectory.stop_reason != "end":
            return False
        if judged.total is None:
            return None
        asked = [
            spec for spec in self.stage.rewards if judged.verdicts[spec.name or spec.kind].reason != NOT_APPLICABLE
        ]
        return judged.total >= sum(spec.weight for spec in asked if spec.weight > 0) - 1e-9

    def chunk(self, problems: Sequence[Problem], number: int, path: Path) -> None:
        """Label a chunk and write its rows, and then their counts: where those are, the chunk is whole."""
        rows, counts = self.label(problems, number)
        write_rows(path, rows)
        write_json(path.with_suffix(".json"), asdict(counts))

    def label(self, problems: Sequence[Problem], number: int) -> tuple[list[Stepwise], Counts]:
        """The labelled rows of a chunk."""
        counts = Counts()
        traces = self._with_states(list(self._kept(self._sampled(problems, number, counts), counts)))
        started = time.monotonic()
        before = asdict(self.prefixes.cost)
        found = self.labeller.labels(traces)
        counts.seconds_labelling = round(time.monotonic() - started, 2)
        counts.label_completions = self.prefixes.cost.completions - before["completions"]
        counts.label_tokens = self.prefixes.cost.tokens - before["tokens"]
        rows = list(_rows(traces, found, counts))
        counts.labels = sum(label is not None for row in rows for label in row.labels)
        counts.wrong_labels = sum(row.first_error is not None for row in rows)
        counts.states = sum(state is not None for row in rows for state in row.states)
        counts.unparsed_programs = sum(self.rule.unparsed(one.judged.trajectory.text) for one in traces)
        counts.odd_steps = sum(bool(faults_of(row.steps)) for row in rows)
        return rows, counts

    def _with_states(self, traces: list[Trace]) -> list[Trace]:
        """The traces with the values of their programs' names after each step, if the stage asks for them."""
        if self.states is None:
            return traces
        found = self.states.of(
            [(one.judged.trajectory.text, one.steps, one.judged.problem.columns.get("tests")) for one in traces]
        )
        return [replace(one, states=states) for one, states in zip(traces, found, strict=True)]

    def _sampled(self, problems: Sequence[Problem], number: int, counts: Counts) -> list[Judged]:
        settings, recipe = self.stage.rollout, self.context.recipe
        asked, requests = [], []
        for problem in problems:
            mode = group_mode(problem, number, recipe.seed, settings.thinking_fraction)
            flagged = chance("flag", recipe.seed, problem.id) < settings.flag_fraction
            if len(self.trajectories.prompt_ids(problem, mode, flagged=flagged)) > settings.max_prompt_tokens:
                continue
            for generation in range(settings.generations):
                seed = request_seed("draw", recipe.seed, self.stage.name, problem.id, generation)
                asked.append(problem)
                requests.append(RolloutRequest(problem, mode, flagged, None, seed))
        made = self.trajectories.sample(requests, self.sampling)
        counts.solutions, counts.sampled_tokens = len(made), sum(len(one.token_ids) for one in made)
        return self.scorer.judge(asked, made)

    def _kept(self, judged: Sequence[Judged], counts: Counts) -> Iterator[Trace]:
        """The solutions to label, each text of a problem once; what is left out is counted."""
        sampler, usable = self.trajectories.sampler, list[Trace]()
        for one in judged:
            right = self.is_right(one)
            counts.right += bool(right)
            if right is None or one.trajectory.stop_reason != "end":
                counts.left_out_unfinished += 1
            else:
                usable.append(Trace.of(one, self.rule, sampler, right=right))
        solved = {one.judged.problem.id for one in usable if one.right}
        seen: set[tuple[str, str]] = set()
        for place, trace in enumerate(with_reached(usable)):
            problem, text = trace.judged.problem.id, trace.judged.trajectory.text
            lot = chance("right", self.context.recipe.seed, problem, place)
            if problem not in solved:
                counts.left_out_unsolved += 1
            elif trace.right and lot >= self.stage.keep_right_fraction:
                counts.left_out_right += 1
            elif not trace.steps:
                counts.left_out_few_steps += 1
            elif (problem, text) not in seen:
                seen.add((problem, text))
                yield trace

    def close(self) -> None:
        """Close graders, sandbox and engine, and count what judges were asked, of answers and of steps."""
        models = {**self.scorer.judges(), **self.labeller.judges()}
        self.context.counts.update(spending_counts(self.scorer.spent_in_all() + self.labeller.spent_in_all(), models))
        if self.states is not None:
            self.states.close()
        self.scorer.close()
        self.trajectories.close()
        self.trajectories.sampler.engine.close()


def run(context: StageContext, output: Path) -> int:
    """Sample and label; returns the tokens sampled. Raises DataError if no row has a label."""
    stage: StepLabelsStage = context.stage
    left_out: list[LeftOut] = []
    problems = problems_of(context.recipe, load_parts(stage.data), left_out, context.artifact)
    context.leave_out(left_out)
    refuse_unjudged(problems, stage.rewards)
    refuse_failing(context.recipe, stage, problems)
    context.folder.checkpoints.mkdir(parents=True, exist_ok=True)
    total, rows = Counts(), list[Stepwise]()
    for found, counts in _chunks(context, problems):
        rows += found
        total.add(counts)
    if not rows:
        raise DataError(
            f"none of {total.solutions} solutions got a label, so there is nothing to train on: {asdict(total)}"
        )
    output.mkdir(parents=True, exist_ok=True)
    write_rows(output / "rows.jsonl", rows)
    per_label = {
        "tokens_per_label": round(total.label_tokens / total.labels, 2),
        "seconds_per_label": round(total.seconds_labelling / total.labels, 5),
    }
    context.counts.update(rows=len(rows), **asdict(total), **per_label)
    judges = step_judges(stage.method, judgements_file(context))
    # Where all chunks were done before, nobody has counted them.
    context.counts.update({**spending_counts(spent_by(judges), named(judges)), **context.counts})
    return total.sampled_tokens + total.label_tokens


def _chunks(context: StageContext, problems: list[Problem]) -> Iterator[tuple[list[Stepwise], Counts]]:
    """The labelled rows of each chunk, from disk where it was done before."""
    worker: _Stage | None = None
    progress = Progress(context.stage.name, len(problems))
    for number, start in enumerate(range(0, len(problems), CHUNK)):
        path = context.folder.checkpoints / f"chunk-{number:06d}.jsonl"
        cost = path.with_suffix(".json")
        if not cost.exists():
            worker = worker or _Stage(context)
            worker.chunk(problems[start : start + CHUNK], number, path)
        found = [row for row in read_rows(path, "stepwise") if isinstance(row, Stepwise)]
        counts = Counts(**json.loads(cost.read_text(encoding="utf-8")))
        figures = {"labels": float(counts.labels), "label_tokens": float(counts.label_tokens)}
        line = MetricsRow(number + 1, -(-len(problems) // CHUNK), figures=figures)
        (append_json_lines if number else write_json_lines)(context.folder.metrics, [line])
        progress.report(min(start + CHUNK, len(problems)), labels=counts.labels)
        yield found, counts
    if worker is not None:
        worker.close()


def judgements_file(context: StageContext) -> Path:
    """The file that keeps what a judge said of the stage's solutions, and what that cost."""
    return context.run.judgements / f"{context.stage.name}.jsonl"


def _rows(traces: Sequence[Trace], found: Sequence[Labelled], counts: Counts) -> Iterator[Stepwise]:
    for place, (trace, labelled) in enumerate(zip(traces, found, strict=True)):
        counts.left_out_disagreeing += labelled.disagrees
        unknown = not labelled.labels.known and not labelled.disagrees
        counts.left_out_unknown += unknown and not labelled.reason
        counts.left_out_too_long += unknown and labelled.reason == TOO_LONG
        counts.left_out_unanswered += unknown and labelled.reason not in ("", TOO_LONG)
        if not labelled.labels.known or labelled.disagrees:
            continue
        problem = trace.judged.problem
        yield Stepwise(
            id=f"{problem.id}#{place}",
            prompt=[dict(one) for one in trace.judged.trajectory.opening.messages],
            steps=[step.text for step in trace.steps],
            labels=labelled.labels.labels,
            answer=problem.answer,
            outcome=float(trace.right),
            family=problem.family,
            rationale=labelled.rationale,
            thinking_steps=thinking_steps(trace.judged.trajectory.text, trace.steps),
            states=list(trace.states),
        )
