r"""Kind `language`: is a completion in the language of its prompt, or in a named one, and in one script?

Qwen3's cold start drops rows that mix languages, and reasoning RL drifts into mixing; this makes it cost. detection.py
decides; code, formulas and web addresses are left out first. Text too short to tell is a verdict without a score.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal

from rewards.contract import THINK_CLOSE, THINK_OPEN, Rollout, Verdict
from rewards.detection import FEWEST_LETTERS, FEWEST_SIGNS, LANGUAGES, Detection, detect
from rewards.kind import Group, Kind, Row

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
    `foreign_fraction` is how much of the letters may be of scripts that the language does not use. Latin and Greek letters
    in a language with another script are names and symbols, and are free up to half.
    """

    columns: tuple[str, ...] = ()

    def __init__(self, *, language: str = "", parts: Parts = "answer", foreign_fraction: float = 0.1) -> None:
        fault = self.option_fault(language=language, foreign_fraction=foreign_fraction)
        if fault is not None:
            raise ValueError(fault)
        self.language, self.parts, self.foreign_fraction = language, parts, foreign_fraction

    @staticmethod
    def option_fault(*, language: str = "", parts: Parts = "answer", foreign_fraction: float = 0.1) -> str | None:
        """Why options cannot work, or None when they can."""
        if language and language not in LANGUAGES:
            return f"language must be a code such as en, not {language!r}; there are: {' '.join(sorted(LANGUAGES))}"
        return (
            None if 0 <= foreign_fraction < 1 else f"foreign_fraction must be from 0 to below 1, not {foreign_fraction}"
        )

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout. None where the prompt's language, or every part's, is unknown."""
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
        mixed = foreign(found, expected) > self.foreign_fraction
        if found.language is None and next(iter(found.scripts)) in LANGUAGES[expected]:
            # Letters swapped for another script's that look alike leave no language to tell, and are a mixture still.
            sure = mixed and letters >= FEWEST_LETTERS
            return Verdict(0.0, "mixed_scripts", evidence) if sure else Verdict(None, "undecidable", evidence)
        if found.language != expected:
            return Verdict(0.0, "other_language", evidence)
        return Verdict(0.0, "mixed_scripts", evidence) if mixed else Verdict(1.0, "same_language", evidence)


def foreign(found: Detection, language: str) -> float:
    """The fraction of letters whose script a language does not use, without those that are natural in it."""
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


# The table of `language`: the prompt's language and named ones, neighbours, mixed scripts, silence, and hiding places.
ASKED = "Why is the sea salty, and where does all the salt come from?"
ENGLISH = "Rivers wash the salt out of the land and carry it into the sea."
GERMAN = "Das Meer ist salzig, weil die Flüsse das Salz vom Land ins Meer spülen."
DUTCH = "De zee is zout omdat de rivieren het zout van het land naar de zee spoelen."
FRENCH = "La mer est salée parce que les rivières emportent le sel de la terre vers la mer."
SPANISH = "El mar es salado porque los ríos llevan la sal de la tierra hasta el mar."
PORTUGUESE = "O mar é salgado porque os rios levam o sal da terra até ao mar; não há outra explicação."
RUSSIAN = "Море солёное, потому что реки вымывают соль из земли и несут её в море."
UKRAINIAN = "Море солоне, тому що річки вимивають сіль із землі та несуть її до моря, і це відомо всім."
CHINESE = "海水是咸的，因为河流把陆地上的盐带进了大海。"
JAPANESE = "海の水が塩辛いのは、川が陸の塩を海に運ぶからです。"
KOREAN = "강물이 땅의 소금을 바다로 나르기 때문에 바닷물은 짜다."
ARABIC = "ماء البحر مالح لأن الأنهار تحمل الملح من الأرض إلى البحر."
GREEK = "Η θάλασσα είναι αλμυρή επειδή τα ποτάμια φέρνουν αλάτι από τη γη."
THAI = "น้ำทะเลเค็มเพราะแม่น้ำพาเกลือจากแผ่นดินลงสู่ทะเล"


def _in(group: Group, completion: str, score: float | None, language: str = "", **options: Any) -> Row:
    """A completion held against a named language, or against that of an English prompt."""
    given = {"language": language} if language else {}
    return Row(group, completion, score, prompt=ASKED, options={**given, **options})


def _asked(group: Group, prompt: str, completion: str, score: float | None) -> Row:
    return Row(group, completion, score, prompt=prompt)


def _thought(thinking: str, answer: str) -> str:
    return f"<think>\n{thinking}\n</think>\n\n{answer}"


ROWS: tuple[Row, ...] = (
    _in("gold", ENGLISH, 1.0),
    _in("gold", GERMAN, 1.0, "de"),
    _in("gold", FRENCH, 1.0, "fr"),
    _in("gold", RUSSIAN, 1.0, "ru"),
    _in("gold", CHINESE, 1.0, "zh"),
    _in("gold", THAI, 1.0, "th"),
    _asked("gold", "Warum ist das Meer salzig, und woher kommt das ganze Salz?", GERMAN, 1.0),
    _asked("gold", "¿Por qué es salado el mar y de dónde viene toda la sal?", SPANISH, 1.0),
    _asked("gold", "海水为什么是咸的？盐是从哪里来的？", CHINESE, 1.0),
    _asked("gold", "どうして海の水は塩辛いのですか。", JAPANESE, 1.0),
    _asked("gold", "바닷물은 왜 짠가요? 소금은 어디에서 오나요?", KOREAN, 1.0),
    _asked("gold", "لماذا ماء البحر مالح ومن أين يأتي الملح؟", ARABIC, 1.0),
    _asked("gold", "Γιατί είναι αλμυρή η θάλασσα;", GREEK, 1.0),
    _in("gold", "我用 Python 和 TensorFlow 写了一个程序来计算海水里的盐分。", 1.0, "zh"),
    _in("gold", f"{ENGLISH}\n```python\nсоль = 'морская соль из реки'\n```", 1.0),
    _in("gold", ENGLISH + r" So $\alpha = \beta$ and the answer is \boxed{42}.", 1.0),
    _in("gold", ENGLISH + " The angle α and the radius ρ are small.", 1.0),
    _in("gold", _thought(CHINESE, ENGLISH), 1.0),
    _in("gold", _thought(ENGLISH, r"\boxed{42}"), 1.0, parts="both"),
    _in("gold", _thought(ENGLISH, CHINESE), 1.0, parts="thinking"),
    _in("gold", ENGLISH + " The Chinese word is 盐.", 1.0),
    _in("near_miss", GERMAN, 0.0),
    _in("near_miss", DUTCH, 0.0, "de"),
    _in("near_miss", PORTUGUESE, 0.0, "es"),
    _in("near_miss", SPANISH, 0.0, "pt"),
    _in("near_miss", UKRAINIAN, 0.0, "ru"),
    _in("near_miss", JAPANESE, 0.0, "zh"),
    _in("near_miss", CHINESE, 0.0, "ja"),
    _in("near_miss", ENGLISH, 0.0, "zh"),
    _in("near_miss", "盐从陆地来", 0.0),  # short, and in a script that English does not have
    _in("near_miss", "Rivers wash the salt 从陆地带进大海 out of the land.", 0.0),
    _in("near_miss", ENGLISH + " The Chinese word is 盐.", 0.0, foreign_fraction=0.0),
    _in("near_miss", _thought(CHINESE, ENGLISH), 0.0, parts="both"),
    _in("near_miss", _thought(ENGLISH, CHINESE), 0.0, parts="both"),
    _in("near_miss", _thought(CHINESE, ENGLISH), 0.0, parts="thinking"),
    _in("garbage", "", None),
    _in("garbage", " \n\t", None),
    _in("garbage", "12 + 30 = 42", None),
    _in("garbage", "?!… ⟨⟩ \x00", None),
    _in("garbage", "<think>\n", None),
    _in("unjudgeable", r"\boxed{42}", None),
    _in("unjudgeable", "Salt.", None),
    _in("unjudgeable", "```\n" + ENGLISH + "\n```", None),
    _in("unjudgeable", ENGLISH, None, parts="thinking"),
    _in("unjudgeable", "<think>\n" + ENGLISH, None),  # cut off before an answer
    _asked("unjudgeable", "12 + 30 = ?", ENGLISH, None),
    _asked("unjudgeable", "", ENGLISH, None),
    # One language stands where it is not read, another where it is.
    _in("adversarial", "```\n" + ENGLISH * 20 + "\n```\n" + CHINESE, 0.0),
    _in("adversarial", "`" + ENGLISH + "` $" + ENGLISH + "$ " + GERMAN, 0.0),
    _in("adversarial", "https://example.org/" + "the-salt-of-the-sea-" * 50 + " " + RUSSIAN, 0.0),
    _in("adversarial", _thought(ENGLISH * 20, RUSSIAN), 0.0),
    # Letters of another alphabet that look the same.
    _in("adversarial", "Тhе rіvеrs wаsh thе sаlt оut оf thе lаnd аnd саrry іt іntо thе sеа.", 0.0),
    _in("adversarial", "盐a" * 100_000, 0.0),
    _in("adversarial", "`" * 200_000, None),
    _in("adversarial", "\\" * 100_000 + "$" * 100_000, None),
)

KIND = Kind("language", LanguageConsistency, ROWS)
