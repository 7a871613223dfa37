"""Responses for benchmarks/instruction.py: made to follow a row's constraints, to miss one by a unit, or at random.

Whether a response follows is not known here, and need not be: two checkers are compared on it. What matters is that
responses stand on both sides of every border, in the notations that answers really have.
"""

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Values = Mapping[str, Any]

# Sentences and marks that are hard to count.
PIECES = (
    "Mr. Gray met Dr. Ames at 5 p.m. near St. Ives. ", "It cost $3.50, e.g. for tea! ", "Wait... what? ", "So do I. Then we left. ",
    'He said: "Stop!" Then he ran. ', "“Is it true?” she asked. ", "1. Salt is white.\n2. The sea is blue.\n", "(It rained.) ",
    "**Note.** Read on. ", "NASA's crew DON'T KNOW. ", "A WELL-KNOWN U.S.A. and AND/OR plan. ", "I'M IN: GO, NOW! ", "No!!! Why?! ",
    "* one\n", "- two\n", "*\n", " * three\n  - four\n", "+ five\n", "*high*", " **light**", "* *", "****", "*a* b *c*", "<<A title>>\n",
    "<<>>", "<< >> x >>", "<a>", "[name]", "[a [b] c]", "[]", "[two\nlines]", "P.S. More.", "p. s. more", "P.P.S. Last.", "P. P. S last",
    "PS: no", "SECTION 1\n", "Section 2 ", "Day 3", "PARAGRAPH 4.", "Audience 5", "***", "\n***\n", "******", "\n\n", "\n", "\n \n", "\t",
    '{"a": [1, 2]}', "```json\n{}\n```", "```", '"', "'", ",", ".", "; ", ": ", "—", "–", "…", " ", "😊", "My answer is yes.",
    "my answer is no", "See www.sea.org/a.b for more. ", "J. R. Tolkien, Jr. came. ", "the U.S. Then ", "etc. ", "#", "!", "CANNOT GONNA ",
    "It has 12. They ate 5. ", "e.g., cod vs. eel. ", "Ph.D. Jones ", "\r\n", "ﬁne İstanbul ǅ ", "_under_score_ ", "0x1F 3,000 ",
)  # fmt: skip
CAPITALS = (
    "SEA",
    "NASA",
    "U.S.A.",
    "I",
    "A",
    "WELL-KNOWN",
    "COVID-19",
    "*BOLD*",
    "NASA's",
    "DON'T",
    "OK!",
    "(EU)",
    "AND/OR",
)
NOTES = ("Sure, here it is:", "Certainly!", "**Answer**", "I hope this helps!", "Let me know, please.", "***", "")
FOREIGN = {
    "ar": "ماء البحر مالح لأن الأنهار تحمل الملح من الأرض إلى البحر.", "bg": "Морето е солено, защото реките носят солта от земята в морето.",
    "bn": "নদীগুলি স্থলভাগ থেকে লবণ বয়ে আনে বলে সমুদ্রের জল নোনা।", "de": "Das Meer ist salzig, weil die Flüsse das Salz vom Land ins Meer spülen.",
    "fa": "آب دریا شور است زیرا رودخانه‌ها نمک را از خشکی به دریا می‌برند.", "fi": "Meri on suolainen, koska joet kuljettavat suolaa maalta mereen.",
    "gu": "નદીઓ જમીનમાંથી મીઠું દરિયામાં લઈ જાય છે તેથી દરિયાનું પાણી ખારું છે.", "hi": "समुद्र का पानी खारा है क्योंकि नदियाँ ज़मीन से नमक बहाकर लाती हैं।",
    "it": "Il mare è salato perché i fiumi portano il sale dalla terra al mare.", "kn": "ನದಿಗಳು ಭೂಮಿಯಿಂದ ಉಪ್ಪನ್ನು ಸಮುದ್ರಕ್ಕೆ ತರುವುದರಿಂದ ಸಮುದ್ರದ ನೀರು ಉಪ್ಪಾಗಿದೆ.",
    "ko": "강물이 땅의 소금을 바다로 나르기 때문에 바닷물은 짜다.", "mr": "नद्या जमिनीवरून मीठ समुद्रात आणतात म्हणून समुद्राचे पाणी खारट आहे.",
    "ne": "नदीहरूले जमिनबाट नुन समुद्रमा लैजाने भएकाले समुद्रको पानी नुनिलो हुन्छ।", "pa": "ਨਦੀਆਂ ਜ਼ਮੀਨ ਤੋਂ ਲੂਣ ਸਮੁੰਦਰ ਵਿੱਚ ਲਿਆਉਂਦੀਆਂ ਹਨ ਇਸ ਲਈ ਸਮੁੰਦਰ ਖਾਰਾ ਹੈ।",
    "pt": "O mar é salgado porque os rios levam o sal da terra até ao mar; não há outra explicação.", "ru": "Море солёное, потому что реки вымывают соль из земли и несут её в море.",
    "sw": "Bahari ina chumvi kwa sababu mito hubeba chumvi kutoka ardhini hadi baharini.", "ta": "ஆறுகள் நிலத்திலிருந்து உப்பைக் கடலுக்குக் கொண்டு செல்வதால் கடல் நீர் உப்பாக இருக்கிறது.",
    "te": "నదులు భూమి నుండి ఉప్పును సముద్రంలోకి తీసుకువస్తాయి కాబట్టి సముద్రపు నీరు ఉప్పగా ఉంటుంది.", "th": "น้ำทะเลเค็มเพราะแม่น้ำพาเกลือจากแผ่นดินลงสู่ทะเล",
    "ur": "سمندر کا پانی کھارا ہے کیونکہ دریا زمین سے نمک بہا کر لاتے ہیں۔", "vi": "Nước biển mặn vì các con sông mang muối từ đất liền ra biển.",
}  # fmt: skip

