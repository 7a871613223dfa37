"""Rows that are there twice: equal ones first, then nearly equal ones by MinHash and the exact Jaccard index.

Texts with other numbers, or other signs before numbers, are never called nearly equal: in mathematics they are other
problems. Candidates come from rensa's
MinHash with locality-sensitive hashing (Broder 1997), and each is measured before a row goes. Neighbours: the stage kinds
deduplicate and filter_queries.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from alignment.core.errors import OptionError

WORDS = 3  # of a shingle
PERMUTATIONS, BANDS = 128, 16
SEED = 17
# Numbers, and the signs between them: with others it is another problem.
_NUMBERS = re.compile(r"\d+(?:[.,]\d+)*|[-+*/^=<>×÷](?=\s*[\d(])")
_WORD = re.compile(r"[^\W_]+|[^\w\s]")


@dataclass(frozen=True)
class Copy:
    """A text that repeats an earlier one: the place of that one, and their Jaccard index (1 for equal texts)."""

    of: int
    similarity: float


def copies(texts: Sequence[str], threshold: float) -> list[Copy | None]:
    """For each text the earlier one that it repeats, or None. The first of a set of copies stays.

    threshold: least Jaccard index of the sets of three words in a row; 1 for equal texts alone.
    Raises OptionError without the package rensa, unless the threshold is 1.
    """
    found: list[Copy | None] = [None] * len(texts)
    first: dict[bytes, int] = {}
    for place, text in enumerate(texts):
        of = first.setdefault(_key(text), place)
        found[place] = Copy(of, 1.0) if of != place else None
    if threshold < 1:
        for place, copy in _near(texts, [place for place in range(len(texts)) if found[place] is None], threshold):
            found[place] = copy
    return found


def _near(texts: Sequence[str], places: Sequence[int], threshold: float) -> list[tuple[int, Copy]]:
    """Nearly equal texts among those that are all different."""
    rensa = _package()
    index = rensa.RMinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, num_bands=BANDS)
    found, numbers = list[tuple[int, Copy]](), dict[int, list[str]]()
    for start in range(0, len(places), 4096):
        chunk = places[start : start + 4096]
        hashes = rensa.RMinHash.from_token_sets([sorted(shingles(texts[place])) for place in chunk], PERMUTATIONS, SEED)
        for place, sketch in zip(chunk, hashes, strict=True):
            copy = _nearest(texts, place, sorted(index.query(sketch)), threshold, numbers)
            if copy is None:
                index.insert(place, sketch)
            else:
                found.append((place, copy))
    return found


def _nearest(
    texts: Sequence[str], place: int, candidates: Sequence[int], threshold: float, numbers: dict[int, list[str]]
) -> Copy | None:
    if not candidates:
        return None
    own, held = shingles(texts[place]), _NUMBERS.findall(texts[place])
    for other in candidates:
        if numbers.setdefault(other, _NUMBERS.findall(texts[other])) != held:
            continue
        theirs = shingles(texts[other])
        similarity = len(own & theirs) / len(own | theirs)
        if similarity >= threshold:
            return Copy(other, similarity)
    return None


def shingles(text: str) -> frozenset[str]:
    """The sets of three words in a row of a text, in lower case; of a shorter text, all of it."""
    words = _WORD.findall(text.lower())
    if len(words) <= WORDS:
        return frozenset([" ".join(words)])
    return frozenset(map(" ".join, zip(*(words[start:] for start in range(WORDS)), strict=False)))


def _key(text: str) -> bytes:
    """What equal texts share, whatever their case and white space."""
    return hashlib.sha256(" ".join(text.lower().split()).encode("utf-8", "backslashreplace")).digest()


def _package() -> ModuleType:
    try:
        import rensa
    except ImportError as error:
        raise OptionError("nearly equal rows are found by the package rensa: pip install 'alignment[factory]', or write "
                          "threshold: 1, which finds equal rows alone") from error  # fmt: skip
    return rensa
