"""Every instruction type of IFEval on answers that follow it and answers that nearly do, strict and loose."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from rewards.kinds.instruction.constraints import CONSTRAINTS, DEMANDS
from rewards.kinds.instruction.constraints.sentences import count_sentences
from rewards.kinds.instruction.verifier import follows, variants

# instruction, kwargs, an answer that follows it, one that does not
TABLE: list[tuple[str, dict[str, Any], str, str]] = [
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "at least"},
     "The SEA is WELL-KNOWN.", "The Sea is WELL-known, 1 2 3."),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "less than"},
     "THE sea.", "THE SEA."),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "less than"},
     "The U.S.A. is wide.", "The U.S.A. and the E.U are wide."),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "at least"},
     "It DON'T.", "AND/OR."),
    ("change_case:capital_word_frequency", {"capital_frequency": 1, "capital_relation": "at least"},
     "NASA's sea.", "Nasa'S_a sea."),
    ("change_case:english_capital", {}, "THE SEA IS BLUE AND WIDE.", "THE SEA IS BLUE AND WIDe."),
    ("change_case:english_capital", {}, "YES.", "DAS MEER IST BLAU UND SEHR TIEF."),
    ("change_case:english_lowercase", {}, "the sea is blue and wide.", "the sea is blue and Wide."),
    ("change_case:english_lowercase", {}, "yes.", "das meer ist blau und sehr tief."),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem. "}, "write a poem. The sea.", "Sure: Write a poem."),
    ("combination:two_responses", {}, "Blue.\n******\nGreen.", "Blue.\n******\nBlue."),
    ("combination:two_responses", {}, "******Blue.******Green.******", "Blue.******Green.******Red."),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name], [street]", "[name], [\nstreet], [[ ("),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\np. s. Write soon.", "Bye.\nPS Write soon."),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\nP.P.S. Write.", "Bye.\nP.S. Write."),
    ("detectable_content:postscript", {"postscript_marker": "Note+"}, "note+ this", "Notee this"),
    ("detectable_format:constrained_response", {}, "Well: My answer is no.", "My answer is No."),
    ("detectable_format:json_format", {}, '```json\n{"a": [1, 2.5]}\n```', '{"a": 1} is the answer'),
    ("detectable_format:json_format", {}, '[]', "{'a': 1}"),
    ("detectable_format:json_format", {}, '```json```{"a": 1}```', '```{"a": 1}``````'),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2},
     "Section 1\nSea.\nSection 2\nSalt.", "Section 1\nSea.\nSection two\nSalt."),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "Two:\n* salt\n  - sea", "Two:\n* salt\n** sea\n*"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "- a\n- b", "- a\n- b\n- c"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "*\nsalt\n* sea", "*\n* salt"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*salt* and **sea**", "*salt* and ** **"),
    ("detectable_format:title", {}, "<<The Sea>>\nIt is wide.", "<<>>\n<The Sea>"),
    ("detectable_format:title", {}, "<<<Sea>>>", "<<\u00a0>>"),
    ("keywords:existence", {"keywords": ["salt", "sea"]}, "Seas are SALTY.", "Salt comes from the ocean."),
    ("keywords:existence", {"keywords": ["C++"]}, "c++ is fast", "c is fast"),
    ("keywords:forbidden_words", {"forbidden_words": ["sea", "rock"]}, "The seaside rocks.", "The Sea."),
    ("keywords:frequency", {"keyword": "sea", "frequency": 2, "relation": "at least"}, "Sea, seaside.", "Sea, ocean."),
    ("keywords:frequency", {"keyword": "sea", "frequency": 2, "relation": "less than"}, "The sea.", "The sea, the SEA."),
    ("keywords:letter_frequency", {"letter": "S", "let_frequency": 3, "let_relation": "at least"}, "Sass", "Sea, bus"),
    ("keywords:letter_frequency", {"letter": "!", "let_frequency": 1, "let_relation": "less than"}, "Sea.", "Sea!"),
    ("language:response_language", {"language": "de"}, "Das Meer ist blau und tief.", "The sea is blue and deep."),
    ("language:response_language", {"language": "hi"}, "समुद्र नीला और बहुत गहरा है।", "12 + 3"),
    ("language:response_language", {"language": "kn"}, "ಸಮುದ್ರ ನೀಲಿ", "समुद्र नीला है"),
    ("length_constraints:nth_paragraph_first_word",
     {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Salt"},
     "The sea.\n\n\"Salt,\" they say.", "Salt is here.\n\nThe sea."),
    ("length_constraints:nth_paragraph_first_word",
     {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "salt"}, "salt.\n\nsea", "salt.\n\nsea\n\nsand"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "Sea.\n***\nSalt.\n***", "Sea.\n***\n***\nSalt."),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"},
     "The sea is blue. Is it deep?", "Dr. Sea costs 3.50 at St. Ives, 5 p.m. today."),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, "One!", "One! Two!"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "one two-three", "one, two!"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, "one, two!", "one two three"),
    ("punctuation:no_comma", {}, "Salt; sea.", "Salt, sea."),
    ("startend:end_checker", {"end_phrase": "Is that all?"}, '"The sea. is THAT all?"\n', "Is that all? Yes."),
    ("startend:quotation", {}, ' "The sea." ', '"The sea.'),
]  # fmt: skip

# instruction, kwargs, an answer that only the loose reading accepts
ONLY_LOOSE: list[tuple[str, dict[str, Any], str]] = [
    ("change_case:capital_word_frequency", {"capital_frequency": 1, "capital_relation": "less than"}, "OK!\nThe sea."),
    ("change_case:english_capital", {}, "Sure thing:\nTHE SEA IS BLUE AND WIDE."),
    ("change_case:english_lowercase", {}, "Sure:\nthe sea is blue and wide.\nDone!"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem."}, "Certainly.\n*Write* a poem. The sea."),
    ("combination:two_responses", {}, "******\n******\nBlue.\n******\nGreen."),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\n*P*.S. Write soon."),
    ("detectable_format:constrained_response", {}, "My *answer* is yes."),
    ("detectable_format:json_format", {}, 'Here it is:\n{"a": 1}'),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "- Sure:\n- salt"),
    ("detectable_format:title", {}, "<*<The Sea>*>"),
    ("keywords:existence", {"keywords": ["sea salt"]}, "*sea* salt"),
    ("keywords:forbidden_words", {"forbidden_words": ["sure"]}, "Sure!\nThe ocean."),
    ("keywords:frequency", {"keyword": "sea", "frequency": 1, "relation": "less than"}, "About the sea:\nIt is wide."),
    ("keywords:letter_frequency", {"letter": "!", "let_frequency": 1, "let_relation": "less than"}, "Sure!\nIt is wide."),
    ("language:response_language", {"language": "de"},
     "Here is the translation that you asked me for.\nDas Meer ist blau.\nI hope that this helps you with your work."),
    ("length_constraints:nth_paragraph_first_word",
     {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "salt"}, "Sure:\n\nSalt is white."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 1}, "Sea.\n***\nSalt."),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, "Sure.\nThe sea is blue."),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, "Here it is:\nblue sea"),
    ("punctuation:no_comma", {}, "Sure, here:\nThe sea."),
    ("startend:end_checker", {"end_phrase": "Is that all?"}, "The sea. Is that all?\nBye."),
    ("startend:quotation", {}, 'Sure:\n"The sea."'),
]  # fmt: skip

HOSTILE = [
    "[" * 200_000, "<" * 200_000, "<<" + "a" * 200_000, "*" * 200_000, "\n" * 200_000, " " * 200_000 + "x",
    "." * 200_000 + "x", '."' * 100_000 + "x", "a." * 100_000, "! " * 100_000, "A-" * 100_000, "Section 1" * 20_000,
    '{"a":' * 40_000, "1" * 200_000, "p." * 100_000, "\n\n" * 100_000, "。x" * 100_000, "\u0000\ud800" * 100_000,
    "The sea is blue. " * 12_000, "***" * 66_000, '"' * 200_000, "- \n" * 66_000, "1. " * 66_000, "http://" * 28_000,
    "*\n" * 100_000, "-" * 200_000, "DON'T" * 40_000, "'" * 200_000, "a,b? " * 40_000, "a?) b.\u3000" * 25_000, "can" * 66_000, "...A " * 40_000,
]  # fmt: skip


@pytest.mark.parametrize(("name", "kwargs", "followed", "missed"), TABLE)
def test_an_answer_that_follows_is_distinguished_from_one_that_nearly_does(
    name: str, kwargs: dict[str, Any], followed: str, missed: str
) -> None:
    assert follows([followed], name, kwargs)
    assert not follows([missed], name, kwargs)
    assert follows(variants(followed), name, kwargs), "what passes as it stands passes loosely"


@pytest.mark.parametrize(("name", "kwargs", "answer"), ONLY_LOOSE)
def test_the_loose_reading_forgives_a_first_line_a_last_line_and_asterisks(
    name: str, kwargs: dict[str, Any], answer: str
) -> None:
    assert not follows([answer], name, kwargs)
    assert follows(variants(answer), name, kwargs)


def test_the_loose_reading_does_not_forgive_what_is_missing() -> None:
    assert not follows(variants("Sure:\nThe ocean.\nBye."), "keywords:existence", {"keywords": ["sea"]})
    assert not follows(variants("*a*"), "detectable_format:number_highlighted_sections", {"num_highlights": 2})
    assert not follows(variants("[a]\n[b]"), "detectable_content:number_placeholders", {"num_placeholders": 3})
    sections = {"section_spliter": "Part", "num_sections": 2}
    assert not follows(variants("Part 1\nPart one"), "detectable_format:multiple_sections", sections)


def test_the_table_has_every_constraint_both_ways() -> None:
    assert {name for name, *_ in TABLE} == set(CONSTRAINTS)
    assert len(CONSTRAINTS) == 25


def test_a_loose_reading_has_the_eight_variants() -> None:
    assert variants("a*\nb\nc*") == ["a*\nb\nc*", "b\nc*", "a*\nb", "b", "a\nb\nc", "b\nc", "a\nb"]
    assert variants("") == [""]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("...", 1),
        ("no mark at all", 1),
        ("One. Two. Three.", 3),
        ("He said: \"Stop!\" Then he left.", 2),
        ("Wait... what? Yes.", 2),
        ("It is 3.5 m long. See www.sea.org for more.", 2),
        ("Mr. and Mrs. Smith met J. R. Tolkien in the U.S. in May.", 1),
        ("We met at 5 p.m. Then we ate. When at 6 p.m. When?", 3),
        ("1. Salt is white.\n2. The sea is blue.", 4),
        ("Fish, e.g. cod, etc. and so on.", 3),
        ("**Salt.** *Sea.*", 3),
        ("So do I. Then J. Tolkien came to plan B. He left.", 3),
        ("Wait... The sea", 2),
        ("No! No!! No?!", 4),
        ("! ! !", 3),
        ("(Salt is white.) \"Sea,\" he said.) 😊", 3),
        ("There were 12. They ate 5. All good.", 3),
        ("A title\n\nThe sea is blue.", 1),
        ("海是蓝的。我喜欢海！", 2),
        ("समुद्र नीला है। वह गहरा है।", 2),
    ],
)  # fmt: skip
def test_sentences_are_counted_as_punkt_counts_them_without_its_model(text: str, count: int) -> None:
    assert count_sentences(text) == count


@pytest.mark.parametrize("text", HOSTILE, ids=[f"{text[:6]!a}" for text in HOSTILE])
def test_no_constraint_is_slow_on_a_hostile_answer(text: str) -> None:
    follows(["the first text loads the language model"], "change_case:english_lowercase", {})
    kwargs = {name: given for name, given, *_ in TABLE}
    for name, values in kwargs.items():
        started = time.process_time()
        follows(variants(text), name, values)
        assert time.process_time() - started < 1.0, name


PLANNING = {
    "change_case:capital_word_frequency", "combination:two_responses", "detectable_format:multiple_sections",
    "detectable_format:number_bullet_lists", "keywords:frequency", "keywords:letter_frequency",
    "length_constraints:nth_paragraph_first_word", "length_constraints:number_paragraphs",
    "length_constraints:number_sentences", "length_constraints:number_words",
}  # fmt: skip


def test_every_registered_constraint_demands_either_planning_or_precision() -> None:
    assert set(DEMANDS) == {"planning", "precision"}
    assert {name for name, one in CONSTRAINTS.items() if one.demand not in DEMANDS} == set()
    assert {name for name, one in CONSTRAINTS.items() if one.demand == "planning"} == PLANNING


def test_the_documented_split_is_the_registered_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (planning|precision) \| (`.+) \|$", page, re.MULTILINE))
    for demand in DEMANDS:
        documented = set(re.findall(r"`([a-z_]+:[a-z_]+)`", rows[demand]))
        assert documented == {name for name, one in CONSTRAINTS.items() if one.demand == demand}
