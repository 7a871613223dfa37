"""Instruction-following problems: a small writing task with one or two constraints that a program can check.

Made for RL on small models: short tasks, and 13 of IFEval's types (arXiv 2311.07911) that a model of a hundred million
parameters satisfies now and then. The wording is our own. A problem has no answer; the verifier `instruction` reads
its columns `instruction_id_list` and `kwargs`. Neighbours: families.py (draws distinct ones), constraints.py (all 25
types, for evaluation).
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from alignment.core.errors import DataError
from alignment.data.rows import Problem, user_turn

SUBJECTS: dict[str, tuple[str, ...]] = {
    "the sea": ("salt", "waves", "blue", "fish", "deep", "ship"),
    "the moon": ("night", "light", "round", "sky", "tide", "silver"),
    "a cat": ("fur", "tail", "milk", "sleep", "mouse", "soft"),
    "a dog": ("friend", "bone", "bark", "walk", "loyal", "park"),
    "bread": ("flour", "oven", "warm", "crust", "baker", "butter"),
    "rain": ("cloud", "wet", "umbrella", "drop", "river", "grey"),
    "winter": ("snow", "cold", "ice", "coat", "dark", "fire"),
    "summer": ("sun", "hot", "beach", "holiday", "fruit", "swim"),
    "a garden": ("flower", "seed", "soil", "water", "grow", "green"),
    "a library": ("book", "quiet", "read", "shelf", "story", "learn"),
    "a train": ("track", "station", "fast", "window", "ticket", "travel"),
    "a bicycle": ("wheel", "ride", "road", "chain", "balance", "hill"),
    "coffee": ("cup", "morning", "bean", "black", "smell", "sugar"),
    "tea": ("leaf", "pot", "hot", "honey", "drink", "calm"),
    "a school": ("teacher", "class", "lesson", "child", "pencil", "desk"),
    "a football match": ("ball", "goal", "team", "crowd", "win", "run"),
    "a mountain": ("high", "climb", "rock", "peak", "snow", "view"),
    "a forest": ("tree", "leaf", "bird", "path", "shade", "deer"),
    "music": ("song", "dance", "piano", "voice", "listen", "sound"),
    "a birthday": ("cake", "gift", "candle", "party", "year", "happy"),
    "a bird": ("wing", "nest", "fly", "feather", "egg", "sing"),
    "a computer": ("screen", "code", "key", "work", "game", "memory"),
    "a market": ("price", "stall", "apple", "buy", "sell", "busy"),
    "a doctor": ("health", "care", "nurse", "sick", "help", "visit"),
    "a farm": ("cow", "field", "barn", "corn", "horse", "milk"),
    "a city": ("street", "people", "noise", "tower", "bus", "shop"),
    "sleep": ("dream", "bed", "rest", "night", "pillow", "tired"),
    "friendship": ("trust", "laugh", "share", "kind", "talk", "time"),
    "a letter": ("paper", "ink", "stamp", "write", "send", "words"),
    "the sun": ("light", "heat", "star", "day", "bright", "yellow"),
    "a river": ("bank", "bridge", "flow", "fish", "boat", "stone"),
    "breakfast": ("egg", "toast", "juice", "early", "plate", "eat"),
    "a kitchen": ("pan", "cook", "knife", "table", "stove", "clean"),
    "a holiday": ("trip", "rest", "hotel", "photo", "family", "sunny"),
    "a clock": ("hour", "hand", "tick", "late", "wall", "minute"),
    "a bridge": ("cross", "stone", "steel", "river", "span", "build"),
}  # fmt: skip

PROSE = (
    "Write one sentence about {}.", "Write two sentences about {}.", "Write three sentences about {}.",
    "Write a short paragraph about {}.", "Tell a very short story in which {} matters.",
    "Write a short note to a friend about {}.", "Write a small poem about {}.",
)  # fmt: skip
OPEN = (
    "Describe {} to someone who does not know it.", "Say what comes to mind when you think of {}.",
    "Explain to a child what is special about {}.", "Tell me about {}.",
)  # fmt: skip
NOT_PROSE = ("detectable_format:number_bullet_lists", "detectable_format:json_format")

ENDINGS = ("That is all.", "The end.", "Have a nice day.", "What do you think?", "Thank you for reading.")

Constraint = tuple[str, dict[str, Any], str]  # the instruction's name, its parameters, and the request in words
Maker = Callable[[random.Random, tuple[str, ...]], Constraint]  # from a subject's words


def _keywords(draw: random.Random, words: tuple[str, ...]) -> Constraint:
    chosen = draw.sample(words, draw.randint(1, 2))
    named = " and ".join(f"'{word}'" for word in chosen)
    plural = "s" if len(chosen) > 1 else ""
    return "keywords:existence", {"keywords": chosen}, f"Your answer must contain the word{plural} {named}."


def _forbidden(draw: random.Random, words: tuple[str, ...]) -> Constraint:
    chosen = draw.sample(words, draw.randint(1, 2))
    named = " or ".join(f"'{word}'" for word in chosen)
    return "keywords:forbidden_words", {"forbidden_words": chosen}, f"Do not use the word {named}."


def _fewer_words(draw: random.Random, _: tuple[str, ...]) -> Constraint:
    bound = draw.choice((15, 20, 25, 30, 40, 50, 60))
    request = draw.choice((f"Use fewer than {bound} words.", f"Stay below {bound} words."))
    return "length_constraints:number_words", {"num_words": bound, "relation": "less than"}, request


def _more_words(draw: random.Random, _: tuple[str, ...]) -> Constraint:
    bound = draw.choice((10, 20, 30, 40, 50))
    request = f"Use at least {bound} words."
    return "length_constraints:number_words", {"num_words": bound, "relation": "at least"}, request


def _no_comma(draw: random.Random, _: tuple[str, ...]) -> Constraint:
    return "punctuation:no_comma", {}, draw.choice(("Do not use any commas.", "Write without commas."))


def _lowercase(draw: random.Random, _: tuple[str, ...]) -> Constraint:
    requests = ("Write in English and in lowercase letters only.", "Use English and no capital letters at all.")
    return "change_case:english_lowercase", {}, draw.choice(requests)


def _uppercase(draw: random.Random, _: tuple[str, ...]) -> Constraint:
    return "change_case:english_capital", {}, "Write in English and in CAPITAL LETTERS only."


def _bullets(draw: random.Random, _: tuple[str, ...]) -> Constraint:
    count = draw.randint(2, 5)
    request = f"Give exactly {count} bullet points, each on a line that starts with '* '."
    return "detectable_format:number_bullet_lists", {"num_bullets": count}, request


def _highlights(draw: random.Random, _: tuple[str, ...]) -> Constraint:
    count = draw.randint(1, 3)
    request = f"Set at least {count} of your words between asterisks, like *this*."
    return "detectable_format:number_highlighted_sections", {"num_highlights": count}, request


def _ending(draw: random.Random, _: tuple[str, ...]) -> Constraint:
    phrase = draw.choice(ENDINGS)
    return "startend:end_checker", {"end_phrase": phrase}, f"Let the last words be: {phrase}"


def _quotation(draw: random.Random, _: tuple[str, ...]) -> Constraint:
    return "startend:quotation", {}, "Put your whole answer between double quotation marks."


def _title(draw: random.Random, _: tuple[str, ...]) -> Constraint:
    return "detectable_format:title", {}, "Give it a title between double angular brackets, like <<this>>."


def _postscript(draw: random.Random, _: tuple[str, ...]) -> Constraint:
    request = "Add a postscript at the end that starts with P.S."
    return "detectable_content:postscript", {"postscript_marker": "P.S."}, request


def _json(draw: random.Random, _: tuple[str, ...]) -> Constraint:
    return "detectable_format:json_format", {}, "Answer with one JSON object and nothing else."


@dataclass(frozen=True)
class Kind:
    """One constraint type. Two types with a common theme contradict each other and are never combined."""

    make: Maker
    themes: frozenset[str]


def _kind(make: Maker, *themes: str) -> Kind:
    return Kind(make, frozenset(themes))


KINDS: tuple[Kind, ...] = (
    _kind(_keywords, "words"), _kind(_forbidden, "words"), _kind(_fewer_words, "length"),
    _kind(_more_words, "length"), _kind(_no_comma, "commas"), _kind(_lowercase, "case"), _kind(_uppercase, "case"),
    _kind(_bullets, "layout"), _kind(_highlights, "highlight"), _kind(_ending, "end", "case"),
    _kind(_quotation, "end", "layout"), _kind(_title, "layout"), _kind(_postscript, "end", "case", "layout"),
    _kind(_json, "end", "layout", "case", "commas", "highlight", "length"),
)  # fmt: skip


INSTRUCTION_PARAMETERS = ("most_constraints",)


def instruction_draws(seed: int, parameters: dict[str, Any]) -> Iterator[Problem]:
    """Problems of the family `instructions`, the same for the same seed; they may repeat.

    Args:
        seed: of the random draws.
        parameters: `{most_constraints: 1 | 2}`, or empty for 2. Raises DataError for anything else.
    """
    most = parameters.get("most_constraints", 2)
    if set(parameters) - set(INSTRUCTION_PARAMETERS) or most not in (1, 2):
        raise DataError(f"the family `instructions` has no parameters {parameters}; write `most_constraints: 1` or `2`")
    draw = random.Random(seed)
    subjects = sorted(SUBJECTS)
    while True:
        subject = draw.choice(subjects)
        constraints = [one.make(draw, SUBJECTS[subject]) for one in _compatible(draw, draw.randint(1, most))]
        constraints.sort(key=lambda one: one[0].startswith("startend:"))  # the ending is asked for last
        tasks = OPEN if any(name in NOT_PROSE for name, _, _ in constraints) else OPEN + PROSE
        requests = " ".join(request for _, _, request in constraints)
        yield Problem(
            id="",
            messages=[user_turn(f"{draw.choice(tasks).format(subject)} {requests}")],
            answer="",
            columns={
                "instruction_id_list": [name for name, _, _ in constraints],
                "kwargs": [kwargs for _, kwargs, _ in constraints],
            },
        )


def _compatible(draw: random.Random, count: int) -> list[Kind]:
    """One constraint type, or two without a common theme."""
    first = draw.choice(KINDS)
    if count == 1:
        return [first]
    fitting = [kind for kind in KINDS if not kind.themes & first.themes]
    return [first, draw.choice(fitting)] if fitting else [first]