Maker = Callable[[random.Random, str, Values, int], str]  # (dice, text so far, parameters, units to miss by) -> text


def _bound(values: Values, name: str, relation: str, off: int) -> int:
    return max(0, values[name] - (values[relation] == "less than") + off)


def _strewn(rng: random.Random, text: str, words: Sequence[str]) -> str:
    """A text with words put between its own."""
    found = text.split(" ")
    for word in words:
        found.insert(rng.randint(0, len(found)), word)
    return " ".join(found)


def _words(rng: random.Random, text: str, values: Values, off: int) -> str:
    found = re.findall(r"\w+\W*", text) or ["sea "]
    return "".join(found[at % len(found)] for at in range(_bound(values, "num_words", "relation", off)))


def _sentences(rng: random.Random, text: str, values: Values, off: int) -> str:
    found = [one for one in re.split(r"(?<=[.!?])\s+", text) if one] or ["The sea is blue."]
    count = _bound(values, "num_sentences", "relation", off)
    return " ".join(found[at % len(found)].rstrip(".!?") + rng.choice(".....!?") for at in range(count))


def _capitals(rng: random.Random, text: str, values: Values, off: int) -> str:
    count = _bound(values, "capital_frequency", "capital_relation", off)
    return _strewn(rng, text.lower(), rng.choices(CAPITALS, k=count))


def _keyword(rng: random.Random, text: str, values: Values, off: int) -> str:
    spellings = (str, str.upper, str.title, lambda word: f"{word}s", lambda word: f'"{word},')
    bare = re.sub(re.escape(values["keyword"]), "", text, flags=re.IGNORECASE)
    count = _bound(values, "frequency", "relation", off)
    return _strewn(rng, bare, [rng.choice(spellings)(values["keyword"]) for _ in range(count)])


def _letter(rng: random.Random, text: str, values: Values, off: int) -> str:
    bare = re.sub(re.escape(values["letter"]), "", text, flags=re.IGNORECASE)
    count = _bound(values, "let_frequency", "let_relation", off)
    return _strewn(rng, bare, [rng.choice((str.upper, str.lower))(values["letter"]) for _ in range(count)])


def _keywords(rng: random.Random, text: str, values: Values, off: int) -> str:
    words = list(values["keywords"])[: len(values["keywords"]) + min(off, 0)]
    return _strewn(rng, text, [rng.choice((word, word.upper(), f"{word}ish,")) for word in words])


def _forbidden(rng: random.Random, text: str, values: Values, off: int) -> str:
    word = rng.choice(values["forbidden_words"])
    bare = re.sub("|".join(map(re.escape, values["forbidden_words"])), "sea", text, flags=re.IGNORECASE)
    return _strewn(rng, bare, [rng.choice((word.title(), f"{word}!")) if off else f"x{word}_"])


