"""Numbers as answers give them: with a unit, a scale ("5 million"), a fraction ("3 fourths"), or in words ("twelve").

verifier.py compares two quantities by value and unit. What follows a number is a unit only if it can be one: a word that
changes the number or denies it makes the text something else than a number.
"""

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from rewards.kinds.math_answer import elementary
from rewards.kinds.math_answer.brackets import unwrapped
from rewards.kinds.math_answer.notation import NUMBER_PATTERN
from rewards.kinds.math_answer.number_words import CHINESE, COUNT, PART, SCALE, counted_in_chinese, said_in_words
from rewards.kinds.math_answer.units import Unit, known_unit

_SIMPLE = re.compile(r"[-+]?\d{1,300}(?:\.\d{1,300})?")
_NUMBER_FIRST = re.compile(rf"({NUMBER_PATTERN})\s*(%|percent\b)?\s*(.*)", re.DOTALL)
_LONGEST_UNIT = 60  # characters
_MOST_UNIT_WORDS = 6
# Words after a number that change or deny it, so that it is not a number with a unit.
_CHANGING = """
percent squared cubed factorial and or not plus minus times over less more most least fewer than sqrt sin cos tan
log ln exp pi below above under zero nope wrong no false incorrect never neither nor negative positive except
without short off maybe perhaps but mod modulo remainder to power divided multiplied by choose is are was equals if
unless instead about between from at double twice half root nicht kein keine pas non falsch faux falso menos moins
weniger mehr millionen milliarden millones milliards tausend hundert mil mille halbe
"""
NO_UNIT = frozenset(_CHANGING.split())
_AND_A_PART = re.compile(r"(\d{1,9}) and (?:an?|one) (half|third|quarter|fourth|fifth)( .+|)", re.IGNORECASE)
_ORDINAL = re.compile(r"\w*(?:teen|tie|illion|usand|undred)ths?")  # a part: "thirtieths"
_CHANGED_IN_CHINESE = re.compile(r"[不非负負半多余餘倍分之百千万萬亿億十几幾零一二三四五六七八九两以约約和或]")
_SIGN_WORD = re.compile(r"(?:negative|minus)\s+", re.IGNORECASE)
_CURRENCY = re.compile(r"(?:Rs\.?|USD|US|EUR|GBP|INR|CNY|RMB)\s*(?=[\d.])")
_OUT_OF = re.compile(
    r"(?:an? )?(\S.{0,30}?) (?:out of|in)(?: (?:every|each|a total of))? (\S.{0,30})"
)  # a part of a whole
_ONE_OF_SEVERAL = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
_SEVERAL_UNITS = re.compile(r"\d+\s*[A-Za-z]+(?:,?\s*(?:and\s+)?\d+(?:\.\d+)?\s*[A-Za-z]+){1,2}\.?")
_FOREIGN_WORD = re.compile(r"(?!не|нет)[^\W\d_][^\W\d_'’. -]{0,19}")


@dataclass(frozen=True)
class Quantity:
    """A number, whether a percent sign followed it, and its unit: None where it has none, or one that says little."""

    value: Decimal | Fraction
    percent: bool = False
    unit: Unit | None = None

    def matches(self, other: "Quantity") -> bool:
        """Equal values. 50% is both 50 (the sign was left out) and 0.5. Two units that are known are converted."""
        if self.unit is not None and other.unit is not None:
            ratio = self.unit.in_terms_of(other.unit)
            if ratio != 1:
                return ratio is not None and Fraction(self.value) * ratio == Fraction(other.value)
        one, two = self.value, other.value
        if type(one) is not type(two):
            one, two = Fraction(one), Fraction(two)
        if one == two:
            return True
        if self.percent == other.percent:
            return False
        percent, plain = (one, two) if self.percent else (two, one)
        return percent == plain * 100


@lru_cache(maxsize=8192)
def quantity(text: str) -> Quantity | None:
    """A normalised text that is one number, alone or with a unit or a scale; None for anything else."""
    if _SIMPLE.fullmatch(text):
        return Quantity(Decimal(text))
    if len(text) > 400:
        return None
    if (part := _OUT_OF.fullmatch(unwrapped(text))) is not None and (fraction := _part_of(part)) is not None:
        return fraction
    found = _NUMBER_FIRST.fullmatch(text)
    if found is None:
        return _in_words(text)
    if (more := _AND_A_PART.fullmatch(unwrapped(text))) and (whole := quantity(f"{more[1]}{more[3]}")) is not None:
        return replace(whole, value=Fraction(whole.value) + PART[more[2].lower()])
    number = Decimal(found[1].replace(",", ""))
    rest = found[3]
    if not rest:
        return Quantity(number, percent=found[2] is not None)
    if len(rest) > _LONGEST_UNIT:
        return None
    spelt = unwrapped(rest).replace("-", " ").strip()
    first, _, after = (spelt[:1], "", spelt[1:]) if spelt[:1] in SCALE and not spelt.isascii() else spelt.partition(" ")
    scale = SCALE.get(first.lower(), PART.get(first.lower()))
    if scale is not None and found[2] is None:
        can_be, unit = _unit_of(after.strip())
        return Quantity(Fraction(number) * scale, unit=unit) if can_be else None
    can_be, unit = _unit_of(rest)
    return Quantity(number, percent=found[2] is not None, unit=unit) if can_be else _in_several_units(text)


