"""The report's part on process reward models: what `alignment processbench` recorded beside the prm stages.

Neighbours: document.py (ProcessSection), records/process.py (the figures), render/ (the tables and coloured traces).
"""

from collections.abc import Mapping
from dataclasses import replace

from alignment.core.statistics.estimate import UNKNOWN, Estimate
from alignment.core.typed_json import Json
from alignment.records.process import BestOfN, ProcessRecord
from alignment.report.document import ProcessSection
from alignment.report.run import Run, Stage

N = 8  # of the best-of-N figures that have keys of their own
BY_SEARCH = ("monte_carlo", "binary_search")  # methods whose labels come from completions


def process_section(run: Run) -> ProcessSection | None:
    """The figures of the last measured process reward model, and F1 by where the labels came from; None without any."""
    measured = [(stage, stage.process) for stage in run.stages if stage.process is not None]
    if not measured:
        return None
    stage, record = measured[-1]
    methods = {_method(one, run): found.f1 for one, found in measured}
    found = section_of(stage.name, record)
    return replace(
        found,
        f1_monte_carlo=next((methods[name] for name in BY_SEARCH if name in methods), None),
        f1_consensus=methods.get("consensus"),
    )


def section_of(stage: str, record: ProcessRecord) -> ProcessSection:
    """The section of one model, without what others of the run have."""
    one, several = _point(record, 1), _point(record, N)
    return ProcessSection(
        stage=stage,
        f1=record.f1,
        f1_monte_carlo=None,
        f1_consensus=None,
        best_of_8=_best(record, several),
        majority_of_8=UNKNOWN if several is None else several.majority,
        pass_at_1=None if one is None else one.pass_at_n.value,
        outcome_of_8=UNKNOWN if several is None else several.outcome,
        stress={test.name: test.risen.value for test in record.stress},
        measured=record,
    )


def _point(record: ProcessRecord, n: int) -> BestOfN | None:
    return next((one for one in record.best_of if one.n == n), None)


def _best(record: ProcessRecord, point: BestOfN | None) -> Estimate:
    """By the aggregate that the model was measured with."""
    if point is None:
        return UNKNOWN
    chosen = {"product": point.product, "minimum": point.minimum, "last": point.last, "mean": point.mean}
    return chosen.get(record.aggregate, point.minimum)


def _method(stage: Stage, run: Run) -> str:
    """The label method of the step_labels stage that a prm stage was trained on; empty if there is none."""
    for other in run.stages:
        settings = other.identity.get("stage")
        method = settings.get("method") if isinstance(settings, Mapping) else None
        if other.name in stage.inputs and isinstance(method, Mapping):
            return _text(method.get("type"))
    return ""


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
