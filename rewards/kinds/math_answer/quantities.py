"""Numbers as answers give them: with a unit, a scale ("5 million"), a fraction ("3 fourths"), or in words ("twelve").

verifier.py compares two quantities by value and unit. What follows a number is a unit only if it can be one: a word that
changes the number or denies it makes the text something else than a number.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from rewards.kinds.math_answer.notation import NUMBER_PATTERN, unwrapped

_SIMPLE = re.compile(r"[-+]?\d{1,300}(?:\.\d{1,300})?")
_NUMBER_FIRST = re.compile(rf"({NUMBER_PATTERN})\s*(%|percent\b)?\s*(.*)", re.DOTALL)
_LONGEST_UNIT = 60  # characters
_MOST_UNIT_WORDS = 6

_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12, "lakh": 5, "crore": 7}
_SCALE = {
    **{name: Fraction(10**power) for name, power in _SCALES.items()},
    **{f"{name}s": Fraction(10**power) for name, power in _SCALES.items()},
    "dozen": Fraction(12), "dozens": Fraction(12), "score": Fraction(20), "gross": Fraction(144), "k": Fraction(1000),
}  # fmt: skip
_PARTS = {2: "half", 3: "third", 4: "fourth", 5: "fifth", 6: "sixth", 7: "seventh", 8: "eighth", 9: "ninth", 10: "tenth",
          12: "twelfth", 16: "sixteenth", 20: "twentieth", 100: "hundredth", 1000: "thousandth", 10**6: "millionth",
          10**9: "billionth"}  # fmt: skip
_PART = {name: Fraction(1, below) for below, word in _PARTS.items() for name in (word, f"{word}s")} | {
    "halves": Fraction(1, 2), "quarter": Fraction(1, 4), "quarters": Fraction(1, 4)
}  # fmt: skip
_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_COUNT = {word: value for value, word in enumerate(_ONES.split())} | {
    word: 10 * value for value, word in enumerate(_TENS.split(), 2)
}

# Words after a number that change or deny it, so that it is not a number with a unit.
_NO_UNIT = frozenset(
    [
        "percent",
        "squared",
        "cubed",
        "factorial",
        "and",
        "or",
        "not",
        "plus",
        "minus",
        "times",
        "over",
        "less",
        "more",
        "most",
        "least",
        "fewer",
        "than",
        "sqrt",
        "sin",
        "cos",
        "tan",
        "log",
        "ln",
        "exp",
        "pi",
        "below",
        "above",
        "under",
        "zero",
        "nope",
        "wrong",
        "no",
        "false",
        "incorrect",
        "never",
        "neither",
        "nor",
        "negative",
        "positive",
        "except",
        "without",
        "short",
        "off",
        "maybe",
        "perhaps",
        "but",
        "mod",
        "modulo",
        "remainder",
        "to",
        "power",
        "divided",
        "multiplied",
        "by",
        "choose",
        "is",
        "are",
        "was",
        "equals",
        "if",
        "unless",
        "instead",
        "about",
    ]
)
_NEUTRAL = frozenset(["unit", "units", "in", "all", "total", "altogether", "each"])

_Dimensions = tuple[tuple[str, int], ...]


def _units() -> dict[str, tuple[Fraction, str]]:
    """Each name of a unit: how many of its dimension's own it is, and the dimension."""
    listed: dict[str, dict[Fraction | int | str, str]] = {
        "length": {1: "m meter metre", 1000: "km kilometer kilometre", "1/100": "cm centimeter centimetre",
                   "1/1000": "mm millimeter millimetre", "1609344/1000": "mi mile", "254/10000": "in inch inches",
                   "3048/10000": "ft foot feet", "9144/10000": "yd yard"},
        "time": {1: "s sec second", 60: "min minute", 3600: "h hr hour", 86400: "day", 604800: "week",
                 "1/1000": "ms millisecond"},
        "month": {1: "month", 12: "year yr"},
        "mass": {1: "kg kilogram", "1/1000": "g gram", "1/1000000": "mg milligram", 1000: "t ton tonne",
                 "45359237/100000000": "lb pound", "45359237/1600000000": "oz ounce"},
        "volume": {1: "L l liter litre", "1/1000": "mL ml milliliter millilitre"},
        "gallon": {1: "gallon gal", "1/4": "quart", "1/8": "pint", "1/16": "cup"},
        "money": {1: "dollar usd bucks buck", "1/100": "cent penny pennies"},
        "euro": {1: "euro eur"}, "yuan": {1: "yuan rmb"}, "rupee": {1: "rupee"},
        "angle": {1: "degree deg \\circ", "573/10": "radian rad"},
        "acre": {1: "acre"}, "hectare": {1: "hectare ha"},
        "force": {1: "N newton"}, "energy": {1: "J joule", 1000: "kJ"}, "power": {1: "W watt", 1000: "kW"},
        "voltage": {1: "V volt"}, "current": {1: "A amp ampere"}, "frequency": {1: "Hz hertz", 1000: "kHz"},
        "amount": {1: "mol mole"}, "temperature": {1: "K kelvin"}, "pressure": {1: "Pa", 1000: "kPa"},
    }  # fmt: skip
    found: dict[str, tuple[Fraction, str]] = {}
    for dimension, names in listed.items():
        for factor, words in names.items():
            for word in words.split():
                found[word] = (Fraction(factor), dimension)
                if len(word) > 2 and word.islower():
                    found[f"{word}s"] = found[word]
    return found


