r"""Units of measurement: what a word or sign after a number stands for, so that `180 minutes` are `3 hours`.

`known_unit` reads compound ones too (`km/h`, `J/(kg*K)`, `square feet`). quantities.py joins them to numbers. A word that
is not listed may still be a unit ("apples"): quantities.py decides that, and nothing is converted.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

_Dimensions = tuple[tuple[str, int], ...]

# Of each dimension: how many of its own unit each name is.
_LISTED: dict[str, dict[Fraction | int | str, str]] = {
    "length": {1: "meter metre 米", 1000: "kilometer kilometre 公里 千米", "1/100": "centimeter centimetre 厘米",
               "1/1000": "millimeter millimetre 毫米", "1609344/1000": "mi mile", "254/10000": "in inch inches",
               "3048/10000": "ft foot feet", "9144/10000": "yd yard"},
    "time": {1: "sec second 秒", 60: "min minute 分钟", 3600: "h hr hour 小时", 86400: "day 天", 604800: "week 周",
             "1/1000": "millisecond"},
    "month": {1: "month", 12: "year yr"},
    "mass": {1: "kilogram 千克 公斤", "1/1000": "gram 克", "1/1000000": "milligram", 1000: "t ton tonne 吨",
             "45359237/100000000": "lb pound", "45359237/1600000000": "oz ounce"},
    "volume": {1: "l liter litre 升", "1/1000": "ml milliliter millilitre 毫升"},
    "gallon": {1: "gallon gal", "1/4": "quart", "1/8": "pint", "1/16": "cup"},
    "money": {1: "dollar usd bucks buck", "1/100": "cent penny pennies", "1/20": "nickel", "1/10": "dime"},
    "euro": {1: "euro eur"}, "yuan": {1: "yuan rmb 元"}, "rupee": {1: "rupee"}, "sterling": {1: "gbp quid", "1/100": "pence"},
    "angle": {1: "degree deg \\circ 度", "573/10": "radian rad"},
    "celsius": {1: "\\circC"}, "fahrenheit": {1: "\\circF"},
    "acre": {1: "acre"}, "hectare": {1: "hectare ha"},
    "force": {1: "newton"}, "energy": {1: "joule"}, "power": {1: "watt"}, "voltage": {1: "volt"},
    "current": {1: "amp ampere"}, "frequency": {1: "hertz"}, "amount": {1: "mole"}, "temperature": {1: "kelvin"},
    "pressure": {1: "pascal"}, "resistance": {1: "ohm \\Omega"}, "data": {1: "byte", "1/8": "bit"}, "level": {1: "dB decibel"},
    "rotation": {1: "rpm"}, "atmosphere": {1: "atm"},
}  # fmt: skip
_PREFIXES = {"": 0, "k": 3, "M": 6, "G": 9, "T": 12, "c": -2, "m": -3, "\\mu ": -6, "\\mu": -6, "n": -9, "p": -12}
# Signs that take a prefix, and the prefixes that are in use with them.
_PREFIXED: dict[str, tuple[str, Fraction | int, tuple[str, ...]]] = {
    "m": ("length", 1, ("", "k", "c", "m", "\\mu ", "\\mu", "n", "p")), "s": ("time", 1, ("", "m", "\\mu ", "\\mu", "n", "p")),
    "g": ("mass", Fraction(1, 1000), ("", "k", "m", "\\mu ", "\\mu")), "L": ("volume", 1, ("", "m", "\\mu ", "\\mu", "c")),
    "N": ("force", 1, ("", "k", "M", "m")), "J": ("energy", 1, ("", "k", "M", "G", "m")), "W": ("power", 1, ("", "k", "M", "G", "m")),
    "V": ("voltage", 1, ("", "k", "M", "m")), "A": ("current", 1, ("", "m", "k")), "Hz": ("frequency", 1, ("", "k", "M", "G", "m")),
    "Pa": ("pressure", 1, ("", "k", "M", "G")), "mol": ("amount", 1, ("", "m", "k")), "K": ("temperature", 1, ("",)),
    "eV": ("electronvolt", 1, ("", "k", "M", "G", "m")), "Wh": ("energy", 3600, ("", "k", "M", "G")),
    "cal": ("calorie", 1, ("", "k")), "bar": ("pressure", 100_000, ("", "m")), "\\Omega": ("resistance", 1, ("k", "M", "m")),
    "B": ("data", 1, ("k", "M", "G", "T")), "bps": ("rate", 1, ("", "k", "M", "G")),
}  # fmt: skip
_COMPOUND = {"mph": "mi/h", "kmh": "km/h", "kph": "km/h", "fps": "ft/s", "sqft": "ft^2", "sq": ""}
_FACTOR = re.compile(
    r"((?:\\mu\s*)?[A-Za-z]+|\\circ\s?[CF]?|(?:[kMm]\s?)?\\Omega|[\u3400-\u9fff]+)(?:\s?\^\s?\{?(-?[1-3])\}?)?"
)


_ANGLE, _MONEY, _EURO, _STERLING = (((one, 1),) for one in ("angle", "money", "euro", "sterling"))
_PER = re.compile(r"/|\bper\b|\ban?\b")


def _table() -> dict[str, tuple[Fraction, str]]:
    """Each name of a unit: how many of its dimension's own it is, and the dimension."""
    found: dict[str, tuple[Fraction, str]] = {}
    for dimension, names in _LISTED.items():
        for factor, words in names.items():
            for word in words.split():
                found[word] = (Fraction(factor), dimension)
                if len(word) > 2 and word.isascii() and word.islower():
                    found[f"{word}s"] = found[word]
    for sign, (dimension, size, prefixes) in _PREFIXED.items():
        for prefix in prefixes:
            found.setdefault(f"{prefix}{sign}", (Fraction(10) ** _PREFIXES[prefix] * size, dimension))
    return found


