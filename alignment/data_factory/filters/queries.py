"""Query filters, as rules that need no stronger model: what cannot be judged, what needs no thinking, copies, what is tested.

Qwen3 (arXiv 2505.09388, section 4.1) has a model find queries that are not easily verified, such as those with several
sub-questions, and leaves out what is answered rightly without thinking. Neighbours: check.py, duplicates.py, rewards/.
"""

import re
from collections.abc import Mapping, Sequence

import rewards
from alignment.data.rows import Problem
from alignment.data_factory.filters.check import SOUND, Check, Finding
from alignment.data_factory.filters.duplicates import duplicate_checks
from alignment.data_factory.overlap import TestIndex
from alignment.recipe.blocks.rewards import Reward
from alignment.rollout.judgeable import named_columns
from alignment.rollout.references import graders_of, is_for
from rewards.gold import failures_of_gold

NOT_VERIFIABLE = (
    "no weighted verifier can judge it, its own reference fails, or one answer stands for several questions or a proof"
)
SOLVED = "the policy's answers without thinking are accepted"
SIMILAR = "the question repeats an evaluation's: 13 common tokens or more in order, and 0.6 of the shorter text"
_LETTERED = re.compile(r"(?:^|[\s;.,?])\(?([a-e]|i{1,3}|iv|v)\)\s+\S", re.IGNORECASE)
_PROOF = re.compile(
    r"(?:^|[.!?:,]\s+|\bthen\s+)(?:prove|show|verify)\s+(?:that|the following|by)\b|\bgive a proof\b", re.IGNORECASE
)
_QUESTIONS = re.compile(r"\?(?=\s|$)")


def query_checks(
    problems: Sequence[Problem],
    specs: Sequence[Reward],
    solved: Mapping[str, float | None] | None,
    least: float,
    tests: TestIndex,
) -> list[Check[Problem]]:
    """The checks for these problems.

    solved: the fraction of accepted answers without thinking by problem, None where none could be judged; None: nobody asked.
    least: the fraction from which a problem counts as solved.
    """
    made = [Check[Problem]("not_verifiable", NOT_VERIFIABLE, lambda rows: verifiable(rows, specs))]
    if solved is not None:
        rates = solved
        made.append(
            Check("solved_without_thinking", SOLVED, lambda rows: [_solved(rates.get(row.id), least) for row in rows])
        )
    made += duplicate_checks(problems, lambda row: row.text, 1.0)
    return [*made, Check("similar_to_evaluation", SIMILAR, lambda rows: [_similar(row, tests) for row in rows])]


def verifiable(problems: Sequence[Problem], specs: Sequence[Reward]) -> list[Finding]:
    """Whether each problem can be judged: by a verifier that applies, whose own reference passes it, and as one question."""
    failing = _failing_references(problems, specs)
    return [_verifiable(problem, specs, failing.get(problem.id)) for problem in problems]


def _verifiable(problem: Problem, specs: Sequence[Reward], failing: str | None) -> Finding:
    columns = {"tools": problem.tools, **problem.columns, "answer": problem.answer}
    read = [(spec, named_columns(spec, columns)) for spec in specs]
    if not any(rewards.is_row_of(spec.kind, row) for spec, row in read if spec.weight):
        return Finding(True, "no weighted verifier applies to it")
    trouble = next((found for spec, row in read if (found := rewards.row_fault(spec.kind, row)) is not None), failing)
    if trouble is not None:
        return Finding(True, trouble)
    if problem.answer:  # judged by one value, which several questions or a proof do not have
        several = several_questions(problem.question)
        if several is not None:
            return Finding(True, several)
    return SOUND


def several_questions(question: str) -> str | None:
    """Why a question has more than one answer, or none that can be compared: parts (a), (b), several questions, a proof."""
    parts = list(dict.fromkeys(found[1].lower() for found in _LETTERED.finditer(question)))
    if parts[:2] in (["a", "b"], ["i", "ii"]) and not _is_choice(question):
        return f"it has parts {', '.join(f'({part})' for part in parts)}"
    if (count := len(_QUESTIONS.findall(question))) > 1:
        return f"it asks {count} questions"
    proof = _PROOF.search(question)
    return f"it asks for a proof: “{proof[0].strip(' .,:')}”" if proof and not count else None


def _is_choice(question: str) -> bool:
    """Whether lettered parts are choices, of which one is the answer."""
    return bool(
        re.search(r"\b(?:which|choose|select|options?|one of the following|correct)\b", question, re.IGNORECASE)
    )


def _failing_references(problems: Sequence[Problem], specs: Sequence[Reward]) -> dict[str, str]:
    """Problems whose own reference does not pass its verifier, with the reason."""
    found: dict[str, str] = {}
    for kind, options in graders_of(specs).items():
        graded = [(one.id, {"answer": one.answer, **one.columns}) for one in problems if is_for(kind, one)]
        for failure in failures_of_gold(kind, graded, options) if graded else []:
            found[str(failure.place)] = (
                f"its reference {failure.reference[:80]!r} does not pass {kind}: {failure.reason}"
            )
    return found


def _solved(rate: float | None, least: float) -> Finding:
    if rate is None:
        return Finding(None, "no answer could be judged")
    return Finding(True, f"{rate:.0%} of the answers without thinking are accepted") if rate >= least else SOUND


def _similar(problem: Problem, tests: TestIndex) -> Finding:
    match = tests.match(problem.question)
    return SOUND if match is None else Finding(True, str(match))
