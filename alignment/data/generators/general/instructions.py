"""Tasks of the group `instructions`: numbers to be written under a constraint that a program can check.

The verifier is `instruction` (IFEval's types, arXiv 2311.07911). Neighbours: task.py, all.py.
"""

import random

from alignment.data.generators.general.task import Answered, Task, constrained, names, numbers, said

ENDINGS = ("The end.", "That is the answer.", "You are welcome.", "Look at it again.")
WORDS = ("sum", "result", "list", "answer", "question", "user", "box", "step")


def _no_comma(draw: random.Random) -> Answered:
    a, b, c = numbers(draw, 3)
    return Answered(
        f"Write {a}, {b} and {c} without commas.",
        said(f"{a} {b} {c}", f"{a} {b} {c}"),
        said(f"{a}, {b}, {c}", f"{a}, {b}, {c}"),
        constrained(names(a, b, c), ("punctuation:no_comma", {})),
    )


def _bullets(draw: random.Random) -> Answered:
    a, b = numbers(draw, 2)
    return Answered(
        f"List {a} and {b}, each on a line with *.",
        said(f"{a}, {b}", f"* {a}\n* {b}"),
        said(f"{a}, {b}", f"{a} and {b}"),
        constrained(names(a, b), ("detectable_format:number_bullet_lists", {"num_bullets": 2})),
    )


def _quotes(draw: random.Random) -> Answered:
    a = draw.randint(100, 999)
    return Answered(
        f'Write {a} in "quotes".',
        said(f"{a}", f'"{a}"'),
        said(f"{a}", f"{a}"),
        constrained(names(a), ("startend:quotation", {})),
    )


def _ending(draw: random.Random) -> Answered:
    a, phrase = draw.randint(100, 999), draw.choice(ENDINGS)
    return Answered(
        f"Write {a}. Last words: {phrase}",
        said(f"{a}", f"{a}. {phrase}"),
        said(f"{a}", f"{a}."),
        constrained(names(a), ("startend:end_checker", {"end_phrase": phrase})),
    )


def _title(draw: random.Random) -> Answered:
    a, word = draw.randint(10, 99), draw.choice(WORDS)
    return Answered(
        f"Write {a} with the title <<{word}>>.",
        said(f"{word}, {a}", f"<<{word}>>\n{a}"),
        said(f"{word}, {a}", f"{word}\n{a}"),
        constrained(names(word, a), ("detectable_format:title", {})),
    )


def _forbidden(draw: random.Random) -> Answered:
    given = numbers(draw, 3)
    without = draw.choice(given)
    kept = [one for one in given if one != without]
    a, b, c = given
    return Answered(
        f"Write {a}, {b} and {c}, but not {without}.",
        said(f"not {without}", f"{kept[0]} {kept[1]}"),
        said(f"{a}, {b}, {c}", f"{a} {b} {c}"),
        constrained(names(*kept), ("keywords:forbidden_words", {"forbidden_words": [str(without)]})),
    )


def _highlight(draw: random.Random) -> Answered:
    a, b = numbers(draw, 2)
    return Answered(
        f"Write {a} and {b}, one of them as *number*.",
        said(f"{a}, {b}", f"*{a}* {b}"),
        said(f"{a}, {b}", f"{a} {b}"),
        constrained(names(a, b), ("detectable_format:number_highlighted_sections", {"num_highlights": 1})),
    )


TASKS = (
    Task("no-comma", "instructions", _no_comma),
    Task("bullets", "instructions", _bullets),
    Task("quotes", "instructions", _quotes),
    Task("ending", "instructions", _ending),
    Task("title", "instructions", _title),
    Task("forbidden", "instructions", _forbidden),
    Task("highlight", "instructions", _highlight),
)
