r"""Kind `math_answer`: is the final answer of a rollout mathematically the reference answer?

reading.py finds the answer, with boxes.py, formulas.py, lines.py and closing.py · notation.py and brackets.py bring it to
one notation, texts.py takes the sentence off · limits.py refuses what costs too much or offers too many answers ·
comparison.py settles what needs no algebra, with quantities.py, number_words.py and units.py (numbers and units), sentences.py
(what a sentence says), literals.py and sets.py (words), forms.py, unknowns.py and counts.py (lists, tuples), angles.py, binomials.py, elementary.py,
expressions.py, bounded.py and rounding.py (values) · symbolic.py the rest, in a process of its own · verifier.py judges ·
table/ has the rows of the audit.
"""

from collections.abc import Mapping
from typing import Any

from rewards.kind import Gold, Kind
from rewards.kinds.math_answer.boxes import boxes_in
from rewards.kinds.math_answer.table import ROWS
from rewards.kinds.math_answer.verifier import MathAnswer


def gold_answer(columns: Mapping[str, Any]) -> str:
    r"""A row's `answer` in a box, as a model would give it: the part after "####" (GSM8K), or what stands in its own box."""
    text = str(columns.get("answer", "")).rpartition("####")[2].strip()
    box = boxes_in(text)
    return rf"\boxed{{{text if box is None else box}}}"


KIND = Kind("math_answer", MathAnswer, ROWS, Gold(gold_answer, "answer"))
