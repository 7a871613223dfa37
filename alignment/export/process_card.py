"""The parts of a model card that a process reward model has in place of a policy's: what it is, its use, and what it is worth.

Figures are those that `alignment processbench` recorded; what was not measured is said to be unknown. Neighbours: card.py
(the whole card), records/process.py (the figures), report/render/process.py (the tables, as the report has them).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from alignment.core.statistics.intervals import wilson
from alignment.core.typed_json import Json
from alignment.records.process import ProcessRecord
from alignment.report import phrases
from alignment.report.document import ProcessSection
from alignment.report.process import section_of
from alignment.report.render import process
from alignment.report.render.markdown import cell, table

NOT_MEASURED = (
    "Nobody has measured this model: whether it finds a first wrong step, and what raises its score without making a solution "
    "better, is unknown. `alignment processbench RUN --tasks TASK` measures it."
)
LIMITS = (
    "Domains, policies and kinds of solutions that no table above names were not measured, nor were solutions that are written "
    "to please it. A policy that is trained against it will find what raises its score."
)


@dataclass(frozen=True)
class ProcessModelFacts:
    """What a card says of a process reward model. settings: its config's step token and split. counts: of its manifest."""

    step_token: str
    split_by: str
    counts: dict[str, Json]
    measured: ProcessRecord | None = None


def process_opening(facts: ProcessModelFacts) -> Iterator[str]:
    """What it scores, and what it was trained on."""
    counts = facts.counts
    yield (
        f"A process reward model: it scores each step of a solution by the softmax of two logits (wrong, right) at the token "
        f"{cell(facts.step_token)} after the step. Steps are split by {cell(facts.split_by.replace('_', ' '))}."
    )
    if "rows" in counts:
        yield (
            f"Trained on {counts['rows']} solutions with {counts.get('right_steps')} right and {counts.get('wrong_steps')} wrong "
            "steps; labels after the first wrong step were left out."
        )


def process_use(facts: ProcessModelFacts) -> Iterator[str]:
    """How transformers and vLLM load it."""
    yield "## Use"
    yield """```python
from transformers import AutoModelForTokenClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(FOLDER_OR_ID)
model = AutoModelForTokenClassification.from_pretrained(FOLDER_OR_ID)
prompt = tokenizer.apply_chat_template(
    [{"role": "user", "content": "..."}], add_generation_prompt=True, tokenize=False
)
text = prompt + "".join(step + model.config.step_token for step in steps)
ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
scores = model(ids).logits[0].softmax(-1)[ids[0] == model.config.step_token_id, 1]
# vLLM: LLM(FOLDER_OR_ID, runner="pooling", pooler_config=PoolerConfig(tok_pooling_type="STEP",
#           step_tag_id=model.config.step_token_id)).encode(prompts, pooling_task="token_classify")
```"""


def process_results(stage: str, facts: ProcessModelFacts) -> Iterator[str]:
    """F1, calibration, stress tests and best of N, where they were measured."""
    yield "## Results"
    if facts.measured is None:
        yield NOT_MEASURED
        return
    section = section_of(stage, facts.measured)
    yield cell(process.facts(section))
    yield process.LEGEND
    for headings, rows in process.tables(section):
        yield table(headings, rows)
    if calibrated := _calibration(section):
        yield "Calibration: steps by their score, and the fraction that is right."
        yield table(("mean score", "steps", "right %", "interval"), calibrated)
    yield LIMITS


def _calibration(section: ProcessSection) -> list[tuple[str, ...]]:
    return [
        (
            f"{one.mean_score:.2f}", phrases.count(one.steps), phrases.percent(one.right_fraction),
            "–".join(phrases.percent(end) for end in wilson(one.right_fraction * one.steps, one.steps)),
        )
        for one in section.measured.calibration
    ]  # fmt: skip