def _either(followed: Sequence[str], missed: Sequence[str]) -> Maker:
    """One of these around the text and the parameters, or of those that fall short by a mark or a letter."""
    return lambda rng, text, values, off: rng.choice(missed if off else followed).format(text=text, **values)


def _lines(name: str, lines: Sequence[str]) -> Maker:
    """As many lines or marks as a parameter says, below the text."""
    return lambda rng, text, values, off: "\n".join([text, *rng.choices(lines, k=max(0, values[name] + off))])


def _sections(rng: random.Random, text: str, values: Values, off: int) -> str:
    marks = [
        f"{values['section_spliter']}{rng.choice(('', ' ', ' ', '  '))}{at}"
        for at in range(values["num_sections"] + off)
    ]
    return "\n".join(f"{mark}\n{text[:30]}" for mark in marks)


def _language(rng: random.Random, text: str, values: Values, off: int) -> str:
    """In the language; in it, with some English; in any."""
    asked = FOREIGN[values["language"]]
    return {0: asked, -1: f"{asked} {text[:80]}", 1: rng.choice(tuple(FOREIGN.values()))}[off]


def _joined(name: str, between: Sequence[str]) -> Maker:
    """As many different parts as a parameter says, or two, and perhaps a divider behind the last."""

    def make(rng: random.Random, text: str, values: Values, off: int) -> str:
        parts = [f"{at} {text[at * 40 : at * 40 + 40].strip()}" for at in range(max(1, values.get(name, 2) + off))]
        joined = "".join(part + rng.choice(between) for part in parts[:-1])
        return joined + parts[-1] + rng.choice(("", "\n", between[0]))

    return make


def _paragraphs(rng: random.Random, text: str, values: Values, off: int) -> str:
    """One paragraph too many or too few, or the word one paragraph too early or too late."""
    miscounted, word = rng.random() < 0.5, values["first_word"]
    count = max(1, values["num_paragraphs"] + (off if miscounted else 0))
    parts = [f"Part {at} {text[at * 30 : at * 30 + 30].strip()}" for at in range(count)]
    place = values["nth_paragraph"] - 1 + (0 if miscounted else off)
    if 0 <= place < len(parts):
        openings = ("{} is", '"{}," he', "'{}'s", " {}!", "**{}** so", "{}s")
        parts[place] = rng.choice(openings).format(rng.choice((word, word.title(), word.upper())))
    return rng.choice(("\n\n", "\n\n", "\n\n\n", "\n \n\n")).join(parts)


def _json(rng: random.Random, text: str, values: Values, off: int) -> str:
    inner = json.dumps(rng.choice(({"a": text}, [text, 1.5, None], text, {"a": {"b": [True, 1e9]}})))
    fence = rng.choice(("", "```", "```json\n", "```JSON", "```Json\n", "```json```"))
    spoilt = rng.choice((f"{inner},", f"Here: {inner}", f"{inner}\n{inner}", inner.replace('"', "'")))
    return fence + {0: inner, -1: inner[:-1], 1: spoilt}[off] + ("\n```" if fence else "")


def _case(change: Callable[[str], str], back: Callable[[str], str]) -> Maker:
    """In one case; with one letter in the other; in another language."""

    def make(rng: random.Random, text: str, values: Values, off: int) -> str:
        at = rng.randrange(len(text) or 1)
        spoilt = change(text[:at]) + back(text[at : at + 1]) + change(text[at + 1 :])
        return {0: change(text), -1: spoilt, 1: change(rng.choice((FOREIGN["de"], FOREIGN["it"], "", "12 + 3")))}[off]

    return make


