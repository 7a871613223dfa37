"""Tables of the report's part on process reward models, for the page and for Markdown.

Neighbours: ../process.py (the figures), report/figures/process.py (the pictures), html.py and markdown.py (where they
stand).
"""

from alignment.records.process import ProcessRecord
from alignment.report import phrases
from alignment.report.document import ProcessSection

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]
LEAST_SHADE, MOST_SHADE = (
    10,
    45,
)  # percent of the colour: at the threshold a step is told apart, and text stays readable
TRACES_LEGEND = "Red is below the threshold, green at or above it; the further away, the stronger."
LEGEND = (
    "F1 is the harmonic mean of two accuracies: the exact first wrong step of solutions with one, and no step called wrong in "
    "the others (ProcessBench). A score that rises under a stress test rewards what makes no solution better."
)


def bench_table(section: ProcessSection) -> Table:
    """F1 by file or task, beside that of random scores."""
    rows: list[tuple[str, ...]] = [
        (
            one.name, str(one.errors), phrases.percent(one.with_error.value), str(one.right),
            phrases.percent(one.without_error.value), phrases.percent(one.f1), phrases.percent(one.random_f1),
        )
        for one in section.measured.subsets
    ]  # fmt: skip
    return ("rows", "with error", "found %", "without", "accepted %", "F1 %", "random F1 %"), rows


def stress_table(section: ProcessSection) -> Table:
    """How often the score rises."""
    rows: list[tuple[str, ...]] = [
        (one.name.replace("_", " "), phrases.percent(one.risen.value), phrases.interval(one.risen), str(one.solutions))
        for one in section.measured.stress
    ]
    return ("stress test", "score rises %", "interval", "solutions"), rows


def best_of_table(section: ProcessSection) -> Table:
    """Accuracy by N and by how an answer is chosen."""
    points = section.measured.best_of
    rows = [
        (str(one.n), phrases.count(one.mean_tokens), *(phrases.percent(found.value) for found in one.choices.values()))
        for one in points
    ]
    names = [f"{name} %" for name in points[0].choices] if points else []
    return ("N", "tokens", *names), rows


def shade(record: ProcessRecord, score: float) -> tuple[str, int]:
    """The style sheet's colour of a step, and how much of it in percent: the further from the threshold, the stronger."""
    threshold = 0.5 if record.threshold is None else record.threshold
    if score < threshold:
        return "loss", round(LEAST_SHADE + (MOST_SHADE - LEAST_SHADE) * (threshold - score) / threshold)
    left = max(1.0 - threshold, 1e-9)
    return "gain", round(LEAST_SHADE + (MOST_SHADE - LEAST_SHADE) * min(1.0, (score - threshold) / left))


def tables(section: ProcessSection) -> list[Table]:
    """Those that have rows."""
    return [one for one in (bench_table(section), stress_table(section), best_of_table(section)) if one[1]]


def facts(section: ProcessSection) -> str:
    """Threshold, calibration and drift in a sentence."""
    record, parts = section.measured, list[str]()
    if record.threshold is not None:
        parts.append(f"threshold {record.threshold:.3f} from {record.threshold_from}")
    if record.calibration_error is not None:
        parts.append(f"calibration error {record.calibration_error:.3f}")
    if record.last_step_minima is not None:
        chance = phrases.percent(record.last_step_minima_by_chance)
        parts.append(
            f"lowest score on the last step in {phrases.percent(record.last_step_minima)}%, by chance {chance}%"
        )
    if record.outcome_model is not None:
        parts.append(f"outcome reward by {record.outcome_model}")
    if (searched := record.beam_search) is not None:
        parts.append(
            f"beam search with {searched.beams} beams x {searched.expansions} answers "
            f"{phrases.percent(searched.accuracy.value)}% rightly for {searched.mean_tokens:.0f} tokens"
        )
    if record.answers_auc is not None:
        parts.append(f"right answers score above wrong ones with AUC {record.answers_auc:.3f}")
    return f"{section.stage}: {'; '.join(parts)}." if parts else f"{section.stage}."
