r"""Kind `math_answer`: is the final answer of a rollout mathematically the reference answer?

reading.py finds and normalises the answer, a fast path settles plain numbers and words, elementary.py most of school
mathematics, and symbolic.py, in the processes of a pool, the rest. Only what follows the think block is read. A
reference that cannot be read, a time limit and a crash are verdicts without a score: never rewarded, and never taken for
a wrong answer.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from typing import Any

from rewards.contract import Rollout, Verdict, not_applicable
from rewards.kinds.math_answer import elementary
from rewards.kinds.math_answer.reading import (
    answers_offered,
    base,
    compact,
    final_answer,
    last_box,
    normalise,
    plain_number,
    unwrapped,
    words,
)
from rewards.pool import Outcome, VerificationPool

COMPARISON = "rewards.kinds.math_answer.symbolic:compare"
CACHE_ENTRIES = 20_000
LONGEST_ANSWER = 500  # characters; a longer reference allows four times its own length

_TOWER = re.compile(r"\d[)}\s]*\^[\s({]*\d+[)}\s]*\^[\s({]*\d")
_SETTLED = {
    "equal": (1.0, "equivalent"),
    "different": (0.0, "different"),
    "answer_unparsable": (0.0, "answer_unparsable"),
    "reference_unparsable": (None, "reference_unparsable"),
}
_UNSETTLED = {"timed_out": "timed_out", "failed": "verification_failed", "lost": "worker_lost"}

Pair = tuple[str, str]  # reference, answer; both normalised
Finding = tuple[float | None, str]  # score, reason


class MathAnswer:
    """Verifier of the kind `math_answer`: 1.0 when the answer means the reference, 0.0 when it does not."""

    columns: tuple[str, ...] = ("answer",)

    def __init__(self, *, require_boxed: bool = False, timeout_seconds: float = 5.0, workers: int = 2) -> None:
        self.require_boxed = require_boxed
        self._pool = VerificationPool(COMPARISON, workers=workers, timeout_seconds=timeout_seconds)
        self._known: OrderedDict[Pair, Finding] = OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """What a copy begins with: the settings. What has been compared, and the processes, are each copy's own."""
        return {"require_boxed": self.require_boxed, "_pool": self._pool}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._known, self._lock = OrderedDict(), threading.Lock()

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout; each distinct (reference, answer) pair is compared once."""
        read = [self._read(rollout) for rollout in rollouts]
        pairs = dict.fromkeys(pair for pair in read if not isinstance(pair, Verdict))
        findings = self._recall(pairs)
        open_pairs = []
        for pair in pairs:
            if pair not in findings:
                finding = compare_plainly(*pair)
                if finding is None:
                    open_pairs.append(pair)
                else:
                    findings[pair] = finding
        for pair, outcome in zip(open_pairs, self._pool.map(open_pairs) if open_pairs else [], strict=True):
            findings[pair] = _finding(outcome)
        self._remember(findings)
        return [entry if isinstance(entry, Verdict) else _verdict(entry, findings[entry]) for entry in read]

    def close(self) -> None:
        """End the verification processes."""
        self._pool.close()

    def _read(self, rollout: Rollout) -> Pair | Verdict:
        """The pair to compare, or the verdict where there is nothing to compare."""
        value = rollout.column("math_answer", "answer")
        if value is None:
            return not_applicable("answer")
        reference = reference_text(value)
        if reference is None:
            return Verdict(None, "reference_unparsable", {"reference": value})
        answer = final_answer(rollout.answer, self.require_boxed)
        if answer is None:
            return Verdict(0.0, "no_answer", {"reference": reference})
        if len(answer) > max(LONGEST_ANSWER, 4 * len(reference)):
            return Verdict(0.0, "answer_too_long", {"reference": reference, "characters": len(answer)})
        answer = normalise(answer)
        if not answer:
            return Verdict(0.0, "no_answer", {"reference": reference})
        # One spelling for all that read alike, so that a reference is read once however often it is copied.
        return reference, reference if compact(answer) == compact(reference) else answer

    def _recall(self, pairs: dict[Pair, None]) -> dict[Pair, Finding]:
        with self._lock:
            known = {pair: self._known[pair] for pair in pairs if pair in self._known}
            for pair in known:
                self._known.move_to_end(pair)
        return known

    def _remember(self, findings: dict[Pair, Finding]) -> None:
        with self._lock:
            for pair, finding in findings.items():
                # What a busy machine or a killed process left open may be settled the next time.
                if finding[1] not in _UNSETTLED.values():
                    self._known[pair] = finding
            while len(self._known) > CACHE_ENTRIES:
                self._known.popitem(last=False)


def reference_text(value: Any) -> str | None:
    r"""A dataset's answer as normalised text: the part after "####" (GSM8K), inside \boxed, or all of it."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    text = str(value).rpartition("####")[2]
    box = last_box(text)
    return normalise(text if box is None else box) or None


