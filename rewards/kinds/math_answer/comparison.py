r"""Settles a reference and an answer without a computer algebra system, or says which texts to ask one about.

The order is from what is surest: numbers with units, literals, choices, words, then values in a common form (forms.py,
elementary.py). What an answer could use to keep a grader busy is refused before anything is computed. verifier.py calls
`settle`, after texts.py has read both.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from rewards.kinds.math_answer import angles, counts, elementary, forms, literals, rounding, sets
from rewards.kinds.math_answer.brackets import compact, top_level, unwrapped
from rewards.kinds.math_answer.limits import answers_offered, is_costly
from rewards.kinds.math_answer.notation import normalise
from rewards.kinds.math_answer.quantities import Quantity, measured, quantity, split_unit
from rewards.kinds.math_answer.texts import JOINED, NAMED, base

Finding = tuple[float | None, str]  # score, reason
_TOWER_OF_ANY = re.compile(r"\^[\s({]*[^\s^{}()]{1,12}\s*\^[\s({]*[^\s^{}()]{1,12}\s*\^")
_TOWER = re.compile(r"\d[)}\s]*\^[\s({]*\d+[)}\s]*\^[\s({]*\d")
_NUMBER_AND_WORDS = re.compile(r"[-+]?\d[\d.,]*\s+[A-Za-z]{2,}[A-Za-z -]*")
_DECIMAL_COMMA = re.compile(r"([-+]?(?:[1-9]\d{0,2}(?: \d{3})+|\d+)),(\d+)(?!\d)([^,;]*)", re.DOTALL)
_NEARLY = Fraction(5, 10**6)  # relative: six significant digits
_ORDERED = re.compile(r"[()\[\]<>]|\\(?:[lg]eq|neq|in)(?![A-Za-z])")
_ABOUT = re.compile(r"^([A-Za-z](?:_\{?\w+\}?)?)\s*\\(?:approx|doteq|simeq)(?![A-Za-z])")
_LETTER_FIRST = re.compile(r"\(?([A-J])\)?(?:\s+|\s*,\s*)(?=[\d\\])")  # of an option that is written out: `C 15`
_DEEPEST_READING = 3  # options within answers, units within lists


@dataclass(frozen=True)
class Open:
    """A pair that only a computer algebra system can settle, as it is to be asked about."""

    reference: str
    answer: str


def settle(reference: str, answer: str, depth: int = 0) -> Finding | Open:
    """The finding on a pair of normalised texts, or what has to be asked of a computer algebra system."""
    expected, given = quantity(reference), quantity(answer)
    if expected is not None and given is not None:
        return _settle_numbers(expected, given)
    if expected is not None and (comma := _DECIMAL_COMMA.fullmatch(answer)):
        decimal = quantity(f"{comma[1].replace(' ', '')}.{comma[2]}{comma[3]}")
        if decimal is not None and expected.matches(decimal):
            return 1.0, "equal_number"
    literal = _settle_text(reference, answer, depth)
    if literal is not None:
        return literal
    if answer == reference:  # still to be read: a reference that nobody can read is not rewarded for being copied
        both = forms.both_signs(reference)
        readable = measured(reference) is not None or elementary.is_readable(reference) or elementary.is_readable(both)
        return (1.0, "equivalent") if readable else Open(both, both)
    return _settle_mathematics(reference, answer)


def _settle_numbers(expected: Quantity, given: Quantity) -> Finding:
    if expected.matches(given):
        return 1.0, "equal_number"
    same = Quantity(expected.value, expected.percent).matches(Quantity(given.value, given.percent))
    return 0.0, "different_unit" if same else "different_number"


def _settle_text(reference: str, answer: str, depth: int) -> Finding | Open | None:
    """Literals, choices, sets by their names, and words; None where the pair is none of these."""
    if literals.is_literal(reference):
        return (1.0, "same_words") if _literally(reference) == _literally(answer) else (0.0, "different_words")
    if literals.is_time(reference) and (bare := literals.without_half_of_day(answer)) != answer:
        return settle(reference, bare, depth)
    if literals.is_date(answer):
        return 0.0, "different_words"
    chosen = _settle_choice(reference, answer, depth)
    if chosen is not None:
        return chosen
    wanted, named = sets.known_set(reference), sets.known_set(answer)
    if wanted is not None and (named is not None or wanted != r"\mathbb{R}"):
        return (1.0, "equivalent") if wanted == named else (0.0, "different")
    expected_words = literals.word_of(reference) if wanted is None else None
    if expected_words is None:
        return None
    given_words = literals.word_of(answer)
    if given_words is not None and _folded(expected_words) == _folded(given_words):
        return 1.0, "same_words"
    return (0.0, "different_words") if "\\" not in unwrapped(answer) and answer != reference else None


def _literally(text: str) -> str:
    """A date, score, time or address without spaces and case; "p.m." is "pm", and 3:00 pm is 3 pm."""
    plain = re.sub(r"\s+|(?<=[AaPpMm])\.", "", unwrapped(text)).casefold()
    return re.sub(r":00(?=[ap]m$)", "", plain)


def _folded(words: str) -> str:
    """Words as they are compared: without case, an article and the plural."""
    plain = re.sub(r"[^\w ]+", " ", words).split()
    return " ".join(
        word[:-1] if len(word) > 3 and word.endswith("s") else word for word in plain if word not in ("the", "a", "an")
    )


def _settle_choice(reference: str, answer: str, depth: int) -> Finding | Open | None:
    """A reference that is a lettered option, and an answer that names one or gives its text."""
    letter, option = literals.choice(reference), literals.choice_with_text(reference)
    given, written = literals.choice(answer), literals.choice_with_text(answer)
    wanted = letter or (option[0] if option else None)
    if wanted is None:
        return settle(reference, normalise(written[1]), depth + 1) if written and depth < _DEEPEST_READING else None
    chosen = given or (written[0] if written else None)
    if chosen is not None:
        return (1.0, "same_choice") if chosen == wanted else (0.0, "different_choice")
    if letter is not None and (first := _LETTER_FIRST.match(unwrapped(answer))):
        return (1.0, "same_choice") if first[1] == letter else (0.0, "different_choice")
    if option is not None and depth < _DEEPEST_READING:
        return settle(normalise(option[1]), answer, depth + 1)
    return None


def _settle_mathematics(reference: str, answer: str) -> Finding | Open:
    """Values in a common form, by elementary.py where that can say."""
    if angles.same_angles(reference, answer):
        return 1.0, "equivalent"
    if literals.is_endless(answer) != literals.is_endless(reference) and not rounding.is_rounded(reference, answer):
        return 0.0, "different"
    if quantity(answer) is None and _NUMBER_AND_WORDS.fullmatch(
        unwrapped(answer)
    ):  # and yet no quantity: the words change or deny the number
        return 0.0, "different"
    answer = _ABOUT.sub(r"\1=", answer)
    answer, rounded = literals.without_approximation(answer)
    reference, _ = literals.without_approximation(reference)
    if rounded is not None:
        if not rounding.roughly(answer, rounded):
            return 0.0, "different"
        said = rounding.rounds(answer.rpartition("=")[2].strip(), rounded)
        if said and settle(reference, rounded) == (1.0, "equal_number"):
            return 1.0, "equal_number"
    answer = _computed(answer) if "=" not in reference else answer
    measured = _settle_measured(reference, answer)
    if measured is not None:
        return measured
    named = counts.counts_by_name(reference), counts.counts_by_name(answer)
    if named[0] and named[1] and named[0].keys() == named[1].keys() and named[0] != named[1]:
        return 0.0, "different"
    (wanted, unit), (given, other) = split_unit(reference), split_unit(answer)
    if unit is not None and other is not None and (unit.dimensions, unit.factor) != (other.dimensions, other.factor):
        return 0.0, "different_unit"
    if base(given) not in (None, base(wanted)):
        return 0.0, "different_base"
    one, two = forms.aligned(_as_list(counts.counted_list(wanted)), _as_list(counts.counted_list(given)))
    same = _settled_alone(one, two)
    if same:
        return 1.0, "equivalent"
    if answers_offered(given) > answers_offered(wanted) and answers_offered(two) > answers_offered(one):
        return 0.0, "several_answers"
    if same is None:
        return _left_open(one, two)
    return 0.0, "answer_too_large" if isinstance(elementary.read(two), elementary.TooLarge) else "different"


def _settle_measured(reference: str, answer: str) -> Finding | None:
    """Two exact values, of which one has a unit, a scale or a percent sign; None where that is not for them to say."""
    wanted, given = measured(reference), measured(answer)
    if wanted is None or given is None:
        return None
    if wanted.matches(given):
        return 1.0, "equivalent"
    if wanted.unit is not None and given.unit is not None and not wanted.unit.measures_as(given.unit):
        return 0.0, "different_unit"
    if not (wanted.percent or given.percent):
        return None
    one, other = Fraction(wanted.value), Fraction(given.value)
    if "." in reference + answer:
        factors = (1,) if wanted.percent == given.percent else (Fraction(1, 100), 1) if wanted.percent else (100, 1)
        if any(abs(one * factor - other) <= _NEARLY * abs(other) for factor in factors):
            return 1.0, "equivalent"
    return 0.0, "different_number"


def _computed(answer: str) -> str:
    """What a chain of equal values comes to: of `2+3=5` the 5; any other text as it is."""
    pieces = [piece.strip() for piece in answer.split("=")]
    if len(pieces) < 2 or any(elementary.value(piece) is None for piece in pieces):
        return answer
    return pieces[-1] if all(elementary.settle(pieces[0], piece) for piece in pieces[1:]) else answer


def _as_list(text: str) -> str:
    """Values with "and" or "or" between them as a list; anything else as it is."""
    if not JOINED.search(text) or _ORDERED.search(text):  # of intervals "or" makes a union
        return text
    pieces = [one.strip() for part in top_level(unwrapped(text)) for one in JOINED.split(part) if one.strip()]
    return ", ".join(pieces) if len(pieces) > 1 and all(map(elementary.is_readable, pieces)) else text


def _left_open(reference: str, answer: str) -> Finding | Open:
    """What is asked of a computer algebra system, unless the answer could keep it busy."""
    if (_TOWER.search(answer) or _TOWER_OF_ANY.search(answer)) and not _TOWER.search(reference):
        return 0.0, "answer_too_large"
    if is_costly(answer) and not is_costly(reference):
        return 0.0, "answer_too_costly"
    return Open(reference, answer)


def _settled_alone(reference: str, answer: str) -> bool | None:
    """What elementary.py says of the pair, of its percentages, and of what an unknown is said to be."""
    if rounding.is_rounded(reference, answer):
        return True
    same = elementary.settle(reference, answer)
    if same is not None:
        return same
    if isinstance(elementary.read(answer), elementary.TooLarge) and elementary.is_readable(reference):
        return False
    named = [NAMED.fullmatch(text) for text in (reference, answer)]
    if named[0] and named[1] and named[0][0].split("=")[0].strip() == named[1][0].split("=")[0].strip():
        return True if rounding.is_rounded(named[0][1].strip(), named[1][1].strip()) else None
    if (named[0] is None) != (named[1] is None) and "=" not in (answer if named[0] else reference):
        sides = [one[1].strip() if one else text for one, text in zip(named, (reference, answer), strict=True)]
        same = elementary.settle(*sides) or sides[0] == sides[1] or rounding.is_rounded(sides[0], sides[1])
        return True if same else None
    if reference.endswith("%") != answer.endswith("%"):
        percent, plain = (reference, answer) if reference.endswith("%") else (answer, reference)
        bare = percent.rstrip("% ")
        return elementary.settle(bare, plain) or _hundredth(bare, plain)
    if reference.endswith("%"):
        return elementary.settle(reference.rstrip("% "), answer.rstrip("% "))
    return None


def _hundredth(percent: str, plain: str) -> bool | None:
    """Whether a percentage, which may be a mixed number, is a hundred times a value; None where it is not."""
    one, other = elementary.value(percent), elementary.value(plain)
    return True if one is not None and other is not None and one == other * 100 else None


def same_text(reference: str, answer: str) -> bool:
    """Whether two normalised texts read alike but for spacing and text commands."""
    return answer == reference or compact(answer) == compact(reference)