def _part_of(found: re.Match[str]) -> Quantity | None:
    """The fraction that `5 out of 7`, `one in four` say; None where either is no plain whole number."""
    first, second = quantity(found[1].strip()), quantity(found[2].strip())
    if first is None or second is None or first.unit or second.unit or first.percent or second.percent:
        return None
    one, other = Fraction(first.value), Fraction(second.value)
    return Quantity(one / other) if one.denominator == other.denominator == 1 and 0 <= one <= other != 0 else None


def _in_several_units(text: str) -> Quantity | None:
    """A quantity in units of one dimension, the larger first: `2 hours 30 minutes`, `5 feet 6 inches`."""
    plain = unwrapped(text).strip()
    if not _SEVERAL_UNITS.fullmatch(plain):
        return None
    pieces = [(Fraction(number), known_unit(unit)) for number, unit in _ONE_OF_SEVERAL.findall(plain)]
    first, total, least = pieces[0][1], Fraction(0), None
    for number, unit in pieces:
        if first is None or unit is None or unit.dimensions != first.dimensions or (least and unit.factor >= least):
            return None
        total, least = total + number * unit.factor, unit.factor
    return Quantity(total / first.factor, unit=first) if first is not None else None


def measured(text: str) -> Quantity | None:
    r"""A normalised text that is one exact value, alone, with a unit or in percent: `33\frac{1}{3}%`, `\frac12 \text{ hours}`."""
    found = quantity(text)
    if found is not None:
        return found
    bare, unit = split_unit(text)
    value = elementary.value(bare.rstrip("% "))
    return Quantity(value, bare.endswith("%"), unit) if isinstance(value, Fraction) else None


def split_unit(text: str) -> tuple[str, Unit | None]:
    r"""A normalised text without the unit at its end, and the unit: `\frac{1}{2} \text{ hours}`, `3\sqrt{2} cm`."""
    found = _UNIT_AT_THE_END.search(text)
    if found is None or not found.start() or ("circ" in found[0] and _ANGLE.search(text)):
        return text, None
    can_be, unit = _unit_of(found[0])
    return (text[: found.start()].strip(), unit) if can_be else (text, None)


_ANGLE = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])")  # of which degrees are no decoration
_UNIT_AT_THE_END = re.compile(
    r"\s*(?:\\(?:text|mbox|mathrm)\s*\{[^{}]{1,40}\}(?:\^\{?[23]\}?)?|(?:\^\{?\\circ\}?|\\circ)(?:\s*(?:\\(?:text|mathrm)\{[CF]\}|[CF]))?"
    r"|(?<=[\d})])\s*(?:km|cm|mm|nm|kg|mg|mL|ml|mph|Hz|kJ|kW|kN|MB|GB|eV|[ms](?=\s?[/^]))(?:/(?:[a-z]{1,2}))?(?:\^\{?[23]\}?)?|(?<=[\d})])\s+[A-Za-z]{3,}(?:\s+[A-Za-z]+){0,3})$"
)


def _unit_of(text: str) -> tuple[bool, Unit | None]:
    """Whether what follows a number can be its unit, and which it is where that is known."""
    plain = re.sub(r"[~\s]+", " ", unwrapped(text).replace(r"\cdot", "*").replace(r"\,", " ")).strip(" .-()")
    if not plain:
        return True, None
    if plain == "times":  # how often
        return True, None
    bare = plain.removeprefix("^").replace("{\\circ}", r"\circ")
    words = re.findall(r"[A-Za-z]+", bare)
    lowered = {word.lower() for word in words if len(word) > 1}
    if len(words) > _MOST_UNIT_WORDS or lowered & NO_UNIT or lowered & (PART.keys() | SCALE.keys() | COUNT.keys()):
        return False, None
    if any(map(_ORDINAL.fullmatch, lowered)):
        return False, None
    known = known_unit(bare)
    if known is not None:
        return True, known
    if not bare.isascii():
        return _FOREIGN_WORD.fullmatch(bare) is not None and not _CHANGED_IN_CHINESE.search(bare), None
    if not re.fullmatch(r"[A-Za-z][A-Za-z' -]*|[A-Za-z]{3,}\s?/\s?[A-Za-z]+", bare):
        return False, None
    for word in words if len(words) > 1 else ():  # "hours of work", "US dollars"
        if len(word) > 2 and "/" not in bare and (found := known_unit(word)) is not None:
            return True, found
    return len(bare) > 2, None


def _in_words(text: str) -> Quantity | None:
    """A number that is written in words, alone or with what is counted: `twelve`, `negative two`, `three apples`."""
    plain = unwrapped(text).strip()
    if (sign := _SIGN_WORD.match(plain) or _CURRENCY.match(plain)) and len(plain) > sign.end():
        found = quantity(plain[sign.end() :].strip())
        if found is None or found.value < 0:
            return None
        return replace(found, value=-found.value) if sign.re is _SIGN_WORD else found
    if CHINESE.fullmatch(plain):
        return Quantity(Fraction(counted_in_chinese(plain)))
    if len(plain) > 80 or not re.fullmatch(r"[A-Za-z][A-Za-z -]*", plain):
        return None
    words = re.split(r"[\s-]+", plain.lower())
    for end in range(len(words), 0, -1):
        said, counted = said_in_words([word for word in words[:end] if word != "and"]), words[end:]
        if said is None or counted[:1] in (["of"], ["or"], ["and"]):
            continue
        can_be, unit = _unit_of(" ".join(counted[1:] if counted[:1] in (["a"], ["an"]) else counted))
        return Quantity(said, unit=unit) if can_be else None
    return None
