"""The process that measures a process reward model: `python -m alignment.evaluation.process.job WORK --output FILE`.

`alignment processbench` starts it, in the environment that engines need. Neighbours: measure.py, candidates.py.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from alignment.core.entry import run_child
from alignment.core.errors import DataError
from alignment.core.precision import resolved
from alignment.data.generators.corrupted import corrupted
from alignment.data.rows import Stepwise
from alignment.data.steps.definition import StepRule
from alignment.data.tables.step_forms import read_steps
from alignment.evaluation.answering import Evaluator
from alignment.evaluation.process.candidates import answers_auc, candidates
from alignment.evaluation.process.guided import searched_answers
from alignment.evaluation.process.measure import BenchSettings, best_of, measure_judge, measure_model
from alignment.evaluation.process.work import ProcessWork
from alignment.evaluation.task import task_problems
from alignment.inference.generative_verifier import GenerativeVerifier
from alignment.inference.process_model import ProcessModel, StepModel
from alignment.inference.reward_model import RewardModel
from alignment.inference.step_logprobs import PolicyLogprobs
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.recipe.blocks.search import BeamSearch
from alignment.recipe.blocks.steps import JudgedSteps


def main(
    work: Annotated[Path, typer.Argument(help="The file that says what is to be measured.")],
    output: Annotated[Path, typer.Option(help="The file for the figures.")],
) -> None:
    """Measure one process reward model and write process.json."""
    run(ProcessWork.read(work), output)


def run(work: ProcessWork, output: Path) -> None:
    """Measure and write. Raises DataError for files without usable rows."""
    subsets = {Path(name).stem: rows_of(Path(name)) for name in work.files}
    for task in work.tasks:
        problems = task_problems(task, work.count, work.seed, parameters={})
        if planted := list(corrupted(problems, work.seed)):
            subsets[f"corrupted {task}"] = planted
    if not any(subsets.values()) and work.policy is None:
        raise DataError(
            f"no worked solution of {', '.join(work.tasks)} is a chain in which an error can be planted; write --data FILE with "
            "step labels, or --policy, whose answers are then told apart"
        )
    if work.judge is not None:
        measure_judge(JudgedSteps.model_validate({"type": "llm_judge", **work.judge}), subsets).write(output)
        return
    model = _model(work)
    record = measure_model(model, subsets, _settings(work))
    record = replace(record, model=work.name, precision=resolved(work.precision, on_gpu=torch.cuda.is_available()))
    if work.policy is not None:
        settings = Evaluations.model_validate(work.settings)
        evaluator = Evaluator(settings, work.policy, "best of N", trust_remote_code=work.trust_remote_code)
        problems = [one for task in work.tasks for one in task_problems(task, work.count, work.seed, parameters={})]
        problems = evaluator.fitting(problems)
        outcome = RewardModel(work.outcome, trust_remote_code=work.trust_remote_code) if work.outcome else None
        found = candidates(evaluator, model, problems, work.samples, "thinking", work.seed, outcome)
        curve = best_of(found, work.seed, work.aggregate)
        record = replace(record, best_of=curve, answers_auc=answers_auc(found, work.aggregate))
        if outcome is not None:
            unscored = sum(one.outcome is None for answers in found for one in answers)
            record = replace(record, outcome_model=work.outcome_name or work.outcome, outcome_unscored=unscored)
        if work.beams:
            searched = searched_answers(evaluator, model, problems, _search(work), "thinking", work.seed)
            record = replace(record, beam_search=searched)
        evaluator.close()
    model.close()
    record.write(output)


def _model(work: ProcessWork) -> StepModel:
    """The process reward model, or the language model in its place."""
    rule, precision = StepRule(work.steps), work.precision
    if work.generative:
        return GenerativeVerifier(work.model, rule, precision, trust_remote_code=work.trust_remote_code)
    if work.logprobs is None:
        return ProcessModel(work.model, work.engine, precision, trust_remote_code=work.trust_remote_code)
    return PolicyLogprobs(work.model, work.logprobs, rule, precision, trust_remote_code=work.trust_remote_code)


def _search(work: ProcessWork) -> BeamSearch:
    """The search; its scores are those of the model that is measured, whatever is named here."""
    named = {"model": work.model, "aggregate": work.aggregate}
    return BeamSearch.model_validate(
        {"type": "beam", "beams": work.beams, "expansions": work.expansions, "process": named}
    )


def _settings(work: ProcessWork) -> BenchSettings:
    """The threshold: given, from a file, or from corrupted solutions of other problems of the first task."""
    rows: list[Stepwise] = []
    origin = "given" if work.threshold is not None else "0.5"
    if work.threshold is None and work.threshold_file is not None:
        rows, origin = rows_of(Path(work.threshold_file)), Path(work.threshold_file).name
    elif work.threshold is None and work.tasks:
        # Of the same held-out problems, after those that are measured: no row is in both.
        problems = task_problems(work.tasks[0], work.count + work.threshold_rows, work.seed, parameters={})[
            work.count :
        ]
        rows, origin = list(corrupted(problems, work.seed + 1)), f"other corrupted {work.tasks[0]}"
    return BenchSettings(work.threshold, rows, origin, work.aggregate, work.seed, work.stress)


def rows_of(path: Path) -> list[Stepwise]:
    """The labelled solutions of a file. Raises DataError with the first line that cannot be read."""
    found = list(read_steps(path))
    for one in found:
        if not isinstance(one, Stepwise):
            raise DataError(f"{one.place}: {one.fault}")
    return [one for one in found if isinstance(one, Stepwise)]


if __name__ == "__main__":
    run_child(main)
