"""Alarms: signs in a run's records that something is wrong, one file for each thing that goes wrong; thresholds on top of each.

A `warning` means that a figure is past its threshold, a `notice` that chance could explain what was seen. Neighbours:
report/run.py (the facts), report/changes.py (gain or loss), report/document.py (puts the list under `alarms`).
"""

from collections.abc import Mapping

from alignment.core.vocabulary import Mode
from alignment.report.alarms.distillation import distillation_alarms
from alignment.report.alarms.evaluations import conversation_alarms, evaluation_alarms
from alignment.report.alarms.inputs import isolation_alarms, lineage_alarms, row_alarms, start_alarms
from alignment.report.alarms.language import language_alarms
from alignment.report.alarms.modes import mixes_modes, trained_both_modes
from alignment.report.alarms.refusals import refusal_alarms
from alignment.report.alarms.rewards import accuracy_alarms, process_alarms, proxy_alarms
from alignment.report.alarms.training import gradient_alarms, training_alarms
from alignment.report.alarms.writing import writing_alarms
from alignment.report.document import Alarm, Change
from alignment.report.run import Run


def alarms(run: Run, changes: Mapping[str, Mapping[Mode, Change]]) -> list[Alarm]:
    """Every alarm of a run, in the order of its stages. `changes` is {stage: {mode: change}}."""
    found: list[Alarm] = []
    fused = False
    mixed = {stage.name for stage in run.stages if mixes_modes(stage)}
    for index, stage in enumerate(run.stages):
        fused = fused or trained_both_modes(stage) or bool(mixed & stage.inputs.keys())
        found += start_alarms(stage)
        found += row_alarms(stage)
        found += gradient_alarms(stage)
        found += training_alarms(stage)
        found += distillation_alarms(stage)
        found += process_alarms(stage)
        found += proxy_alarms(stage)
        found += writing_alarms(stage)
        found += isolation_alarms(stage)
        found += accuracy_alarms(stage, changes.get(stage.name, {}))
        found += evaluation_alarms(stage, fused)
        found += language_alarms(run, index)
        found += refusal_alarms(run, index)
        found += conversation_alarms(stage, fused)
        found += lineage_alarms(stage, run.stages[:index])
    return found
