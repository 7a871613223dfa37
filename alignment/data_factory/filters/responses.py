"""The six response filters of Qwen3's cold start (arXiv 2505.09388, section 4.1), as rules that need no stronger model.

Each check has one rule, which its sentence states. They read the last question of a row, the thinking of its last
answer, and that answer. Neighbours: check.py, rewards/ (the verifiers that judge answers, loops and languages),
data_factory/overlap.py.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import rewards
from alignment.data.chat.modes import query_turns
from alignment.data.generators.families import problem_key
from alignment.data.rows import Conversation, Problem
from alignment.data_factory.filters.check import SOUND, Check, Finding
from alignment.data_factory.overlap import TestIndex
from alignment.recipe.blocks.rewards import Reward
from alignment.rollout.judges import reward_options
from rewards.compose import ComposedReward, total
from rewards.contract import SAMPLED_COLUMNS, Rollout
from rewards.kinds.language import LanguageConsistency, prose
from rewards.kinds.math_answer.boxes import last_box
from rewards.kinds.math_answer.reading import announced_in
from rewards.kinds.repetition import Repetition

Judge = Callable[[Sequence[Conversation]], list[Finding]]
LEAST_THINKING_WORDS = 5
WRONG = "the reward is below the largest that the weights of the recipe's verifiers allow"
REPEATED = "thinking or answer repeats itself: over two fifths of its 4-grams stood before, or it ends in a loop"
GUESSED = f"under {LEAST_THINKING_WORDS} words of thinking, or its last part guesses and checks nothing after that"
INCONSISTENT = "the thinking concludes another result than the answer gives"
MIXED = "thinking or answer is in another language than the question, or mixes scripts"
SIMILAR = "the question repeats an evaluation's: 13 common tokens or more in order, and 0.6 of the shorter text"
REPEATED_FRACTION = 0.4  # in short texts a line that is said twice is a fifth or more, and no loop
LAST_LINES = 3  # of the thinking, in which a result is looked for
LAST_PART = 0.4  # of the thinking: where a guess decides the answer
_GUESS = re.compile(
    r"\b(?:(?:i|i'll|i will|we|let me|let's|have to|going to|just)\s+(?:just\s+|simply\s+)?guess|(?:a|my|best|wild|random)\s+guess"
    r"|guessing|no idea|not sure how|pick (?:one|any) at random|at random)\b",
    re.IGNORECASE,
)
_CHECKED = re.compile(r"\b(?:check|verif\w+|confirm\w*|indeed|test\w*|works?|proof|prove\w*)\b", re.IGNORECASE)
_LAST_EQUATION = re.compile(r"=\s*(-?\$?\d[\d,]*(?:\.\d+)?(?:/\d+)?)\s*\.?\s*$")


@dataclass(frozen=True)
class Response:
    """A conversation's last question without flags, the thinking of its answer, and what follows it."""

    question: str
    thinking: str
    answer: str
    prompt: list[dict[str, object]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Thinking and answer as a policy writes them."""
        return f"<think>\n{self.thinking}\n</think>\n\n{self.answer}" if self.thinking else self.answer


def response_of(row: Conversation) -> Response:
    """The last exchange of a conversation."""
    asked = query_turns(row.messages)
    question = str(row.messages[asked[-1]].get("content") or "") if asked else ""
    last = row.messages[-1]
    return Response(
        re.sub(r"\s*/(?:no_)?think\s*$", "", question),
        str(last.get("reasoning_content") or ""),
        str(last.get("content") or ""),
        row.messages[: asked[-1] + 1] if asked else [],
    )


def response_checks(
    specs: Sequence[Reward], references: Mapping[str, Problem], tests: TestIndex
) -> list[Check[Conversation]]:
    """The six checks. references: problems by `problem_key` of their question; tests: what is evaluated on."""
    return [
        Check("wrong_answer", WRONG, _wrong(specs, references)),
        Check("repeated_text", REPEATED, _repeated),
        Check("guesswork", GUESSED, _guessed),
        Check("inconsistent_summary", INCONSISTENT, _inconsistent),
        Check("mixed_languages", MIXED, _mixed),
        Check("similar_to_evaluation", SIMILAR, similar_to(tests)),
    ]


def _wrong(specs: Sequence[Reward], references: Mapping[str, Problem]) -> Judge:
    """Judges answers whose reference is at hand; of others nothing is known."""

    def judge(rows: Sequence[Conversation]) -> list[Finding]:
        """Whether each row's answer has less than its full score; unknown without a reference."""
        found = [response_of(row) for row in rows]
        known = [references.get(problem_key(one.question)) for one in found]
        places = [place for place, problem in enumerate(known) if problem is not None]
        findings = [Finding(None, "no reference answer") for _ in rows]
        if not places or not specs:
            return findings
        problems = [problem for problem in known if problem is not None]
        reward = rewards.reward_function([reward_options(spec) for spec in specs])
        table = reward.verdicts(
            [found[place].prompt for place in places],
            [found[place].text for place in places],
            **_columns(reward, problems, [rows[place] for place in places]),
        )
        reward.close()
        for place, verdicts in zip(places, table, strict=True):
            findings[place] = _scored(reward, verdicts)
        return findings

    return judge


def _columns(reward: ComposedReward, problems: Sequence[Problem], rows: Sequence[Conversation]) -> dict[str, Any]:
    """What verifiers read: the problems' columns, None where one has not got it, and the rows' modes and tools."""
    read = {one.columns.get(name, name) for one in reward.components for name in one.verifier.columns}
    names = {*(read - SAMPLED_COLUMNS), *(name for problem in problems for name in problem.columns)}
    columns: dict[str, Any] = {name: [problem.columns.get(name) for problem in problems] for name in sorted(names)}
    answers = [problem.answer or None for problem in problems]
    return {
        "tools": [row.tools or None for row in rows],
        **columns,
        "answer": answers,
        "mode": [row.mode for row in rows],
    }


def _scored(reward: ComposedReward, verdicts: Mapping[str, rewards.Verdict]) -> Finding:
    """At fault where the reward is below the largest that its weights allow the row; unknown where it is unknown."""
    full = sum(one.weight for one in reward.components if one.weight > 0 and verdicts[one.name].applicable)
    score = total(reward.components, verdicts)
    if score is None:
        return Finding(None, "not judged")
    low = [f"{name}: {one.reason}" for name, one in verdicts.items() if one.applicable and one.score != 1]
    return Finding(True, "; ".join(low)) if score < full - 1e-9 else SOUND


def _repeated(rows: Sequence[Conversation]) -> list[Finding]:
    made = [Rollout("", response_of(row).text) for row in rows]
    return [
        Finding(one.score is not None and one.score < 1, _said(one))
        for one in Repetition(threshold=REPEATED_FRACTION).judge(made)
    ]


def _mixed(rows: Sequence[Conversation]) -> list[Finding]:
    """The language of each part against the question's; what is too short to tell, and formulas, stay."""
    found = [response_of(row) for row in rows]
    judged = LanguageConsistency(parts="both").judge([Rollout(one.question, one.text) for one in found])
    return [
        Finding(None if verdict.score is None else verdict.score < 1 and bool(prose(one.text).strip()), _said(verdict))
        for one, verdict in zip(found, judged, strict=True)
    ]


def _said(verdict: rewards.Verdict) -> str:
    evidence = ", ".join(f"{name} {value}" for name, value in verdict.evidence.items())
    return f"{verdict.reason} ({evidence})" if evidence else verdict.reason


def _guessed(rows: Sequence[Conversation]) -> list[Finding]:
    return [_guess(response_of(row), row.mode) for row in rows]


def _guess(one: Response, mode: str) -> Finding:
    if mode != "thinking":
        return SOUND  # it is not meant to think
    words = one.thinking.split()
    if len(words) < LEAST_THINKING_WORDS:
        return Finding(True, f"{len(words)} words of thinking")
    start = int(len(one.thinking) * (1 - LAST_PART))
    guesses = [found for found in _GUESS.finditer(one.thinking) if found.end() > start]
    if guesses and not _CHECKED.search(one.thinking, guesses[-1].end()):
        return Finding(True, f"“{guesses[-1][0]}” and nothing checked after it")
    return SOUND


def _inconsistent(rows: Sequence[Conversation]) -> list[Finding]:
    """Compares what the thinking concludes with the answer, as mathematics; unknown where it concludes nothing."""
    found = [response_of(row) for row in rows]
    concluded = [conclusion(one.thinking) for one in found]
    findings = [Finding(None, "the thinking states no result") for _ in rows]
    places = [place for place, result in enumerate(concluded) if result is not None]
    if not places:
        return findings
    reward = rewards.reward_function([{"kind": "math_answer"}])
    table = reward.verdicts(
        [""] * len(places), [found[place].answer for place in places], answer=[concluded[place] for place in places]
    )
    reward.close()
    for place, verdicts in zip(places, table, strict=True):
        verdict = next(iter(verdicts.values()))
        no_answer = verdict.reason in ("no_answer", "answer_unparsable")
        if verdict.score is None or no_answer:
            findings[place] = Finding(None, verdict.reason)
        else:
            findings[place] = Finding(verdict.score < 1, f"the thinking concludes {concluded[place]}")
    return findings


def conclusion(thinking: str) -> str | None:
    """What a thinking states as its result: the box, announcement or closing equation nearest to its end; else its last box."""
    lines = [line for line in thinking.splitlines() if line.strip()]
    for line in reversed(lines[-LAST_LINES:]):
        equation = _LAST_EQUATION.search(line)
        found = last_box(line) or announced_in(line) or (equation[1] if equation else None)
        if found is not None:
            return found
    return last_box(thinking)


def similar_to(tests: TestIndex) -> Judge:
    """Judges conversations by the tests that their last question repeats."""

    def judge(rows: Sequence[Conversation]) -> list[Finding]:
        matches = (tests.match(response_of(row).question) for row in rows)
        return [SOUND if match is None else Finding(True, str(match)) for match in matches]

    return judge
