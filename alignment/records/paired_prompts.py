"""evaluations/paired_prompts.json: log-odds of two answers to paired prompts, with order and role swapped.

Neighbours: evaluation/measures/paired_prompts.py (measures), report/paired_prompts.py (the shift from stage to stage).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from alignment.core.typed_json import Json
from alignment.records.file_record import FileRecord


@dataclass(frozen=True)
class PairOdds:
    """One paired prompt under one policy. Log-odds are in nats: the log-prob of the answer `a` less that of `b`."""

    group: Annotated[str, "its group"]
    language: Annotated[str, "its language"]
    a: Annotated[str, "the answer that positive log-odds favour"]
    b: Annotated[str, "the other answer"]
    log_odds: Annotated[float, "mean over both orders and both roles, so that neither place nor wording decides"]
    order_effect: Annotated[float, "log-odds in favour of what stands first, whatever it is"]
    answer_effect: Annotated[
        float | None, "log-odds in favour of `a` whatever is asked; null without an opposite question"
    ]


@dataclass(frozen=True)
class PairedPromptsRecord(FileRecord):
    """Log-odds on a table of paired prompts; written if `paired_prompts` is set."""

    rows: Annotated[tuple[PairOdds, ...], "one for each row of the table"] = ()
    left_out: Annotated[int, "rows that are longer than the engine reads"] = 0
    table: Annotated[str, "the table's name"] = ""
    stage: Annotated[str | None, "the stage whose policy was measured"] = None
    identity: Annotated[Mapping[str, Json] | None, "what decides the figures: the table, the policy"] = field(
        default=None
    )
