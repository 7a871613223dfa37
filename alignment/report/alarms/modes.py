"""Which stages trained both modes: from then on the flag has to be followed.

Neighbours: evaluations.py (whose alarms depend on it).
"""

from alignment.core.vocabulary import MODES
from alignment.recipe.kinds import find_kind
from alignment.report.alarms.evidence import is_number, values_of
from alignment.report.run import Stage


def trained_both_modes(stage: Stage) -> bool:
    """Whether a training stage saw thinking and non-thinking rows, by its identity or by its recorded rollouts."""
    kind = find_kind(stage.kind)
    return (kind is None or not kind.leaves_rows) and _holds_both_modes(stage)


def mixes_modes(stage: Stage) -> bool:
    """Whether a stage made rows of both modes for fusion."""
    kind = find_kind(stage.kind)
    return kind is not None and kind.leaves_rows and not kind.policy_writes and _holds_both_modes(stage)


def _holds_both_modes(stage: Stage) -> bool:
    fractions = [found for found in values_of(stage.identity, "thinking_fraction") if is_number(found)]
    if fractions:
        return any(0 < fraction < 1 for fraction in fractions)
    named = {mode for mode in values_of(stage.identity, "mode") if isinstance(mode, str)}
    return named.issuperset(MODES) or stage.rollouts.modes.issuperset(MODES)