_UNITS = _units()
_COMPOUND = {"mph": "mi/h", "kmh": "km/h", "kph": "km/h", "fps": "ft/s", "sqft": "ft^2", "sq": ""}
_FACTOR = re.compile(r"([A-Za-z]+|\\circ)(?:\^\{?(-?[1-3])\}?)?")


@dataclass(frozen=True)
class Unit:
    """A unit of measurement: how many of its dimensions' own it is. `name`: as it was written."""

    name: str
    factor: Fraction
    dimensions: _Dimensions


@dataclass(frozen=True)
class Quantity:
    """A number, whether a percent sign followed it, and its unit: None where it has none, or one that says little."""

    value: Decimal | Fraction
    percent: bool = False
    unit: Unit | None = None

    def matches(self, other: "Quantity") -> bool:
        """Equal values. 50% is both 50 (the sign was left out) and 0.5. Two units that are known are converted."""
        if self.unit is not None and other.unit is not None:
            if self.unit.dimensions != other.unit.dimensions:
                return False
            if self.unit.factor != other.unit.factor:
                return Fraction(self.value) * self.unit.factor == Fraction(other.value) * other.unit.factor
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
    found = _NUMBER_FIRST.fullmatch(text)
    if found is None:
        return _in_words(text)
    number = Decimal(found[1].replace(",", ""))
    rest = found[3]
    if not rest:
        return Quantity(number, percent=found[2] is not None)
    if len(rest) > _LONGEST_UNIT:
        return None
    first, _, after = rest.replace("-", " ").strip().partition(" ")
    scale = _SCALE.get(first.lower(), _PART.get(first.lower()))
    if scale is not None and found[2] is None:
        can_be, unit = _unit_of(after.strip())
        return Quantity(Fraction(number) * scale, unit=unit) if can_be else None
    can_be, unit = _unit_of(rest)
    return Quantity(number, percent=found[2] is not None, unit=unit) if can_be else None


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
    r"|(?<=[\d})])\s*(?:km|cm|mm|kg|mg|mL|ml|mph|Hz|kJ|kW)(?:\^\{?[23]\}?)?|(?<=[\d})])\s+[A-Za-z]{3,}(?:\s+[A-Za-z]+){0,3})$"
)


