"""Kind `abstention`: right is better than "I don't know", which is better than wrong; and to know that nobody can know.

A row's `known_answers` lists the answers that are right; an empty list says that the question cannot be answered from what
is given. The ternary reward is that of TruthRL (arXiv 2509.25760), brought to 0 and 1: with `abstain_score` s a policy that
is right with probability p gains by answering where p > s. `abstains` says for evaluation whether a text declines to answer.
"""

import json
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from rewards.contract import Rollout, Verdict, not_applicable
from rewards.kind import Gold, Kind, Row

COLUMN = "known_answers"
DONT_KNOW = "I don't know."  # how a gold answer abstains
MOST_WORDS = 40  # of an answer that abstains; a longer one says something
_BOX = re.compile(r"\\boxed\{([^{}]*)\}")
_SAID_FIRST = re.compile(r"^(?:the )?(?:final )?answer (?:is|:)\s*", re.IGNORECASE)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_DECLINES = re.compile(
    r"\b(?:i (?:do not|don'?t|cannot|can'?t) (?:know|tell|say|answer|determine)|(?:is|are|it'?s) (?:not known|unknown)|unknown"
    r"|(?:cannot|can'?t|can not) be (?:answered|determined|known|told)|not (?:stated|mentioned|given|said) (?:in|by)"
    r"|(?:there is )?(?:no|not enough|insufficient) information|unanswerable)\b",
    re.IGNORECASE,
)


class Abstention:
    """Verifier of the kind `abstention`.

    `abstain_score`: the score of declining to answer a question that has an answer, from 0 (as bad as wrong) to below 1.
    `phrase`: words of your own that decline, beside the usual English ones.
    """

    columns: tuple[str, ...] = (COLUMN,)

    def __init__(self, *, abstain_score: float = 0.3, phrase: str = "") -> None:
        fault = self.option_fault(abstain_score=abstain_score)
        if fault is not None:
            raise ValueError(fault)
        self.abstain_score, self.phrase = abstain_score, phrase

    @staticmethod
    def option_fault(*, abstain_score: float = 0.3, phrase: str = "") -> str | None:
        """Why options cannot work, or None when they can."""
        if 0 <= abstain_score < 1:
            return None
        return f"abstain_score must be from 0 to below 1, so that a right answer is worth more, not {abstain_score}"

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout. None for a row whose answers cannot be read."""
        return [self._judge(rollout) for rollout in rollouts]

    def close(self) -> None:
        """Nothing to end."""

    def _judge(self, rollout: Rollout) -> Verdict:
        given = rollout.column("abstention", COLUMN)
        if given is None:
            return not_applicable(COLUMN)
        known = _listed(given)
        if known is None:
            return Verdict(None, "answers_unreadable", {"detail": f"{COLUMN} has to be a list of texts"})
        score, reason = self._score(rollout.answer, known)
        return Verdict(score, reason, {"answerable": bool(known)})

    def _score(self, said: str, known: Sequence[str]) -> tuple[float, str]:
        if not said:
            return 0.0, "no_answer"
        right = is_known(said, known)
        if abstains(said, self.phrase) and not right:
            return (self.abstain_score, "abstained") if known else (1.0, "rightly_abstained")
        if not known:
            return 0.0, "invented"
        return float(right), "right" if right else "wrong"


def abstains(answer: str, phrase: str = "") -> bool:
    """Whether an answer, without its thinking, declines: it says in at most 40 words that it does not know."""
    said = answer.replace("’", "'")
    if len(said.split()) > MOST_WORDS:
        return False
    own = bool(phrase) and phrase.casefold() in said.casefold()
    return own or _DECLINES.search(said) is not None


def is_known(answer: str, known: Sequence[str]) -> bool:
    """Whether an answer is one of those that are right: in its last box if it has one, else as a whole.

    Compared as SQuAD does (arXiv 1606.05250): without case, punctuation at the ends of words, articles and extra spaces.
    """
    boxes = _BOX.findall(answer)
    said = _plain(boxes[-1] if boxes else _SAID_FIRST.sub("", answer.strip()))
    return bool(said) and said in {_plain(one) for one in known}


def _plain(text: str) -> str:
    words = (word.strip(string.punctuation) for word in _ARTICLES.sub(" ", text.casefold()).split())
    return " ".join(filter(None, words))


def _listed(given: Any) -> list[str] | None:
    """The answers of a row, also as JSON text or numbers; None for what is no list."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            return None
    if isinstance(given, (str, Mapping)) or not isinstance(given, Sequence):
        return None
    return [str(one) for one in given] if all(isinstance(one, (str, int, float)) for one in given) else None


