"""Reads and grades a generate_until task of lm-evaluation-harness: its documents, prompts, filters and first metric.

Prompts are the harness's own, few-shot examples included, as one user turn; the policy answers in this project's
engines, in both modes. An answer without its thinking, cut at the task's stop strings, goes through the task's filter
and metric. Neighbours: names.py (what can be measured), evaluation/grading.py (who asks).
"""

import importlib
import random
from functools import lru_cache
from pathlib import Path
from typing import Any

from alignment.core.errors import DataError
from alignment.data.rows import Problem, user_turn
from alignment.data.sources.own_task import task_name
from alignment.evaluation.lm_eval.names import lm_eval_fault, lm_eval_name
from rewards import Verdict
from rewards.contract import split_thinking

FEWSHOT_SEED = 1234  # the harness's default


class LmEvalTask:
    """One task of the harness, loaded. Raises DataError for a task that cannot be measured or whose data is out of reach."""

    def __init__(self, name: str) -> None:
        if (fault := lm_eval_fault(name)) is not None:
            raise DataError(fault)
        self.name, asked = name, lm_eval_name(name)
        self._task = _loaded(asked.task)
        self._task.set_fewshot_seed(FEWSHOT_SEED)
        self._documents = list(self._task.eval_docs)
        self.metric = self._metric()
        self._filter = self._chosen(asked.filter)
        self._until = [str(one) for one in (self._task.config.generation_kwargs or {}).get("until") or []]

    def problems(self, count: int, seed: int) -> list[Problem]:
        """`count` documents, the same for the same seed, as problems with the harness's prompts."""
        everything = range(len(self._documents))
        picked = random.Random(seed).sample(everything, min(count, len(everything)))
        return [self._problem(place, self._documents[place]) for place in picked]

    def verdict(self, problem: Problem, text: str) -> Verdict:
        """The task's metric on an answer; the thinking before it is not looked at."""
        answer = split_thinking(text)[1]
        for stop in self._until:
            answer = answer.split(stop)[0] if stop else answer
        document = self._documents[int(problem.columns["document"])]
        values = self._task.process_results(document, [self._filtered(document, answer)])
        score = float(values[self.metric])
        return Verdict(score, self.metric, {"filter": self._filter, "answer": answer[:200]})

    def _problem(self, place: int, document: Any) -> Problem:
        prompt = self._task.fewshot_context(document, self._task.config.num_fewshot or 0)
        target = self._task.doc_to_target(document)
        return Problem(
            id=f"{task_name(self.name)}/{place}",
            messages=[user_turn(str(prompt))],
            answer=str(target[0] if isinstance(target, list) and target else target),
            family=task_name(self.name),
            columns={"document": place},
        )

    def _filtered(self, document: Any, answer: str) -> Any:
        """An answer after the task's filter, such as the last number in it."""
        instance = importlib.import_module("lm_eval.api.instance").Instance(
            request_type="generate_until", doc=document, arguments=("", {}), idx=0
        )
        instance.resps = [answer]
        chosen = next(one for one in self._task._filters if one.name == self._filter)  # noqa: SLF001  has no other access
        chosen.apply([instance])
        return instance.filtered_resps[self._filter]

    def _metric(self) -> str:
        """The task's first metric. Raises DataError for one that is not a mean over answers."""
        metrics = self._task.aggregation()
        name = next(iter(metrics), None)
        if name is None or getattr(metrics[name], "__name__", "") != "mean":
            raise DataError(
                f"`{self.name}` is measured by {name or 'no metric'} over all answers together, and not answer by answer; "
                "run it with `lm-eval` on the stage's output/ instead"
            )
        return str(name)

    def _chosen(self, wanted: str | None) -> str:
        names = [str(one.name) for one in self._task._filters]  # noqa: SLF001  has no other access
        if wanted is not None and wanted not in names:
            raise DataError(f"`{self.name}`: there is no filter `{wanted}`; write one of: {', '.join(names)}")
        return wanted or names[0]


@lru_cache(maxsize=8)
def lm_eval_task(name: str) -> LmEvalTask:
    """The task of a name, loaded once. Raises DataError."""
    return LmEvalTask(name)


def _loaded(asked: str) -> Any:
    """The harness's own object for a task: by name, or of a declaration in a file."""
    tasks = importlib.import_module("lm_eval.tasks")
    try:
        if asked.endswith((".yaml", ".yml")):
            found = tasks.TaskManager(include_path=str(Path(asked).parent), include_defaults=False).load(asked)
        else:
            found = tasks.TaskManager().load([asked])
    except (OSError, ValueError, KeyError, ConnectionError) as error:
        raise DataError(
            f"`lm_eval:{asked}` cannot be loaded ({type(error).__name__}: {error}); its data is downloaded from the hub, once, "
            "where there is a network"
        ) from error
    return next(iter(found["tasks"].values()))
