"""Prompts of the evaluation task `constraints`: a small writing task with one constraint of IFEval's 25 types.

One constraint per prompt, as many that demand planning as precision (rewards/kinds/instruction/constraints). The makers of
13 types are in instructions.py, which also makes training rows; the others are here. Neighbours: families.py (draws
distinct ones), evaluation/measures/constraints.py (scores the answers).
"""

import random
from collections.abc import Iterator
from functools import cache
from typing import Any

from alignment.core.errors import DataError
from alignment.data.generators.instructions import KINDS, NOT_PROSE, OPEN, PROSE, SUBJECTS, Constraint, Maker
from alignment.data.rows import Problem, user_turn
from rewards.kinds.instruction.constraints import CONSTRAINTS, DEMANDS, Demand

Words = tuple[str, ...]
LANGUAGES = {"de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese"}
# Tasks for two types: questions that yes, no or maybe can answer, and tasks that ask for two responses.
CHOICES = (
    "Would a child like to hear about {}?",
    "Is {} something that most people know?",
    "Is there a poem about {}?",
)
BOTH = ("Give two different first lines for a text about {}.", "Suggest two different titles for a text about {}.")
ORDINALS = {1: "first", 2: "second", 3: "third"}
RELATIONS = ("less than", "at least")


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
    return (
        "combination:two_responses",
        {},
        "Put a line of six asterisks, ******, between the two, and write nothing else.",
    )


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
    """`_problem` fills in `prompt_to_repeat`, which is not known yet."""
    request = "Before you answer, repeat the sentence before this one word for word, and write nothing ahead of it."
    return "combination:repeat_prompt", {"prompt_to_repeat": ""}, request


FURTHER: tuple[Maker, ...] = (
    _sentences, _paragraphs, _paragraph_start, _sections, _keyword_frequency, _letter_frequency, _capital_words,
    _two_responses, _placeholders, _choice, _language, _repeat,
)  # fmt: skip
CONSTRAINT_PARAMETERS = ("demand",)
TASKS = {"detectable_format:constrained_response": CHOICES, "combination:two_responses": BOTH}


def constraint_draws(seed: int, parameters: dict[str, Any]) -> Iterator[Problem]:
    """Problems of the family `constraints`, the same for the same seed; they may repeat.

    Args:
        seed: of the random draws.
        parameters: `{demand: planning | precision}`, or empty for both alike. Raises DataError for anything else.
    """
    wanted = [parameters["demand"]] if "demand" in parameters else list(DEMANDS)
    if set(parameters) - set(CONSTRAINT_PARAMETERS) or not set(wanted) <= set(DEMANDS):
        raise DataError(
            f"the family `constraints` has no parameters {parameters}; write `demand: planning`, `demand: precision`, or none"
        )
    draw = random.Random(seed)
    subjects = sorted(SUBJECTS)
    while True:
        subject = draw.choice(subjects)
        types = _makers()[draw.choice(wanted)]
        maker = draw.choice(types[draw.choice(sorted(types))])
        yield _problem(draw, subject, maker(draw, SUBJECTS[subject]))


def _problem(draw: random.Random, subject: str, constraint: Constraint) -> Problem:
    name, kwargs, request = constraint
    # "Write two sentences" contradicts most constraints that count something; those get a task that leaves length open.
    lengths_open = name in NOT_PROSE or CONSTRAINTS[name].demand == "planning"
    tasks = TASKS.get(name) or (OPEN if lengths_open else OPEN + PROSE)
    task = draw.choice(tasks).format(subject)
    if name == "combination:repeat_prompt":
        kwargs = {"prompt_to_repeat": task}
    return Problem(
        "", [user_turn(f"{task} {request}")], "", columns={"instruction_id_list": [name], "kwargs": [kwargs]}
    )


@cache
def _makers() -> dict[Demand, dict[str, list[Maker]]]:
    """The makers of each constraint type, by demand."""
    found: dict[Demand, dict[str, list[Maker]]] = {demand: {} for demand in DEMANDS}
    for maker in (*(kind.make for kind in KINDS), *FURTHER):
        name = maker(random.Random(0), ("word", "other"))[0]
        found[CONSTRAINTS[name].demand].setdefault(name, []).append(maker)
    return found