def _row_fault(columns: Mapping[str, Any]) -> str | None:
    given = columns.get(COLUMN)
    if given is None or _listed(given) is not None:
        return None
    return f"`{COLUMN}` has to be a list of texts, empty where nobody can know; found {given!r}"


def _gold(columns: Mapping[str, Any]) -> str:
    return next(iter(_listed(columns[COLUMN]) or []), DONT_KNOW)


def _row(group: Any, completion: str, score: float | None, known: Any, **options: Any) -> Row:
    return Row(group, completion, score, {COLUMN: known}, options=options)


# The table of `abstention`: right, wrong and declining answers to questions that can and cannot be answered.
ROWS: tuple[Row, ...] = (
    _row("gold", "Paris", 1.0, ["Paris"]),
    _row("gold", "The answer is Paris.", 1.0, ["Paris", "Paris, France"]),
    _row("gold", "So it is \\boxed{42}.", 1.0, [42]),
    _row("gold", "<think>\nNobody says. I don't know.\n</think>\n\n42", 1.0, ["42"]),
    _row("gold", "the  Great Wall", 1.0, ["Great Wall"]),
    _row("gold", "paris", 1.0, '["Paris"]'),
    _row("gold", "I don't know.", 1.0, []),
    _row("gold", "I do not know that.", 1.0, []),
    _row("gold", "This is not stated in the document.", 1.0, []),
    _row("gold", "It cannot be determined from what is given.", 1.0, []),
    _row("gold", "Sorry, no clue!", 1.0, [], phrase="no clue"),
    _row("gold", "unknown", 1.0, ["unknown"]),  # an answer that is right is no abstention
    _row("near_miss", "I don't know.", 0.3, ["Paris"]),
    _row("near_miss", "I don’t know.", 0.5, ["Paris"], abstain_score=0.5),
    _row("near_miss", "I don't know.", 0.0, ["Paris"], abstain_score=0.0),
    _row("near_miss", "I don't know, maybe Paris.", 0.3, ["Paris"]),
    _row("near_miss", "Sorry, no clue!", 0.0, []),
    _row("near_miss", "Rome", 0.0, ["Paris"]),
    _row("near_miss", "Paris or Rome", 0.0, ["Paris"]),
    _row("near_miss", "4", 0.0, ["42"]),
    _row("near_miss", "Paris", 0.0, []),
    _row("garbage", "", 0.0, ["Paris"]),
    _row("garbage", "", 0.0, []),
    _row("garbage", "<think>\nI don't know.", 0.0, []),  # cut off before an answer
    _row("garbage", "?!", 0.0, ["Paris"]),
    _row("unjudgeable", "Paris", None, None),
    _row("unjudgeable", "Paris", None, "Paris"),
    _row("unjudgeable", "Paris", None, {"answer": "Paris"}),
    _row("unjudgeable", "Paris", None, [None]),
    # Every answer at once, and an answer that talks on behind the words that decline.
    _row("adversarial", "Paris, Rome, London, Berlin, Madrid", 0.0, ["Paris"]),
    _row("adversarial", "I don't know. " + "But surely it is Rome, as all the sources say. " * 5, 0.0, []),
    _row("adversarial", "\\boxed{" * 20_000, 0.0, ["Paris"]),
    _row("adversarial", "a " * 100_000, 0.0, []),
    _row("adversarial", "\\boxed{Rome}\\boxed{Paris}" * 2, 1.0, ["Paris"]),  # the last box counts
)

KIND = Kind("abstention", Abstention, ROWS, Gold(_gold, COLUMN), _row_fault, may_be_empty=(COLUMN,))
