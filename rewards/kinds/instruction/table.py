"""The table of `instruction`: each of the 25 types followed and nearly followed, both readings, shares, and cheats."""

from typing import Any

from rewards.kind import Group, Row

GERMAN = "Das Meer ist salzig, weil die Flüsse das Salz vom Land ins Meer spülen."
LOOSE = {"reading": "loose"}
ALL = {"all_or_nothing": True}

Constraint = tuple[str, dict[str, Any]]
CAPITALS: Constraint = ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "at least"})
UPPER: Constraint = ("change_case:english_capital", {})
LOWER: Constraint = ("change_case:english_lowercase", {})
REPEAT: Constraint = ("combination:repeat_prompt", {"prompt_to_repeat": "Write a line about salt."})
TWO: Constraint = ("combination:two_responses", {})
HOLES: Constraint = ("detectable_content:number_placeholders", {"num_placeholders": 2})
PS: Constraint = ("detectable_content:postscript", {"postscript_marker": "P.S."})
PPS: Constraint = ("detectable_content:postscript", {"postscript_marker": "P.P.S"})
YES_NO: Constraint = ("detectable_format:constrained_response", {})
JSON: Constraint = ("detectable_format:json_format", {})
SECTIONS: Constraint = ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2})
BULLETS: Constraint = ("detectable_format:number_bullet_lists", {"num_bullets": 2})
MARKED: Constraint = ("detectable_format:number_highlighted_sections", {"num_highlights": 2})
TITLE: Constraint = ("detectable_format:title", {})
WORDS: Constraint = ("keywords:existence", {"keywords": ["salt", "sea"]})
BANNED: Constraint = ("keywords:forbidden_words", {"forbidden_words": ["salt", "deep sea"]})
OFTEN: Constraint = ("keywords:frequency", {"keyword": "salt", "frequency": 2, "relation": "at least"})
SELDOM: Constraint = ("keywords:frequency", {"keyword": "salt", "frequency": 2, "relation": "less than"})
LETTER: Constraint = ("keywords:letter_frequency", {"letter": "z", "let_frequency": 2, "let_relation": "at least"})
IN_GERMAN: Constraint = ("language:response_language", {"language": "de"})
FIRST: Constraint = (
    "length_constraints:nth_paragraph_first_word",
    {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "salt"},
)
PARAGRAPHS: Constraint = ("length_constraints:number_paragraphs", {"num_paragraphs": 2})
SENTENCES: Constraint = ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"})
SHORT: Constraint = ("length_constraints:number_words", {"num_words": 5, "relation": "less than"})
LONG: Constraint = ("length_constraints:number_words", {"num_words": 5, "relation": "at least"})
NO_COMMA: Constraint = ("punctuation:no_comma", {})
END: Constraint = ("startend:end_checker", {"end_phrase": "Is that all?"})
QUOTED: Constraint = ("startend:quotation", {})

