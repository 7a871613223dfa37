"""One maker for each of IFEval's 25 types of constraint (arXiv 2311.07911): parameters and the request in words.

The wording is our own. Neighbours: training.py and evaluation.py (draw from EASY and FURTHER), rewards/kinds/instruction (judges).
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rewards.kinds.instruction.constraints import CONSTRAINTS

LANGUAGES = {"de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese"}
ORDINALS = {1: "first", 2: "second", 3: "third"}
RELATIONS = ("less than", "at least")
REPEAT = "combination:repeat_prompt"  # whose parameter is the task, which its maker does not know
ENDINGS = ("That is all.", "The end.", "Have a nice day.", "What do you think?", "Thank you for reading.")

Constraint = tuple[str, dict[str, Any], str]  # the instruction's name, its parameters, and the request in words
Words = tuple[str, ...]  # that go with a subject
Maker = Callable[[random.Random, Words], Constraint]


def _keywords(draw: random.Random, words: Words) -> Constraint:
    chosen = draw.sample(words, draw.randint(1, 2))
    named = " and ".join(f"'{word}'" for word in chosen)
    plural = "s" if len(chosen) > 1 else ""
    return "keywords:existence", {"keywords": chosen}, f"Your answer must contain the word{plural} {named}."


def _forbidden(draw: random.Random, words: Words) -> Constraint:
    chosen = draw.sample(words, draw.randint(1, 2))
    named = " or ".join(f"'{word}'" for word in chosen)
    return "keywords:forbidden_words", {"forbidden_words": chosen}, f"Do not use the word {named}."


def _fewer_words(draw: random.Random, _: Words) -> Constraint:
    bound = draw.choice((15, 20, 25, 30, 40, 50, 60))
    request = draw.choice((f"Use fewer than {bound} words.", f"Stay below {bound} words."))
    return "length_constraints:number_words", {"num_words": bound, "relation": "less than"}, request


def _more_words(draw: random.Random, _: Words) -> Constraint:
    bound = draw.choice((10, 20, 30, 40, 50))
    request = f"Use at least {bound} words."
    return "length_constraints:number_words", {"num_words": bound, "relation": "at least"}, request


def _no_comma(draw: random.Random, _: Words) -> Constraint:
    return "punctuation:no_comma", {}, draw.choice(("Do not use any commas.", "Write without commas."))


def _lowercase(draw: random.Random, _: Words) -> Constraint:
    requests = ("Write in English and in lowercase letters only.", "Use English and no capital letters at all.")
    return "change_case:english_lowercase", {}, draw.choice(requests)


def _uppercase(draw: random.Random, _: Words) -> Constraint:
    return "change_case:english_capital", {}, "Write in English and in CAPITAL LETTERS only."


def _bullets(draw: random.Random, _: Words) -> Constraint:
    count = draw.randint(2, 5)
    request = f"Give exactly {count} bullet points, each on a line that starts with '* '."
    return "detectable_format:number_bullet_lists", {"num_bullets": count}, request


def _highlights(draw: random.Random, _: Words) -> Constraint:
    count = draw.randint(1, 3)
    request = f"Set at least {count} of your words between asterisks, like *this*."
    return "detectable_format:number_highlighted_sections", {"num_highlights": count}, request


def _ending(draw: random.Random, _: Words) -> Constraint:
    phrase = draw.choice(ENDINGS)
    return "startend:end_checker", {"end_phrase": phrase}, f"Let the last words be: {phrase}"


def _quotation(draw: random.Random, _: Words) -> Constraint:
    return "startend:quotation", {}, "Put your whole answer between double quotation marks."


def _title(draw: random.Random, _: Words) -> Constraint:
    return "detectable_format:title", {}, "Give it a title between double angular brackets, like <<this>>."


def _postscript(draw: random.Random, _: Words) -> Constraint:
    request = "Add a postscript at the end that starts with P.S."
    return "detectable_content:postscript", {"postscript_marker": "P.S."}, request


def _json(draw: random.Random, _: Words) -> Constraint:
    return "detectable_format:json_format", {}, "Answer with one JSON object and nothing else."


def _sentences(draw: random.Random, _: Words) -> Constraint:
    bound, relation = draw.randint(2, 6), draw.choice(RELATIONS)
    said = f"Use fewer than {bound} sentences." if relation == "less than" else f"Use at least {bound} sentences."
    return "length_constraints:number_sentences", {"num_sentences": bound, "relation": relation}, said


def _paragraphs(draw: random.Random, _: Words) -> Constraint:
    count = draw.randint(2, 4)
    request = f"Write exactly {count} paragraphs, with a line of three asterisks, ***, between one and the next."
    return "length_constraints:number_paragraphs", {"num_paragraphs": count}, request


def _paragraph_start(draw: random.Random, words: Words) -> Constraint:
    count, word = draw.randint(2, 3), draw.choice(words)
    place = draw.randint(1, count)
    request = (
        f"Write exactly {count} paragraphs with a blank line between one and the next, and begin the "
        f"{ORDINALS[place]} paragraph with the word '{word}'."
    )
    values = {"num_paragraphs": count, "nth_paragraph": place, "first_word": word}
    return "length_constraints:nth_paragraph_first_word", values, request


def _sections(draw: random.Random, _: Words) -> Constraint:
    count, mark = draw.randint(2, 4), draw.choice(("Section", "Part"))
    request = f"Divide it into at least {count} parts and head them {mark} 1, {mark} 2 and so on."
    return "detectable_format:multiple_sections", {"section_spliter": mark, "num_sections": count}, request


def _keyword_frequency(draw: random.Random, words: Words) -> Constraint:
    word, bound, relation = draw.choice(words), draw.randint(2, 4), draw.choice(RELATIONS)
    said = "fewer than" if relation == "less than" else "at least"
    values = {"keyword": word, "frequency": bound, "relation": relation}
    return "keywords:frequency", values, f"Use the word '{word}' {said} {bound} times."


def _letter_frequency(draw: random.Random, _: Words) -> Constraint:
    letter, bound, relation = draw.choice("abdfghlmopuvwy"), draw.randint(3, 12), draw.choice(RELATIONS)
    said = "fewer than" if relation == "less than" else "at least"
    values = {"letter": letter, "let_frequency": bound, "let_relation": relation}
    return "keywords:letter_frequency", values, f"The letter {letter} has to appear {said} {bound} times."


def _capital_words(draw: random.Random, _: Words) -> Constraint:
    bound = draw.randint(2, 6)
    values = {"capital_frequency": bound, "capital_relation": "at least"}
    return "change_case:capital_word_frequency", values, f"Write at least {bound} words in CAPITAL LETTERS."


def _two_responses(draw: random.Random, _: Words) -> Constraint:
    request = "Put a line of six asterisks, ******, between the two, and write nothing else."
    return "combination:two_responses", {}, request


def _placeholders(draw: random.Random, _: Words) -> Constraint:
    count = draw.randint(1, 4)
    request = f"Leave at least {count} gaps to fill in, each in square brackets, like [name]."
    return "detectable_content:number_placeholders", {"num_placeholders": count}, request


def _choice(draw: random.Random, _: Words) -> Constraint:
    request = "Answer with exactly one of these: 'My answer is yes.', 'My answer is no.', 'My answer is maybe.'"
    return "detectable_format:constrained_response", {}, request


def _language(draw: random.Random, _: Words) -> Constraint:
    code = draw.choice(sorted(LANGUAGES))
    return "language:response_language", {"language": code}, f"Write in {LANGUAGES[code]} and in no other language."


def _repeat(draw: random.Random, _: Words) -> Constraint:
    """Whoever has the task fills in `prompt_to_repeat`."""
    request = "Before you answer, repeat the sentence before this one word for word, and write nothing ahead of it."
    return "combination:repeat_prompt", {"prompt_to_repeat": ""}, request


@dataclass(frozen=True)
class Kind:
    """One kind of request. Two kinds with a common theme contradict each other and are never combined."""

    make: Maker
    themes: frozenset[str]

    @property
    def type(self) -> str:
        """IFEval's name of the constraint."""
        return self.make(random.Random(0), ("word", "other"))[0]


