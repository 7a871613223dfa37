"""The numbers that words say, in English and in Chinese numerals: `twenty one`, `three fourths`, 三百零五.

quantities.py asks here for what stands in the place of a number or after it.
"""

import re
from fractions import Fraction

_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12, "quadrillion": 15, "quintillion": 18,
           "myriad": 4, "lakh": 5, "crore": 7, "万": 4, "萬": 4, "亿": 8, "億": 8, "千": 3, "百": 2}  # fmt: skip
SCALE = {
    **{name: Fraction(10**power) for name, power in _SCALES.items()},
    **{f"{name}s": Fraction(10**power) for name, power in _SCALES.items()},
    "dozen": Fraction(12), "dozens": Fraction(12), "score": Fraction(20), "gross": Fraction(144), "k": Fraction(1000),
}  # fmt: skip
_PARTS = {2: "half", 3: "third", 4: "fourth", 5: "fifth", 6: "sixth", 7: "seventh", 8: "eighth", 9: "ninth", 10: "tenth",
          12: "twelfth", 16: "sixteenth", 20: "twentieth", 100: "hundredth", 1000: "thousandth", 10**6: "millionth",
          10**9: "billionth"}  # fmt: skip
PART = {name: Fraction(1, below) for below, word in _PARTS.items() for name in (word, f"{word}s")} | {
    "halves": Fraction(1, 2), "quarter": Fraction(1, 4), "quarters": Fraction(1, 4)
}  # fmt: skip
_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
COUNT = {word: value for value, word in enumerate(_ONES.split())} | {
    word: 10 * value for value, word in enumerate(_TENS.split(), 2)
}
CHINESE = re.compile(r"[零〇一二两兩三四五六七八九十百千万萬亿億]{1,12}")
_CHINESE_DIGITS = {"〇": 0, "两": 2, "兩": 2, **{sign: value for value, sign in enumerate("零一二三四五六七八九")}}


def said_in_words(words: list[str]) -> Fraction | None:
    """The number that English words say: `twenty one`, `three fourths`, `two a half`, `half a million`."""
    if words[-2:] in (["a", "half"], ["one", "half"], ["a", "quarter"]) and len(words) > 2:
        whole = _counted(words[:-2])
        return None if whole is None else whole + PART[words[-1]]
    if words[:2] == ["half", "a"]:
        scale = SCALE.get(" ".join(words[2:]))
        return None if scale is None else scale / 2
    part = PART.get(words[-1]) if len(words) > 1 or words == ["half"] else None
    above = words[:-1] if part is not None else words
    counted = 1 if part is not None and above in ([], ["a"]) else _counted(above) if above else None
    return None if counted is None else Fraction(counted) * (part or 1)


def counted_in_chinese(text: str) -> int:
    """The number that Chinese numerals say: 十二, 三百零五, 两万."""
    total, section, digit = 0, 0, 0
    for sign in text:
        if sign in _CHINESE_DIGITS:
            digit = _CHINESE_DIGITS[sign]
        elif sign in "十百千":
            section, digit = section + (digit or 1) * 10 ** ("十百千".index(sign) + 1), 0
        else:
            total, section, digit = (total + section + digit) * int(SCALE[sign]), 0, 0
    return total + section + digit


def _counted(words: list[str]) -> int | None:
    """The whole number that words say, in the order of English; None where they say none."""
    total, group, last = 0, 0, "start"
    for word in words:
        if word in ("a", "an") and last == "start":
            group, last = 1, "article"
        elif word in COUNT and not (word == "zero" and len(words) > 1):
            if last == "ones" or (last == "tens" and COUNT[word] > 9):
                return None
            group += COUNT[word]
            last = "tens" if word in _TENS.split() else "ones"
        elif word in ("hundred", "dozen") and last in ("ones", "article", "start") and last != "start":
            group, last = group * int(SCALE[word]), "hundred"
        elif word in ("thousand", "million", "billion", "trillion") and last != "start":
            total, group, last = total + group * int(SCALE[word]), 0, "scale"
        else:
            return None
    return total + group if last not in ("start", "article") else None
