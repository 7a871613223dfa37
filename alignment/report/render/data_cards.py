"""The tables of a stage's data card: its fractions, its checks, and the data it read.

Neighbours: markdown.py (prints them), ../phrases.py (how a row reads), records/card.py (the card).
"""

from alignment.records.card import CardFigures
from alignment.report import phrases

FRACTION_HEADINGS = ("fraction of", "asked %", "made %", "rows")
CHECK_HEADINGS = ("check", "rows found", "could not tell", "rule")
PART_HEADINGS = ("data", "licence", "read", "left out", "used")
Table = tuple[tuple[str, ...], list[tuple[str, ...]]]  # headings and rows


def tables(figures: CardFigures) -> tuple[list[Table], Table]:
    """Fractions and checks, each where the card has some, and the data that was read."""
    fractions: list[tuple[str, ...]] = [phrases.card_fraction(one) for one in figures.fractions.values()]
    checks: list[tuple[str, ...]] = [phrases.card_check(one) for one in figures.checks]
    found = [(FRACTION_HEADINGS, fractions), (CHECK_HEADINGS, checks)]
    return [one for one in found if one[1]], (PART_HEADINGS, [phrases.card_part(part) for part in figures.data])
