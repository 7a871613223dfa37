"""The kind `language`: the prompt's language or a named one, mixed scripts, and text that does not tell."""

import time
from typing import Any

import pytest

from rewards import Rollout, Verdict, spec_faults
from rewards.detection import LANGUAGES, detect, is_in, scripts_of
from rewards.kinds.language import LanguageConsistency, prose

ENGLISH = "Why is the sea salty, and where does all the salt come from?"
GERMAN = "Das Meer ist salzig, weil die Flüsse das Salz vom Land ins Meer spülen."
CHINESE = "海水是咸的，因为河流把陆地上的盐带进了大海。"


def verdict_on(completion: str, prompt: Any = ENGLISH, **options: Any) -> Verdict:
    (verdict,) = LanguageConsistency(**options).judge([Rollout(prompt, completion)])
    return verdict


@pytest.mark.parametrize(
    ("completion", "options", "score", "reason"),
    [
        ("Rivers wash the salt out of the land.", {}, 1.0, "same_language"),
        (GERMAN, {}, 0.0, "other_language"),
        (GERMAN, {"language": "de"}, 1.0, "same_language"),
        (CHINESE, {}, 0.0, "other_language"),
        (CHINESE, {"language": "zh"}, 1.0, "same_language"),
        ("我用 Python 和 TensorFlow 写了一个程序来计算海水里的盐分。", {"language": "zh"}, 1.0, "same_language"),
        ("Rivers wash the salt 从陆地带进大海 out of the land.", {}, 0.0, "mixed_scripts"),
        ("The rivers wash `из земли соль` out, $\\alpha$ and \\text of the land.", {}, 1.0, "same_language"),
        ("Salt.", {}, None, "undecidable"),
        (r"\boxed{42}", {}, None, "undecidable"),
        ("", {}, None, "undecidable"),
        ("盐从陆地来", {}, 0.0, "other_language"),
        ("<think>\n" + CHINESE + "\n</think>\n\nRivers wash the salt out of the land.", {}, 1.0, "same_language"),
        ("<think>\n" + CHINESE + "\n</think>\n\nRivers wash the salt out.", {"parts": "both"}, 0.0, "other_language"),
        ("<think>\nRivers wash it out of the land.\n</think>\n\n42", {"parts": "both"}, 1.0, "same_language"),
        ("<think>\n" + CHINESE + "\n</think>\n\nIt is salt.", {"parts": "thinking"}, 0.0, "other_language"),
    ],
)
def test_a_completion_is_judged_against_a_language(
    completion: str, options: dict[str, Any], score: float | None, reason: str
) -> None:
    verdict = verdict_on(completion, **options)
    assert (verdict.score, verdict.reason) == (score, reason)


def test_a_prompt_that_tells_no_language_leaves_the_completion_unjudged() -> None:
    assert verdict_on(GERMAN, "12 + 30 = ?").reason == "prompt_undecidable"
    assert verdict_on(GERMAN, "12 + 30 = ?", language="de").score == 1.0


def test_the_prompts_language_is_that_of_its_last_user_turn() -> None:
    turns = [{"role": "system", "content": ENGLISH}, {"role": "user", "content": GERMAN}]
    assert verdict_on(GERMAN, turns).score == 1.0
    parts = [{"role": "user", "content": [{"type": "text", "text": GERMAN}]}, {"role": "assistant", "content": CHINESE}]
    assert verdict_on(GERMAN, parts).score == 1.0


def test_scripts_are_counted_by_letters() -> None:
    assert scripts_of("Salt, соль, 盐 12!") == {"latin": 4, "cyrillic": 4, "han": 1}
    assert scripts_of("12 + 3") == {}


def test_a_script_with_one_language_settles_it_and_short_latin_text_does_not() -> None:
    assert detect("θάλασσα").language == "el"
    assert detect("sea salt").language is None
    assert (is_in("соль и море", "en"), is_in("sea salt", "en"), is_in("42", "en")) == (False, None, False)
    assert LANGUAGES["sr"] == ("cyrillic", "latin")


def test_code_and_formulas_are_no_prose() -> None:
    assert prose("a ```код``` b `код` c $код$ d \\код").split() == ["a", "b", "c", "d", "\\код"]


def test_an_unknown_language_is_refused_with_those_there_are() -> None:
    assert (
        "language must be a code such as en, not 'english'"
        in spec_faults([{"kind": "language", "language": "english"}])[0]
    )


@pytest.mark.parametrize(
    "text",
    [
        "`" * 200_000,
        "$a" * 100_000,
        "\\" * 200_000,
        "\\a" * 100_000,
        "http://" * 28_000,
        "``" * 99_999 + "a",
        "盐a" * 100_000,
        "<think>" * 28_000,
        "\ud800" * 200_000,
    ],
)
def test_no_hostile_text_is_slow(text: str) -> None:
    verdict_on(ENGLISH)
    started = time.process_time()
    verdict_on(text, parts="both")
    assert time.process_time() - started < 3.0  # a second on a slow machine; what backtracks takes minutes