_UNITS = _table()


@dataclass(frozen=True)
class Unit:
    """A unit of measurement: how many of its dimensions' own it is. `name`: as it was written."""

    name: str
    factor: Fraction
    dimensions: _Dimensions

    def measures_as(self, other: "Unit") -> bool:
        """Whether both measure the same."""
        return self.in_terms_of(other) is not None

    def in_terms_of(self, other: "Unit") -> Fraction | None:
        """How many of the other unit one of this is; None where they measure different things.

        Plain degrees may be of an angle or of a temperature, a pound of mass or of money, a cent of a dollar or a euro.
        What a price is per ("dollars per hour") may be left out.
        """
        if self.dimensions == other.dimensions:
            return self.factor / other.factor
        pair = {self.dimensions, other.dimensions}
        if _ANGLE in pair and pair & {(("celsius", 1),), (("fahrenheit", 1),)}:
            return Fraction(1)
        if _STERLING in pair and {self.name.strip(), other.name.strip()} & {"pound", "pounds"}:
            return Fraction(1)
        if pair == {_MONEY, _EURO} and {self.factor, other.factor} & {Fraction(1, 100)}:
            return self.factor / other.factor
        one, two = _price_of(self), _price_of(other)
        return one.in_terms_of(two) if one and two and (one is self) != (two is other) else None


def _price_of(unit: Unit) -> Unit | None:
    """What a price is in: the unit itself where it is of money, or what stands before `per`."""
    if unit.dimensions in (_MONEY, _EURO, _STERLING):
        return unit
    first = _PER.split(unit.name, maxsplit=1)[0].strip()
    bare = known_unit(first) if first and first != unit.name.strip() else None
    return bare if bare is not None and bare.dimensions in (_MONEY, _EURO, _STERLING) else None


def known_unit(text: str) -> Unit | None:
    """A unit made of known ones: `km/h`, `m/s^2`, `J/(kg*K)`, `square feet`, `dollars per hour`."""
    spelt = re.sub(r"\bper\b|\ba\b(?=\s)|\ban\b", "/", text)
    spelt = re.sub(r"\b(?:square|sq\.?)\s+([A-Za-z]+)|\b([A-Za-z]+)\s+squared\b", r"\1\2^2", spelt)
    spelt = re.sub(r"\bcubic\s+([A-Za-z]+)", r"\1^3", spelt)
    spelt = re.sub(r"平方([\u3400-\u9fff]+)", r"\1^2", re.sub(r"立方([\u3400-\u9fff]+)", r"\1^3", spelt))
    for short, long in _COMPOUND.items():
        if spelt.strip() == short:
            spelt = long
    factor, dimensions, sign, place = Fraction(1), dict[str, int](), 1, 0
    spelt = re.sub(r"\s*([*/()])\s*", r"\1", spelt.strip())
    while place < len(spelt):
        if spelt[place] in "*/ ()":
            sign = -1 if spelt[place] == "/" else sign
            place += 1
            continue
        found = _FACTOR.match(spelt, place)
        known = None if found is None else _named(found[1])
        if found is None or known is None:
            return None
        power = sign * int(found[2] or 1)
        factor *= known[0] ** power
        dimensions[known[1]] = dimensions.get(known[1], 0) + power
        place = found.end()
    return Unit(text, factor, tuple(sorted(dimensions.items()))) if dimensions else None


def _named(word: str) -> tuple[Fraction, str] | None:
    spelt = re.sub(r"\s", "", word)
    return _UNITS.get(word) or _UNITS.get(spelt) or (_UNITS.get(spelt.lower()) if len(spelt) > 2 else None)
