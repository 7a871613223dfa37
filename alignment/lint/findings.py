"""Finding (one fault that was found) and Intent (the stage's settings that rows are checked against).

Neighbours: cases.py (the rows), linter.py (which faults are looked for).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from alignment.lint.markers import CHATML, markers_of
from alignment.recipe.blocks.sampling import QWEN3_STOP_TEXT
from alignment.recipe.kinds import Takes, kind_of
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields, rollout_of

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
MIN_FORCED_TEXT = 12  # characters; a shorter stop text occurs in ordinary answers too


@dataclass(frozen=True)
class Finding:
    """One fault: code (docs/lint.md), severity, row number (None: every row), what was found, and what to write instead."""

    code: str
    severity: Severity
    row: int | None
    text: str
    advice: str

    def __str__(self) -> str:
        where = "every row" if self.row is None else f"row {self.row}"
        return f"{where}: {self.text}{'; ' * bool(self.advice)}{self.advice} [{self.code}]"


@dataclass(frozen=True)
class Intent:
    """What the recipe means to train; the defaults apply to a file without a recipe."""

    stage: str | None = None
    takes: Takes = "rows"
    places_loss: bool = True  # the stage says itself which tokens of a row carry loss
    loss_on_empty_think: bool = False
    loss_on_history: bool = False
    chosen: frozenset[str] = frozenset()  # the loss settings that the recipe sets explicitly
    max_length: int | None = None  # tokens of a row, or of a prompt in a stage that samples
    forced_texts: tuple[str, ...] = (QWEN3_STOP_TEXT,)  # the stop texts of thinking budgets
    markers: tuple[str, ...] = CHATML  # special tokens that separate turns; data must not contain them as text

    @staticmethod
    def of(recipe: Recipe, stage: StageFields) -> "Intent":
        """The intent of a stage of a recipe."""
        rollouts = [found for other in recipe.stages if (found := rollout_of(other)) is not None]
        budgets = [recipe.evaluations.thinking_budget, *(one.thinking_budget for one in rollouts)]
        stops = [QWEN3_STOP_TEXT, *(one.stop_text for one in budgets)]
        kind = kind_of(stage)
        meant = kind.lint(stage)
        return Intent(
            stage=stage.name,
            takes=kind.takes,
            places_loss=meant.places_loss,
            loss_on_empty_think=meant.loss_on_empty_think,
            loss_on_history=meant.loss_on_history,
            chosen=frozenset(stage.model_fields_set & {"loss_on_empty_think", "loss_on_history"}),
            max_length=meant.max_length,
            forced_texts=tuple(dict.fromkeys(stops)),
            markers=markers_of(recipe.model, recipe.revision),
        )

    def forced_phrases(self) -> list[str]:
        """The stop texts without their tags, as they would stand inside a think block."""
        plain = (text.replace("<think>", "").replace("</think>", "").strip() for text in self.forced_texts)
        return [phrase for phrase in plain if len(phrase) >= MIN_FORCED_TEXT]


def count_of(findings: Iterable[Finding], severity: Severity) -> int:
    """Number of findings of this severity."""
    return sum(finding.severity == severity for finding in findings)


def shown(text: str, longest: int = 40) -> str:
    """A passage of data for a message: shortened to `longest` characters, with control characters escaped."""
    return repr(text if len(text) <= longest else text[: longest - 1] + "…")