def compare_plainly(reference: str, answer: str) -> Finding | None:
    """Settles a pair of normalised texts without a computer algebra system, or returns None."""
    expected, given = plain_number(reference), plain_number(answer)
    if expected is not None and given is not None:
        return (1.0, "equal_number") if expected.matches(given) else (0.0, "different_number")
    expected_words = words(reference)
    if expected_words is not None and expected_words == words(answer):
        return 1.0, "same_words"
    if answer == reference:  # still to be read: a reference that nobody can read is not rewarded for being copied
        return (1.0, "equivalent") if elementary.is_readable(reference) else None
    if expected_words is not None and "\\" not in unwrapped(answer):
        return 0.0, "different_words"
    if answers_offered(answer) > answers_offered(reference):
        return 0.0, "several_answers"
    if base(answer) not in (None, base(reference)):
        return 0.0, "different_base"
    if _TOWER.search(answer) and not _TOWER.search(reference):
        return 0.0, "answer_too_large"
    same = elementary.settle(reference, answer)
    return None if same is None else (1.0, "equivalent") if same else (0.0, "different")


def check_reference(answer: str) -> str | None:
    """Why a dataset's answer can never be judged, or None when it can be. For use when data is loaded."""
    return check_references([answer])[0]


def check_references(answers: Sequence[str]) -> list[str | None]:
    """check_reference for many answers at once, in parallel."""
    texts = [reference_text(answer) for answer in answers]
    unsure = [text for text in dict.fromkeys(texts) if text and not _is_readable(text)]
    outcomes = dict(zip(unsure, _checking_pool().map([[text, None] for text in unsure]) if unsure else [], strict=True))
    return [_reference_problem(answer, text, outcomes) for answer, text in zip(answers, texts, strict=True)]


def _is_readable(text: str) -> bool:
    """Whether compare_plainly can read a normalised text."""
    return plain_number(text) is not None or words(text) is not None or elementary.is_readable(text)


def _reference_problem(answer: str, text: str | None, outcomes: dict[str, Outcome]) -> str | None:
    if text is None:
        return f"the answer {answer!r} holds nothing to compare with"
    outcome = outcomes.get(text)
    if outcome is None or outcome.value == "readable":
        return None
    why = {"done": "it is not mathematics that math-verify can read", "timed_out": "reading it takes too long"}
    return f"the answer {answer!r} cannot be judged: {why.get(outcome.status, outcome.detail)}"


@cache
def _checking_pool() -> VerificationPool:
    return VerificationPool(COMPARISON)


def _finding(outcome: Outcome) -> Finding:
    return _SETTLED[outcome.value] if outcome.status == "done" else (None, _UNSETTLED[outcome.status])


def _verdict(pair: Pair, finding: Finding) -> Verdict:
    return Verdict(*finding, {"reference": pair[0], "answer": pair[1]})
