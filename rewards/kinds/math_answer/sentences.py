r"""The answer in a sentence or a label around it: "The total is 42", "Sum: 42", "She has 42 apples left", "x = 5 meters".

comparison.py asks here for references and for what stands in a box or a tag; reading.py for the unit after a number. What
says more than one thing, denies one, or only bounds one is no answer, and stays as it is.
"""

import re

from rewards.kinds.math_answer import elementary
from rewards.kinds.math_answer.brackets import unwrapped
from rewards.kinds.math_answer.notation import NUMBER_PATTERN, normalise
from rewards.kinds.math_answer.quantities import NO_UNIT, quantity
from rewards.kinds.math_answer.units import known_unit

LONGEST_SENTENCE = 300  # characters

DENIED = re.compile(r"\b(?:not|never|neither|nor|cannot|wrong|incorrect|false)\b|n['’]t\b", re.IGNORECASE)
_WORDS = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_MARKS = re.compile(r"\\?\$|\\[()\[\]]")
_PRICE = re.compile(r"\\\$(?=\s?[-\d.])|(?<!\$)\$(?=[-\d.][^$]*$)")  # a dollar that is no mark of a formula
_AFFIRMED = re.compile(r"(yes|no|true|false)\b\s*[,.;:]\s*\S", re.IGNORECASE)
_LABEL = re.compile(r"((?:[A-Za-z][A-Za-z '-]*)?[A-Za-z]{2}[A-Za-z '-]*?)\s*[:=]\s*(.+)", re.DOTALL)
_OPTION = re.compile(r"(?:option|choice)\b", re.IGNORECASE)  # whose letter is the answer
_VERBS = r"(?:is|are|equals|was|were|be|makes|gives)"
_VERB = re.compile(rf"\b{_VERBS}\b\s*:?\s*(?!.*\b{_VERBS}\b)", re.DOTALL)
_OPENING = re.compile(r"(?:therefore|thus|so|hence|then|finally|we get|we have|we find)\b[\s,:]*", re.IGNORECASE)
_EQUATION = re.compile(r"[A-Za-z](?:_\{?\w+\}?)?\s*=\s*[^=<>]+")
_LISTED = re.compile(r",|;|\b(?:and|or)\b")
_NUMBER = re.compile(rf"(?<![\w.^{{}}\\/,]){NUMBER_PATTERN}(?![\w\\^/(]|[.,]\d)")
_TELLS = re.compile(
    r"(?:so |thus |hence |therefore |in total )?,?\s*(?:there|it|he|she|they|we|i|you|[A-Z][a-z]+|the [a-z]+) "
    r"(?:is|are|was|were|has|have|had|takes?|took|needs?|gets?|costs?|pays?|paid|weighs?|makes?|made|earns?|requires?|will|can|must|should|left)\b",
    re.IGNORECASE,
)
_IS_THE_ANSWER = re.compile(
    r"(\S.{0,40}?) (?:is|are) the (?:final |correct |right )?(?:answer|result|solution)s?", re.IGNORECASE
)
_BOUNDS = NO_UNIT - {"is", "are", "was", "in", "left"} | {
    "than", "multiple", "multiples", "divisible", "every", "any", "each", "all", "odd", "even", "prime", "or", "and", "for", "when",
    "where", "which", "of", "step", "case", "question", "option", "chapter",
}  # fmt: skip
_SCALED = re.compile(
    r"\s?(?:(?:hundred|thousand|million|billion|trillion|dozen|lakh|crore)s?|hal(?:f|ves)|thirds?|quarters?|(?:four|fif|six|seven|eigh|nin|ten|twelf|hundred|thousand)ths?)\b|\s?[万萬亿億]",
    re.IGNORECASE,
)
_UNIT = re.compile(
    r"\s?((?:(?:square|cubic|sq\.?)\s)?(?:[A-Za-z]+|°\s?[CF]?|[\u3400-\u9fff]{1,3})(?:\^?\{?[23²³]\}?)?)(\s?(?:/|\bper\b)\s?[A-Za-z]+(?:\^?\{?[23²³]\}?)?)?"
)
_RATIO = re.compile(r"\d+(?:\s*:\s*\d+)+")
_UNITS_AT_THE_END = re.compile(
    r"(?<=[\w})])\s+(?:(?:square|cubic)\s+)?(?:units?|[kcm]?m|inches|feet|meters|degrees|dollars)$"
)
_CURRENCY = re.compile(r"(?:\\?\$|[\u00a4€£])\s?$")
_OUT_OF = re.compile(r"(?<![\w.,/])(\d{1,9}) out of (?:every |each |a total of |the )?(\d{1,9})(?![\w./^]*\d)")
_ONE_IN = re.compile(
    r"(?<![\w.,/])(?:\ba )?(\d{1,9}) in (?:every )?(\d{1,9})(?= (?:chances?|probability|odds)\b)"
    r"|((?:probability|chances?|odds|likelihood)\b(?: of [a-z ]{1,40})? (?:is|are|was|of) (?:about )?)(\d{1,9}) in (?:every )?(\d{1,9})\b"
)
_HALF_OF_DAY = re.compile(r"\s?[ap]\.?m\b", re.IGNORECASE)
_NO_UNIT_HERE = frozenset(["in", "a", "A", "I", "h", "t", "l"])  # words and names before they are units


