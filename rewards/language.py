r"""Kind `language`: is a completion in the language of its prompt, or in a named one, and in one script?

Qwen3's cold start drops rows that mix languages, and reasoning RL drifts into mixing; this makes it cost. detection.py
decides; code, formulas and web addresses are left out first. Text too short to tell is a verdict without a score.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal

from rewards.contract import THINK_CLOSE, THINK_OPEN, Rollout, Verdict
from rewards.detection import FEWEST_LETTERS, FEWEST_SIGNS, LANGUAGES, Detection, detect

Parts = Literal["answer", "thinking", "both"]

# Linear: nothing is repeated that could match what follows it, and an opening mark without a closing one costs one scan
# of a line at most (fences: of the text, once, because they are split and not searched for).
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_FORMULA = re.compile(r"\$[^$\n]*\$")
_COMMAND = re.compile(r"\\[A-Za-z]++")
FENCE = "```"
NATURAL_FOREIGN = frozenset(("latin", "greek"))  # names and symbols, in texts of any other script


class LanguageConsistency:
    """Verifier of the kind `language`: 1.0 in the right language, 0.0 in another one or in a mixture of scripts.

    `language` is an ISO 639-1 code; empty, it is the prompt's. `parts` says what is judged; of both, either may fail.
    `foreign_share` is how much of the letters may be of scripts that the language does not use. Latin and Greek letters
    in a language with another script are names and symbols, and are free up to half.
    """

    columns: tuple[str, ...] = ()

    def __init__(self, *, language: str = "", parts: Parts = "answer", foreign_share: float = 0.1) -> None:
        problem = self.option_problem(language=language, foreign_share=foreign_share)
        if problem is not None:
            raise ValueError(problem)
        self.language, self.parts, self.foreign_share = language, parts, foreign_share

    @staticmethod
    def option_problem(*, language: str = "", parts: Parts = "answer", foreign_share: float = 0.1) -> str | None:
        """Why options cannot work, or None when they can."""
        if language and language not in LANGUAGES:
            return f"language must be a code such as en, not {language!r}; there are: {' '.join(sorted(LANGUAGES))}"
        return None if 0 <= foreign_share < 1 else f"foreign_share must be from 0 to below 1, not {foreign_share}"

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout. None where the prompt's language, or every part's, cannot be told."""
        return [self._judge(rollout) for rollout in rollouts]

    def close(self) -> None:
        """Nothing to end."""

    def _judge(self, rollout: Rollout) -> Verdict:
        expected = self.language or detect(prose(question(rollout.prompt))).language
        if expected is None:
            return Verdict(None, "prompt_undecidable")
        texts = {"thinking": rollout.thinking, "answer": rollout.answer}
        judged = {name: self._part(text, expected) for name, text in texts.items() if self.parts in (name, "both")}
        reasons = [verdict.reason for verdict in judged.values()]
        evidence = {name: dict(verdict.evidence) for name, verdict in judged.items()}
        for reason, score in (("mixed_scripts", 0.0), ("other_language", 0.0), ("same_language", 1.0)):
            if reason in reasons:
                return Verdict(score, reason, {"expected": expected, **evidence})
        return Verdict(None, "undecidable", {"expected": expected, **evidence})

    def _part(self, text: str, expected: str) -> Verdict:
        found = detect(prose(text))
        evidence = {"found": found.language, "scripts": found.scripts}
        letters = sum(found.scripts.values())
        if letters < FEWEST_SIGNS:
            return Verdict(None, "undecidable", evidence)
        mixed = foreign(found, expected) > self.foreign_share
        if found.language is None and next(iter(found.scripts)) in LANGUAGES[expected]:
            # Letters swapped for another script's that look alike leave no language to tell, and are a mixture still.
            told = mixed and letters >= FEWEST_LETTERS
            return Verdict(0.0, "mixed_scripts", evidence) if told else Verdict(None, "undecidable", evidence)
        if found.language != expected:
            return Verdict(0.0, "other_language", evidence)
        return Verdict(0.0, "mixed_scripts", evidence) if mixed else Verdict(1.0, "same_language", evidence)


def foreign(found: Detection, language: str) -> float:
    """The share of letters whose script a language does not use, without those that are natural in it."""
    free = {*LANGUAGES[language], "greek"}
    if "latin" not in free:
        free |= NATURAL_FOREIGN
    total = sum(found.scripts.values())
    return sum(count for script, count in found.scripts.items() if script not in free) / total


def prose(text: str) -> str:
    """A text without fenced and inline code, formulas, LaTeX commands and think tags."""
    spoken = " ".join(text.split(FENCE)[::2]).replace(THINK_OPEN, " ").replace(THINK_CLOSE, " ")
    for pattern in (_INLINE_CODE, _FORMULA, _COMMAND):
        spoken = pattern.sub(" ", spoken)
    return spoken


def question(prompt: str | Sequence[dict[str, Any]]) -> str:
    """The text that a prompt asks in: its last user turn, or all of a prompt that is text."""
    if isinstance(prompt, str):
        return prompt
    turns = [message.get("content") for message in prompt if message.get("role") == "user"]
    last = turns[-1] if turns else ""
    return last if isinstance(last, str) else "".join(part.get("text", "") for part in last or ())