GOLD: tuple[tuple[Constraint, str], ...] = (
    (CAPITALS, "The NASA probe is NOT late."),
    (CAPITALS, "A WELL-KNOWN sea."),
    (UPPER, "THE SEA IS SALTY BECAUSE RIVERS WASH SALT INTO IT."),
    (LOWER, "the sea is salty because rivers wash salt into it."),
    (REPEAT, "Write a line about salt.\n\nSalt is the taste of the sea."),
    (REPEAT, "write a line about SALT. Salt is the taste of the sea."),
    (TWO, "Salt is good.\n******\nSalt is bad."),
    (HOLES, "Dear [name], meet me at [place]."),
    (PS, "Come soon.\n\nP.S. Bring salt."),
    (PS, "Come soon.\n\np. s. Bring salt."),
    (PPS, "Come soon.\n\nP.S. Bring salt.\nP.P.S. And bread."),
    (YES_NO, "My answer is maybe."),
    (YES_NO, "Let me say it. My answer is no."),
    (JSON, '{"salt": [1, 2.5, null]}'),
    (JSON, '```json\n{"salt": true}\n```'),
    (SECTIONS, "Section 1\nSalt.\n\nSection 2\nSea."),
    (BULLETS, "* Salt\n* Sea"),
    (BULLETS, "Two things:\n  - Salt\n  - Sea"),
    (MARKED, "*Salt* and *sea*."),
    (MARKED, "**Salt** and **sea**, **twice**."),
    (TITLE, "<<Of salt>>\nSalt is good."),
    (WORDS, "The Sea is full of SALT."),
    (WORDS, "A salty seaside."),
    (BANNED, "The salty water is deep; seas are wide."),
    (OFTEN, "Salt and more salt."),
    (SELDOM, "One grain of salt."),
    (LETTER, "Zigzag."),
    (IN_GERMAN, GERMAN),
    (FIRST, "The sea is wide.\n\nSalt, they say, is in it."),
    (PARAGRAPHS, "The sea is wide.\n***\nSalt is in it."),
    (SENTENCES, "Salt is good. The sea is wide!"),
    (SENTENCES, "盐是咸的。海是蓝的。"),
    (SHORT, "Salt in the sea"),
    (LONG, "Salt in the blue sea"),
    (NO_COMMA, "<think>\nSalt, sea, or both?\n</think>\n\nSalt and sea."),
    (END, "Salt. Is that all?"),
    (END, 'He said: "Salt. is that all?"'),
    (QUOTED, '"Salt is good."'),
)

NEAR_MISS: tuple[tuple[Constraint, str], ...] = (
    (CAPITALS, "The NASA probe is Not late."),
    (UPPER, "THE SEA IS SALTY BECAUSE RIVERS WASH SALT INTO iT."),
    (UPPER, GERMAN.upper()),
    (LOWER, "the sea is salty because rivers wash Salt into it."),
    (LOWER, GERMAN.lower()),
    (REPEAT, "You asked: Write a line about salt.\n\nSalt is the taste of the sea."),
    (REPEAT, "Write a line on salt.\n\nSalt is the taste of the sea."),
    (TWO, "Salt is good.\n*****\nSalt is bad."),
    (TWO, "Salt is good.\n******\nSalt is bad.\n******\nSalt is salt."),
    (HOLES, "Dear [name], meet me at (place)."),
    (PS, "Come soon.\n\nPS: Bring salt."),
    (PPS, "Come soon.\n\nP.S. Bring salt."),
    (YES_NO, "My answer is perhaps."),
    (YES_NO, "My answer is yes, of course."),
    (JSON, "{'salt': 1}"),
    (JSON, '{"salt": 1,}'),
    (JSON, 'Here: {"salt": 1}'),
    (SECTIONS, "Section 1\nSalt.\n\nSection two\nSea."),
    (BULLETS, "* Salt\n* Sea\n* Sand"),
    (BULLETS, "* Salt\n1. Sea"),
    (MARKED, "*Salt* and sea."),
    (TITLE, "<Of salt>\nSalt is good."),
    (WORDS, "The sea is full of sugar."),
    (BANNED, "Sugar is no Salt."),
    (BANNED, "Fish of the deep sea."),
    (OFTEN, "Salt and more sugar."),
    (SELDOM, "Salt and saltiness."),
    (LETTER, "A zebra."),
    (IN_GERMAN, "The sea is salty because the rivers wash the salt out of the land."),
    (IN_GERMAN, "De zee is zout omdat de rivieren het zout van het land naar de zee spoelen."),
    (FIRST, "Salt is in it.\n\nThe sea is wide."),
    (FIRST, "The sea is wide.\n\nSaltwater is in it."),
    (FIRST, "The sea is wide.\n\nSalt is in it.\n\nAnd fish."),
    (PARAGRAPHS, "The sea is wide.\n\nSalt is in it."),
    (SENTENCES, "Salt, says Dr. Sand, is good at 3.50 a bag."),
    (SHORT, "Salt in the blue sea"),
    (LONG, "Salt in the sea"),
    (NO_COMMA, "Salt, and sea."),
    (END, "Salt. Is that all? Yes."),
    (QUOTED, '"Salt" is what he said.'),
)

