r"""Kind `math_answer`: is the final answer of a rollout mathematically the reference answer?

reading.py finds and normalises the answer, a fast path settles plain numbers and words, elementary.py most of school
mathematics, and symbolic.py, in the processes of a pool, the rest. Only what follows the think block is read. A
reference that cannot be read, a time limit and a crash are verdicts without a score: never rewarded, and never taken for
a wrong answer.
"""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from typing import Any

from rewards.contract import Rollout, Verdict, not_applicable
from rewards.kinds.math_answer import elementary
from rewards.kinds.math_answer.comparison import Finding, Open, same_text, settle
from rewards.kinds.math_answer.limits import answers_offered
from rewards.kinds.math_answer.literals import word_of
from rewards.kinds.math_answer.quantities import measured
from rewards.kinds.math_answer.reading import final_answer
from rewards.kinds.math_answer.sets import known_set
from rewards.kinds.math_answer.texts import answer_text, is_equation, is_missing, reference_text
from rewards.pool import Outcome, VerificationPool

__all__ = ["LONGEST_ANSWER", "MathAnswer", "check_reference", "check_references", "compare_plainly", "reference_text"]

COMPARISON = "rewards.kinds.math_answer.symbolic:compare"
CACHE_ENTRIES = 20_000
LONGEST_ANSWER = 500  # characters; a longer reference allows four times its own length
EASY_ANSWER = "1"  # what a reference is held against to find out whether it is at fault
CPU_SECONDS = 1.5  # of a comparison; an answer that takes longer is not worth it
# By the clock, of an answer that leaves an integral, a sum or a limit to be computed, and of all these in one call.
UNCOMPUTED_SECONDS, ALL_UNCOMPUTED_SECONDS = 2.0, 20.0
UNCOMPUTED_AT_ONCE = 8

_UNCOMPUTED = re.compile(r"\\(?:i{0,2}int|oint|sum|prod|lim(?:sup|inf)?)(?![A-Za-z])")

_LISTS = re.compile(r"[,;]|\b(?:and|or)\b")  # what a reference with several values has
_SETTLED: dict[str, Finding] = {
    "equal": (1.0, "equivalent"),
    "different": (0.0, "different"),
    "answer_unparsable": (0.0, "answer_unparsable"),
    "reference_unparsable": (None, "reference_unparsable"),
}
_NOT_TRIED = Outcome("timed_out", detail="other answers of the call took the time for such", by_clock=True)
_UNSETTLED = {"timed_out": "timed_out", "failed": "verification_failed", "lost": "worker_lost"}

Pair = tuple[str, str]  # reference, answer; both normalised