def _kind(make: Maker, *themes: str) -> Kind:
    return Kind(make, frozenset(themes))


WHOLE = (
    "words",
    "letters",
    "length",
    "commas",
    "case",
    "layout",
    "highlight",
    "end",
    "start",
)  # goes with nothing else
# Those that a model of a hundred million parameters satisfies now and then: 13 types.
EASY: tuple[Kind, ...] = (
    _kind(_keywords, "words"), _kind(_forbidden, "words"), _kind(_fewer_words, "length"),
    _kind(_more_words, "length"), _kind(_no_comma, "commas"), _kind(_lowercase, "case"), _kind(_uppercase, "case"),
    _kind(_bullets, "layout"), _kind(_highlights, "highlight"), _kind(_ending, "end", "case"),
    _kind(_quotation, "end", "layout"), _kind(_title, "layout"), _kind(_postscript, "end", "case", "layout"),
    _kind(_json, "end", "layout", "case", "commas", "highlight", "length"),
)  # fmt: skip
# The other 12 types.
FURTHER: tuple[Kind, ...] = (
    _kind(_sentences, "length"), _kind(_paragraphs, "length", "layout", "highlight"),
    _kind(_paragraph_start, "length", "layout", "case", "start"), _kind(_sections, "length", "layout", "case"),
    _kind(_keyword_frequency, "words", "case"), _kind(_letter_frequency, "letters", "length"),
    _kind(_capital_words, "case"), _kind(_two_responses, *WHOLE), _kind(_placeholders, "highlight"),
    _kind(_choice, *WHOLE), _kind(_language, "words", "case", "end"), _kind(_repeat, *WHOLE),
)  # fmt: skip
# Tasks that ask for no sentence, story or poem go with these; "Write two sentences" contradicts what counts something.
NOT_PROSE = ("detectable_format:number_bullet_lists", "detectable_format:json_format")
OPEN_LENGTH = (*NOT_PROSE, *(name for name, known in CONSTRAINTS.items() if known.demand == "planning"))