# What only the loose reading lets pass: a line before or after, and asterisks.
ONLY_LOOSE: tuple[tuple[Constraint, str], ...] = (
    (NO_COMMA, "Sure, here it is:\nSalt and sea."),
    (QUOTED, 'Here it is:\n"Salt is good."'),
    (QUOTED, '**"Salt is good."**'),
    (REPEAT, "Sure!\nWrite a line about salt.\nSalt is the taste of the sea."),
    (END, "Salt. Is that all?\nI hope this helps!"),
    (JSON, 'Here it is:\n{"salt": 1}\nI hope this helps!'),
)

GARBAGE: tuple[tuple[Constraint, str], ...] = (
    (NO_COMMA, ""),
    (SHORT, " \n\t"),
    (BANNED, "<think>\nThinking for ever"),
    (SELDOM, "<think>\nA thought.\n</think>\n\n"),
    (JSON, "{{{{{{"),
    (UPPER, "!!! ??? 123"),
    (IN_GERMAN, "\x00\x01\x02 42"),
    (TWO, "******"),
)

ADVERSARIAL: tuple[tuple[Constraint, str, float], ...] = (
    (YES_NO, "<think>\nMy answer is yes.\n</think>\n\nWho knows?", 0.0),
    (TWO, "Salt is good.\n******\n  Salt is good.  ", 0.0),
    (MARKED, "** ** and *  * and **salt**.", 0.0),
    (MARKED, "*" * 200_000, 0.0),
    (TITLE, "<<>> << >>", 0.0),
    (TITLE, "<<" * 100_000, 0.0),
    (HOLES, "[" * 200_000, 0.0),
    (JSON, "[" * 200_000, 0.0),
    (JSON, "[" * 100_000 + "]" * 100_000, 0.0),
    (SENTENCES, "." * 200_000, 0.0),
    (SENTENCES, "Salt" + "." * 100_000 + '"' * 100_000, 0.0),
    (BULLETS, "*" * 100_000 + "\n" + " " * 100_000 + "-", 0.0),
    (PARAGRAPHS, "Salt.\n***\n***\nSea.", 0.0),
    (LONG, "_" * 200_000, 0.0),
    (PS, "p. " * 70_000, 0.0),
    (QUOTED, '"', 0.0),
)


def _row(group: Group, constraints: list[Constraint], completion: str, score: float | None, options: Any = None) -> Row:
    columns = {
        "instruction_id_list": [name for name, _ in constraints],
        "kwargs": [kwargs for _, kwargs in constraints],
    }
    return Row(group, completion, score, columns, options=options or {})


def _unjudgeable(names: Any, kwargs: Any, completion: str = "Salt.") -> Row:
    return Row("unjudgeable", completion, None, {"instruction_id_list": names, "kwargs": kwargs})


SHARES: tuple[Row, ...] = (
    _row("gold", [NO_COMMA, SHORT, WORDS], "Salt; the sea.", 1.0),
    _row("gold", [NO_COMMA, SHORT], "Salt; sea.", 1.0, ALL),
    _row(
        "gold", [NO_COMMA, END], "Sure, here:\nSalt. Is that all?\nI hope so, friend.", 1.0, LOOSE
    ),  # each its own best
    _row("near_miss", [NO_COMMA, SHORT], "Salt, sea.", 0.5),
    _row("near_miss", [NO_COMMA, SHORT], "Salt, sea.", 0.0, ALL),
    _row("near_miss", [NO_COMMA, LONG, SECTIONS], "Salt and sea.", 1 / 3),
    _row("near_miss", [NO_COMMA, NO_COMMA], "Salt, sea.", 0.0),
    _row("near_miss", [NO_COMMA], "Salt, sea,\nsand, sun,\nwind, rain.", 0.0, LOOSE),
    _row("adversarial", [NO_COMMA], "Salt, sea.", 0.0, LOOSE),  # without its one line nothing is left that has no comma
    _row("adversarial", [SHORT, NO_COMMA], "*, *\n*, *", 0.5, LOOSE),  # no word is fewer than five
)