class MathAnswer:
    """Verifier of the kind `math_answer`: 1.0 when the answer means the reference, 0.0 when it does not."""

    columns: tuple[str, ...] = ("answer",)

    def __init__(self, *, require_boxed: bool = False, timeout_seconds: float = 5.0, workers: int = 2) -> None:
        self.require_boxed = require_boxed
        self._pool = VerificationPool(
            COMPARISON, workers=workers, timeout_seconds=timeout_seconds, cpu_seconds=min(CPU_SECONDS, timeout_seconds)
        )
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
        asked: dict[Pair, Open] = {}
        for pair in pairs:
            if pair not in findings:
                found = settle(*pair)
                if isinstance(found, Open):
                    asked[pair] = found
                else:
                    findings[pair] = found
        if asked:
            findings.update(self._asked(asked))
        self._remember(findings)
        return [entry if isinstance(entry, Verdict) else _verdict(entry, findings[entry]) for entry in read]

    def _asked(self, asked: dict[Pair, Open]) -> dict[Pair, Finding]:
        """What the processes say of the pairs. An answer over which one stops, where the reference can be read, is wrong.

        Otherwise an answer could choose not to be judged: by a number that takes for ever, or by the memory that it takes.
        """
        hasty = {pair: one for pair, one in asked.items() if _leaves_to_compute(one)}
        findings = {pair: _finding(outcome) for pair, outcome in self._compared(asked, hasty)}
        stopped = [pair for pair, finding in findings.items() if finding[1] in ("timed_out", "verification_failed")]
        readable = self._readable(list(dict.fromkeys(pair[0] for pair in stopped)))
        for pair in stopped:
            if pair[0] in readable:
                findings[pair] = (0.0, "answer_too_costly")
        return findings

    def _compared(self, asked: dict[Pair, Open], hasty: dict[Pair, Open]) -> list[tuple[Pair, Outcome]]:
        """The outcome of each pair; `hasty` ones have little time, each and together, and no second try.

        What else stopped by the clock alone is asked once more, because a busy machine is no fault of the answer.
        """
        found = dict.fromkeys(hasty, _NOT_TRIED)
        end, pairs = time.monotonic() + ALL_UNCOMPUTED_SECONDS, list(hasty)
        while pairs and time.monotonic() < end:
            now, pairs = pairs[:UNCOMPUTED_AT_ONCE], pairs[UNCOMPUTED_AT_ONCE:]
            items = [[hasty[pair].reference, hasty[pair].answer] for pair in now]
            found |= zip(now, self._pool.map(items, UNCOMPUTED_SECONDS), strict=True)
        waiting = {pair: one for pair, one in asked.items() if pair not in hasty}
        for _ in range(2):
            outcomes = self._pool.map([[one.reference, one.answer] for one in waiting.values()])
            found |= zip(waiting, outcomes, strict=True)
            waiting = {pair: one for pair, one in waiting.items() if found[pair].by_clock}
        return list(found.items())

    def _readable(self, references: list[str]) -> set[str]:
        unsure = [text for text in references if not _is_readable(text)]
        outcomes = self._pool.map([[text, EASY_ANSWER] for text in unsure]) if unsure else []
        return set(references) - {text for text, one in zip(unsure, outcomes, strict=True) if not _was_compared(one)}

    def close(self) -> None:
        """End the verification processes."""
        self._pool.close()

    def _read(self, rollout: Rollout) -> Pair | Verdict:
        """The pair to compare, or the verdict where there is nothing to compare."""
        value = rollout.column("math_answer", "answer")
        if hasattr(value, "item"):  # a number as numpy holds it
            value = value.item()
        if is_missing(value):
            return not_applicable("answer")
        reference = reference_text(value)
        if reference is None:
            return Verdict(None, "reference_unparsable", {"reference": value})
        whole, values = is_equation(reference), answers_offered(reference) if _LISTS.search(reference) else 1
        answer = final_answer(rollout.answer, self.require_boxed, whole=whole, values=values)
        if answer is None:
            return Verdict(0.0, "no_answer", {"reference": reference})
        if len(answer) > max(LONGEST_ANSWER, 4 * len(reference)):
            return Verdict(0.0, "answer_too_long", {"reference": reference, "characters": len(answer)})
        answer = answer_text(answer)
        if not answer:
            return Verdict(0.0, "no_answer", {"reference": reference})
        # One spelling for all that read alike, so that a reference is read once however often it is copied.
        return reference, reference if same_text(reference, answer) else answer

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


def compare_plainly(reference: str, answer: str) -> Finding | None:
    """Settles a pair of normalised texts without a computer algebra system, or returns None."""
    found = settle(reference, answer)
    return None if isinstance(found, Open) else found


def check_reference(answer: str) -> str | None:
    """Why a dataset's answer can never be judged, or None when it can be. For use when data is loaded."""
    return check_references([answer])[0]


def check_references(answers: Sequence[str]) -> list[str | None]:
    """check_reference for many answers at once, in parallel."""
    texts = [reference_text(answer) for answer in answers]
    unsure = [text for text in dict.fromkeys(texts) if text and not _is_readable(text)]
    asked = [[text, EASY_ANSWER] for text in unsure]
    outcomes = dict(zip(unsure, _checking_pool().map(asked) if asked else [], strict=True))
    return [_reference_fault(answer, text, outcomes) for answer, text in zip(answers, texts, strict=True)]


def _leaves_to_compute(pair: Open) -> bool:
    """Whether an answer has an integral, a sum or the like in it where the reference has none."""
    return _UNCOMPUTED.search(pair.answer) is not None and _UNCOMPUTED.search(pair.reference) is None


def _is_readable(text: str) -> bool:
    """Whether a normalised text can be read without a process."""
    return (
        measured(text) is not None
        or word_of(text) is not None
        or known_set(text) is not None
        or elementary.is_readable(text)
    )


def _reference_fault(answer: str, text: str | None, outcomes: dict[str, Outcome]) -> str | None:
    if text is None:
        return f"the answer {answer!r} holds nothing to compare with"
    outcome = outcomes.get(text)
    if outcome is None or _was_compared(outcome):
        return None
    why = {"done": "it is not mathematics that math-verify can read", "timed_out": "reading it takes too long"}
    return f"the answer {answer!r} cannot be judged: {why.get(outcome.status, outcome.detail)}"


def _was_compared(outcome: Outcome) -> bool:
    """Whether a reference could be held against EASY_ANSWER, and so against any answer."""
    return outcome.status == "done" and outcome.value != "reference_unparsable"


@cache
def _checking_pool() -> VerificationPool:
    return VerificationPool(COMPARISON, cpu_seconds=2 * CPU_SECONDS)


def _finding(outcome: Outcome) -> Finding:
    return _SETTLED[outcome.value] if outcome.status == "done" else (None, _UNSETTLED[outcome.status])


def _verdict(pair: Pair, finding: Finding) -> Verdict:
    return Verdict(*finding, {"reference": pair[0], "answer": pair[1]})