# In the order in which they are applied: what rewrites the text, what adds to it, what stands around it.
MAKERS: dict[str, Maker] = {
    "length_constraints:number_sentences": _sentences,
    "length_constraints:number_words": _words,
    "language:response_language": _language,
    "detectable_format:constrained_response": _either(
        ("My answer is yes.", "{text}\nMy answer is maybe.", "So: My answer is no. Or so."), ("My answer is Yes.", "my answer is no.")
    ),
    "length_constraints:nth_paragraph_first_word": _paragraphs,
    "length_constraints:number_paragraphs": _joined("num_paragraphs", ("\n***\n", " *** ", "***", "\n****\n", "\n***\n***\n")),
    "combination:two_responses": _joined("none", ("\n******\n", "******", " ****** ", "\n***\n***\n", "\n*******\n")),
    "keywords:forbidden_words": _forbidden,
    "change_case:capital_word_frequency": _capitals,
    "keywords:existence": _keywords,
    "keywords:letter_frequency": _letter,
    "keywords:frequency": _keyword,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:number_bullet_lists": _lines("num_bullets", ("* so", "* so", "- so", " * *so*", "-so", "\t*so", "*", "**so**")),
    "detectable_content:number_placeholders": _lines("num_placeholders", ("[a]", "[a]", "x [[p] q]", "[] ", "[a b]")),
    "detectable_format:number_highlighted_sections": _lines("num_highlights", ("*h*", "*h*", "a *h i* b", "* h*", "*so* *")),
    "punctuation:no_comma": lambda rng, text, values, off: text.replace(",", "") + {0: "", -1: "，", 1: ","}[off],
    "detectable_content:postscript": _either(
        ("{text}\n\n{postscript_marker} Bye.", "{text} {postscript_marker}"), ("{text}\nPS Bye", "{text}\np. s. Bye", "{text}\nP. P.S")
    ),
    "change_case:english_capital": _case(str.upper, str.lower),
    "change_case:english_lowercase": _case(str.lower, str.upper),
    "detectable_format:title": _either(
        ("<<T>>\n{text}", "<<<a> b>>\n{text}", "{text}\n**<<Sea>>**"), ("<T>\n{text}", "<<T\n>>\n{text}", "<<>>\n{text}", "<< >>\n{text}")
    ),
    "detectable_format:json_format": _json,
    "startend:end_checker": _either(('{text}\n{end_phrase}', '"{text} {end_phrase}"'), ("{text}\n{end_phrase}.", "{text}\n{end_phrase:.12}")),
    "combination:repeat_prompt": _either(
        ("{prompt_to_repeat}\n{text}", "\n{prompt_to_repeat} {text}"), ("- {prompt_to_repeat}\n{text}", "{prompt_to_repeat:.30}\n{text}")
    ),
    "startend:quotation": _either(('"{text}"', '"{text}" \n'), ('"{text}', '{text}"', "“{text}”")),
}  # fmt: skip


def _prose(prompts: Sequence[str], rng: random.Random) -> str:
    """A text of other rows' requests, with some pieces that are hard to count."""
    found = [rng.choice(prompts) for _ in range(rng.randint(1, 3))]
    return _strewn(rng, "\n".join(found), rng.choices(PIECES, k=rng.randint(0, 4)))


def _shaped(row: Mapping[str, Any], text: str, rng: random.Random, wrong: int = -1, off: int = 0) -> str:
    """A text made to follow every constraint of a row, but one, which it misses by so many units."""
    names = row["instruction_id_list"]
    for at in sorted(range(len(names)), key=lambda at: list(MAKERS).index(names[at])):
        text = MAKERS[names[at]](rng, text, row["kwargs"][at], off if at == wrong else 0)
    return text


def _forgiven(text: str, rng: random.Random) -> str:
    """A text with what the loose reading takes away again."""
    starred = rng.choice((text, text, f"*{text}*", f"**{text}**", _strewn(rng, text, ["*", "**"])))
    around = rng.choice(("{0}\n{1}", "{1}\n{2}", "{0}\n\n{1}\n\n{2}", "{1}", "{0}\n{1}\n{2}"))
    return around.format(rng.choice(NOTES), starred, rng.choice(NOTES))


def responses(row: Mapping[str, Any], prompts: Sequence[str], rng: random.Random) -> list[str]:
    """The responses of a row: following, nearly following, forgiven by the loose reading, random, and empty."""
    followed = [_shaped(row, _prose(prompts, rng), rng) for _ in range(3)]
    wrong = [_shaped(row, _prose(prompts, rng), rng, at, off) for at in range(len(row["kwargs"])) for off in (-1, 1)]
    glued = ["".join(rng.choices(PIECES, k=rng.randint(1, 12))) for _ in range(4)]
    mixed = _shaped(row, "".join(rng.choices(PIECES, k=6)), rng)
    forgiven = [_forgiven(one, rng) for one in (*followed, *wrong, mixed)]
    return [*followed, *wrong, *forgiven, *glued, mixed, rng.choice(("", " \n\t", "\n"))]