# Counts that became floats, and values that became NaN, in a column with missing values; words that begin or end in a sign.
AS_TABLES_HAVE_THEM: tuple[tuple[Group, Constraint, str, float], ...] = (
    ("gold", ("length_constraints:number_words", {"num_words": 3.0, "relation": "at least"}), "One two three.", 1.0),
    ("near_miss", ("length_constraints:number_words", {"num_words": 3.0, "relation": "at least"}), "One two.", 0.0),
    ("gold", ("punctuation:no_comma", {"num_words": float("nan")}), "Salt", 1.0),
    ("near_miss", ("keywords:forbidden_words", {"forbidden_words": ["$5"]}), "It costs $5 today.", 0.0),
    ("gold", ("keywords:forbidden_words", {"forbidden_words": ["$5"]}), "It costs 5 dollars.", 1.0),
    ("near_miss", ("keywords:forbidden_words", {"forbidden_words": ["C++"]}), "Write C++, then.", 0.0),
    ("garbage", ("keywords:forbidden_words", {"forbidden_words": ["C++"]}), "", 0.0),
    (
        "near_miss",
        ("keywords:forbidden_words", {"forbidden_words": ["猫"]}),
        "我的猫很好。",
        0.0,
    ),  # no spaces between words
    ("gold", ("keywords:forbidden_words", {"forbidden_words": ["猫"]}), "我的狗很好。", 1.0),
    ("gold", ("length_constraints:number_words", {"num_words": "3", "relation": "at least"}), "One two three.", 1.0),
    ("near_miss", ("length_constraints:number_words", {"num_words": "3", "relation": "at least"}), "One two.", 0.0),
)

ROWS: tuple[Row, ...] = (
    *(_row("gold", [constraint], completion, 1.0) for constraint, completion in GOLD),
    *(_row("gold", [constraint], completion, 1.0, LOOSE) for constraint, completion in ONLY_LOOSE),
    *(_row("near_miss", [constraint], completion, 0.0) for constraint, completion in (*NEAR_MISS, *ONLY_LOOSE)),
    *(_row("garbage", [constraint], completion, 0.0) for constraint, completion in GARBAGE),
    *SHARES,
    *(_row(group, [constraint], completion, score) for group, constraint, completion, score in AS_TABLES_HAVE_THEM),
    _unjudgeable(["punctuation:no_full_stop"], [{}]),
    _unjudgeable(["punctuation:no_comma", "punctuation:no_full_stop"], [{}, {}]),
    _unjudgeable([SHORT[0]], [{"num_words": 5}]),
    _unjudgeable([SHORT[0]], [{"num_words": "five", "relation": "less than"}]),
    _unjudgeable([SHORT[0]], [{"num_words": 5, "relation": "at most"}]),
    _unjudgeable([SHORT[0]], None),
    _unjudgeable([IN_GERMAN[0]], [{"language": "xx"}]),
    _unjudgeable([NO_COMMA[0]], []),
    _unjudgeable([NO_COMMA[0]], [{}, {}]),
    _unjudgeable(NO_COMMA[0], [{}]),
    _unjudgeable([NO_COMMA[0]], [{"commas": 3}]),
    _unjudgeable([], []),  # without constraints, a row of another verifier
    _unjudgeable(None, None, ""),
    *(_row("adversarial", [constraint], completion, score) for constraint, completion, score in ADVERSARIAL),
)
