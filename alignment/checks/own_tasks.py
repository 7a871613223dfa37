"""Checks of evaluation tasks of the user's own: their rows, their grader on a few of these, and that each has its name.

Neighbours: evaluations.py (asks this for every task), own_rewards.py (the dry call), data/sources/own_task.py (the
file).
"""

import itertools
from collections.abc import Iterator, Sequence

import rewards
from alignment.checks.own_rewards import dry_fault
from alignment.checks.rewards import columns_read
from alignment.core.errors import DataError
from alignment.core.vocabulary import SPLITS
from alignment.data.generators.families import problem_key
from alignment.data.rows import Problem
from alignment.data.sources.declared import Table, local_path, row_columns, source_names
from alignment.data.sources.named import is_own, load_source
from alignment.data.sources.own_task import task_name, task_of
from alignment.data.sources.rows import LeftOut, source_problems
from alignment.evaluation.lm_eval.names import is_lm_eval, lm_eval_fault
from alignment.recipe.blocks.rewards import Reward
from alignment.recipe.issue import nearest
from alignment.rollout.environments.registry import environment_faults
from alignment.rollout.references import SAMPLED_ROWS, failing, graders_of, measuring_fault
from rewards.own.loading import is_own as is_own_code

MAX_REPEATED = 0.1  # of a task's rows that may repeat others; public sets have a few


def task_faults(name: str, max_failing_fraction: float = 0.02) -> Iterator[str]:
    """What is wrong with a task by its name or path, in words; nothing for one that can be measured."""
    if is_lm_eval(name):
        fault = lm_eval_fault(name)
        yield from [fault] if fault is not None else []
        return
    if not is_own(name) and name not in source_names():
        yield f"there is no source `{name}`; {nearest(name, source_names())}, or write the path of a task, such as ./my_task.yaml"
        return
    try:
        source, task = load_source(name), task_of(name)
    except DataError as error:
        yield str(error)
        return
    if (fault := measuring_fault(source, own=is_own(name))) is not None:
        yield fault
        return
    if not is_own(name):
        return
    path = local_path(source, None) if isinstance(source, Table) else None
    if isinstance(source, Table) and path is None:
        return  # rows on the hub are read when they are measured
    left_out: list[LeftOut] = []
    found = source_problems(source, seed=0, parameters={}, path=path, splits=SPLITS, left_out=left_out)
    sample = list(itertools.islice(found, SAMPLED_ROWS))
    if isinstance(source, Table):
        for _ in found:
            pass  # to the end: a measurement stops at a row that cannot be read, when the stage before it has been trained
    if not sample:
        why = f": {left_out[0]}" if left_out else ""
        yield f"`{source.id}` has no row that can be asked{why}"
        return
    if left_out:
        yield f"{len(left_out)} of its rows cannot be asked, the first is {left_out[0]}"
        return
    asked = {problem_key(f"{one.text}\n{one.answer}") for one in sample}
    if len(sample) - len(asked) > MAX_REPEATED * len(sample):
        yield (
            f"{len(sample)} of its rows ask {len(asked)} problems: what is asked twice counts as evidence twice, and intervals "
            "would be too narrow; remove the repetitions"
        )
    grader = Reward(kind="math_answer") if task is None else task.grader
    yield from _grader_faults(grader, row_columns(source), sample)
    if task is not None and task.environment is not None:
        yield from (f"environment: {fault}" for fault in environment_faults(task.environment))
    yield from failing(sample, graders_of([grader]), max_failing_fraction)


def repeated_names(tasks: Sequence[str]) -> Iterator[tuple[int, str]]:
    """`(index, what to write)` of tasks that have the name of an earlier one: the report could not tell them apart."""
    names = [task_name(name) for name in tasks]
    for index, name in enumerate(names):
        if names.index(name) < index and tasks[names.index(name)] != tasks[index]:
            yield index, f"two tasks are called `{name}`; write another `name` into one of them"


def _grader_faults(grader: Reward, columns: set[str], sample: Sequence[Problem]) -> Iterator[str]:
    """Why a grader cannot judge the rows of a task."""
    if grader.judge is not None:
        yield "grader: a judge under `judges` is served for stages alone; serve it yourself and write its `base_url`"
    spec = grader.spec()
    faults = rewards.spec_faults([spec]) or rewards.machine_faults([spec])
    yield from (f"grader: {text.removeprefix('reward 1: ')}" for text in faults)
    read = None if faults else columns_read(grader)
    if read is not None and not read <= columns:
        yield (
            f"grader: {grader.kind} needs {', '.join(sorted(read - columns))}, and the rows have {', '.join(sorted(columns))}; "
            "name the field in `fields`, or choose another grader"
        )
    elif not faults and is_own_code(grader.kind) and (fault := dry_fault(grader, sample)) is not None:
        yield f"grader: {fault}"