def _unit_of(text: str) -> tuple[bool, Unit | None]:
    """Whether what follows a number can be its unit, and which it is where that is known."""
    plain = re.sub(r"[~\s]+", " ", unwrapped(text).replace(r"\cdot", "*").replace(r"\,", " ")).strip(" .-()")
    if not plain:
        return True, None
    bare = plain.removeprefix("^").replace("{\\circ}", r"\circ")
    words = re.findall(r"[A-Za-z]+", bare)
    lowered = {word.lower() for word in words if len(word) > 1}
    if len(words) > _MOST_UNIT_WORDS or lowered & _NO_UNIT or lowered & (_PART.keys() | _SCALE.keys() | _COUNT.keys()):
        return False, None
    known = _compound(bare)
    if known is not None:
        return True, known
    if not re.fullmatch(r"[A-Za-z][A-Za-z' -]*", bare):
        return bare.replace(" ", "") in (r"\circC", r"\circF"), None
    for word in words if len(words) > 1 else ():  # "hours of work", "US dollars"
        if len(word) > 2 and (found := _compound(word)) is not None:
            return True, found
    return len(bare) > 2, None


def _compound(text: str) -> Unit | None:
    """A unit made of known ones: `km/h`, `m/s^2`, `square feet`, `dollars per hour`."""
    spelt = re.sub(r"\bper\b|\ba\b(?=\s)|\ban\b", "/", text)
    spelt = re.sub(r"\b(?:square|sq\.?)\s+([A-Za-z]+)|\b([A-Za-z]+)\s+squared\b", r"\1\2^2", spelt)
    spelt = re.sub(r"\bcubic\s+([A-Za-z]+)", r"\1^3", spelt)
    for short, long in _COMPOUND.items():
        if spelt.strip() == short:
            spelt = long
    factor, dimensions, sign, place = Fraction(1), dict[str, int](), 1, 0
    spelt = re.sub(r"\s*([*/])\s*", r"\1", spelt.strip())
    while place < len(spelt):
        if spelt[place] in "*/ ":
            sign = -1 if spelt[place] == "/" else sign
            place += 1
            continue
        found = _FACTOR.match(spelt, place)
        known = (
            None if found is None else _UNITS.get(found[1]) or _UNITS.get(found[1].lower() if len(found[1]) > 2 else "")
        )
        if found is None or known is None:
            return None
        power = sign * int(found[2] or 1)
        factor *= known[0] ** power
        dimensions[known[1]] = dimensions.get(known[1], 0) + power
        place = found.end()
    return Unit(text, factor, tuple(sorted(dimensions.items()))) if dimensions else None


def _in_words(text: str) -> Quantity | None:
    """A number that is written in words: `twelve`, `twenty-one`, `three fourths`."""
    plain = unwrapped(text)
    if len(plain) > 80 or not re.fullmatch(r"[A-Za-z][A-Za-z -]*", plain.strip()):
        return None
    words = [word for word in re.split(r"[\s-]+", plain.strip().lower()) if word != "and"]
    part = _PART.get(words[-1]) if len(words) > 1 or words[-1] == "half" else None
    counted = _counted(words[:-1] if part is not None else words) if len(words) > 1 or part is None else 1
    return None if counted is None else Quantity(Fraction(counted) * (part or 1))


def _counted(words: list[str]) -> int | None:
    """The whole number that words say, in the order of English; None where they say none."""
    total, group, last = 0, 0, "start"
    for word in words:
        if word in ("a", "an") and last == "start":
            group, last = 1, "article"
        elif word in _COUNT and not (word == "zero" and len(words) > 1):
            if last == "ones" or (last == "tens" and _COUNT[word] > 9):
                return None
            group += _COUNT[word]
            last = "tens" if word in _TENS.split() else "ones"
        elif word in ("hundred", "dozen") and last in ("ones", "article", "start") and last != "start":
            group, last = group * int(_SCALE[word]), "hundred"
        elif word in ("thousand", "million", "billion", "trillion") and last != "start":
            total, group, last = total + group * int(_SCALE[word]), 0, "scale"
        else:
            return None
    return total + group if last not in ("start", "article") else None