def said_in(text: str) -> str | None:
    """What a sentence or a label says the answer is; None for a text that is neither, or says something else."""
    if len(text) > LONGEST_SENTENCE or not (" " in text or ":" in text or "=" in text or "," in text):
        return None
    spaced = _PRICE.sub("\u00a4", re.sub(r"\s+", " ", unwrapped(text)))
    plain = _MARKS.sub("", spaced).strip().rstrip(".!").strip()
    if affirmed := _AFFIRMED.match(plain):
        return affirmed[1]
    if not _WORDS.search(plain) or DENIED.search(plain):
        return None
    if (label := _LABEL.fullmatch(plain)) and not _OPTION.match(label[1]) and _is_value(label[2]):
        return label[2]
    if (whole := _IS_THE_ANSWER.fullmatch(plain)) and _is_value(whole[1]):
        return whole[1]
    opening = _OPENING.match(plain)
    if opening and (_EQUATION.fullmatch(plain[opening.end() :]) or _is_value(plain[opening.end() :])):
        return plain[opening.end() :]
    if verb := _VERB.search(plain):
        rest = plain[verb.end() :]
        if _is_value(rest) or _is_list(rest):
            return rest
    return _only_number(plain)


def _is_value(text: str) -> bool:
    """Whether a text is a number, perhaps with a unit, or a formula."""
    text = normalise(text)
    if quantity(text) is not None or _RATIO.fullmatch(text):
        return True
    bare = _UNITS_AT_THE_END.sub("", text)
    return bool(bare) and elementary.is_readable(bare)


def _is_list(text: str) -> bool:
    """Whether a text lists values, or what unknowns are."""
    pieces = [piece.strip() for piece in _LISTED.split(text) if piece.strip()]
    return 1 < len(pieces) < 10 and all(
        _is_value(piece.partition("=")[2] if _EQUATION.fullmatch(piece) else piece) for piece in pieces
    )


def _only_number(sentence: str) -> str | None:
    """The one number of a sentence that tells how many or how much, with its unit."""
    numbers = list(_NUMBER.finditer(sentence))
    words = {word.casefold() for word in _WORDS.findall(sentence)}
    if len(numbers) != 1 or not _TELLS.match(sentence) or words & _BOUNDS or "\\" in sentence or "=" in sentence:
        return None
    return with_unit(numbers[0][0], sentence[numbers[0].end() :], sentence[: numbers[0].start()])


def with_parts_of_wholes(text: str) -> str:
    """A text with `5 out of 7` and `a 1 in 4 chance` as fractions."""
    if " out of " in text:
        text = _OUT_OF.sub(r"\1/\2", text)
    if " in " in text:
        text = _ONE_IN.sub(lambda one: f"{one[3] or ''}{one[1] or one[4]}/{one[2] or one[5]}", text)
    return text


def with_unit(number: str, following: str, before: str = "") -> str:
    """A number with the scale and the unit that follow it, where the unit is a known one, or with the currency before it."""
    if currency := _CURRENCY.search(before[-3:]):
        scaled = _SCALED.match(following)
        return f"{currency[0]}{number}{scaled[0] if scaled else ''}"
    following = following[:LONGEST_SENTENCE]
    if ":" in number and (half := _HALF_OF_DAY.match(following)):
        return f"{number} {half[0].strip()}"
    if scaled := _SCALED.match(following):
        number, following = f"{number} {scaled[0].strip()}", following[scaled.end() :]
    found = _UNIT.match(following)
    if found is None or found[1] in _NO_UNIT_HERE:
        return number
    for unit in (f"{found[1]}{found[2]}",) if found[2] else (found[1],):
        spelt = normalise(unit)
        if known_unit(spelt.removeprefix("^")) is not None and following[found.end() : found.end() + 1] not in (
            "(",
            "^",
            "_",
        ):
            return f"{number} {unit.strip()}"
    return number
