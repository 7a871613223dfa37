"""How many sentences a text has, counted as the benchmark counts them, without its trained model.

IFEval asks nltk's punkt (Kiss and Strunk 2006) with its English model, which has to be downloaded. Its procedure is kept
here: a mark before white space, a quote or a bracket may end a sentence; a word of two lists, an initial or a number
before it may forbid that. So `1.` alone is a sentence, and so is what stands behind the last one, were it two asterisks.
What is left out is punkt's table of 20,000 words and the cases it has met them in: whether the capital after an
abbreviation begins a sentence or a name is decided by two short lists. What is added are East Asian and Indic marks,
which the English model does not know. Texts are hostile: every pattern is linear, and no word is read twice.
"""

import re
from collections.abc import Iterator

# What ends a word besides white space, and the closing ones among it, which belong to the sentence that they close.
_BESIDE = r"[)\";}\]*:@'({\[‘’“”«»?!]"
_MARK = re.compile(rf"[.?!](?:(?={_BESIDE})|(?=\s+(?P<next>\S)))|(?P<other>[。！？।॥؟۔]++[」』]*+)\s*+(?=\S)")
_CLOSING = re.compile(r"[\"')\]}‘’“”«»]++(?:\s+|(?=--)|$)", re.MULTILINE)
_SPACE = re.compile(r"[ \t\n\r\v\f]")
_TOKEN = re.compile(
    rf"-{{2,}}|\.{{2,}}|[^\s(\"`{{\[:;&#*@)}}\]\-,]\S*?(?=\s|\Z|{_BESIDE}|-{{2,}}|\.{{2,}}|,(?:\Z|\s|{_BESIDE}|-{{2,}}|\.{{2,}}))|\S"
)
_NUMBER = re.compile(r"-?[.,]?\d[\d,.\-]*")
_AFTER = re.compile(r"\S+")

# Words that punkt has learned to be abbreviations: titles, firms, places, dates and single letters. `e.g` is none of them.
_TITLES = "adm col dr gen gov lt maj messrs mg mr mrs ms prof rep reps sen sr st"
_FIRMS = "bros chg cie co corp cos inc ltd ok vs"
_PLACES = "ala ariz ave calif colo conn d.c fla ft ga ill kan ky l.a mich minn mt n.c n.d n.h n.j n.m n.v n.y nev okla ore pa r.i s.c s.g tenn u.k u.n u.s u.s.a u.s.s.r va vt w.va wash wis"
_DATES = "a.m a.m.e apr aug dec feb fri jan jr nov oct p.m sep sept tues wed yr"
_NAMES = "a.a a.c a.d a.g a.h a.s a.t b.f b.v c.i.t c.o.m.b c.r.t c.v d.g d.h d.w e.f e.h e.l e.m f.g f.j g.d g.f g.k h.c h.f h.m h.r i.m.s j.b j.c j.j j.k j.p j.r l.f l.p m.b.a m.d.c m.j p.a.m ph.d r.a r.h r.j r.k r.t s.a s.a.y s.p.a s.s t.j w.c w.r w.w"
_ABBREVIATIONS = frozenset(f"{_TITLES} {_FIRMS} {_PLACES} {_DATES} {_NAMES} c d e f g h l m n r s t v w".split())
# With a capital after an abbreviation, these begin a sentence (and in punkt a few words that are rarer).
_STARTERS = frozenset(
    "according although among both but despite even he however if in indeed instead it many meanwhile moreover nevertheless "
    "nonetheless nor sales separately similarly since so some the there these they this though thus under when while yet".split()
)
# With a capital after an initial, these and the above are no surname.
_NO_NAMES = frozenset(
    "a about after all an and any are as at be before can did do does for from had has have her here his how i is let my no "
    "not now of on one or our please she that their then those to was we were what where which who why will with you your".split()
)
# After a number these were headings in the newspaper that the model was trained on.
_HEADINGS = frozenset("abreast business commodities credit insider international leisure letters notable review who".split())


def count_sentences(text: str) -> int:
    """How many sentences a text has; the last one needs no mark."""
    count, start = 0, 0
    for end, following in _breaks(text):
        count += start < end
        closing = _CLOSING.match(text, following)
        start = closing.end() if closing else following
    return count + (start < len(text.rstrip()))


def _breaks(text: str) -> Iterator[tuple[int, int]]:
    """Where sentences end, and where the ones after them begin."""
    last: re.Match[str] | None = None
    word = 0  # where the word begins that the last mark stands in
    for mark in _MARK.finditer(text):
        begins = _word_start(text, last.start() if last else 0, mark.start(), word)
        # Of the marks in a word only the last one decides; a mark that begins its word is one by itself.
        if last is not None and last.start() <= begins and _ends(text, word, last):
            yield last.end(), _following(last)
        last, word = mark, begins
    if last is not None and _ends(text, word, last):
        yield last.end(), _following(last)


def _word_start(text: str, after: int, before: int, otherwise: int) -> int:
    """Where the word begins that stands before a place; the word goes on where no white space is in between."""
    for place in range(before - 1, after, -1):
        if _SPACE.match(text, place):
            return place + 1
    return otherwise


def _following(mark: re.Match[str]) -> int:
    return mark.start("next") if mark["next"] else mark.end()


def _ends(text: str, word: int, mark: re.Match[str]) -> bool:
    """Whether a mark ends a sentence: whether any token up to it, or of the word after it but the last, does."""
    if mark["other"] or mark[0] != ".":
        return True
    beyond = _AFTER.match(text, mark.start("next")) if mark["next"] else None
    stop = beyond.end() if beyond else mark.end() + 1
    tokens = _TOKEN.findall(text[word:stop])
    return any(_is_end(one, other) for one, other in zip(tokens, tokens[1:], strict=False))


def _is_end(token: str, following: str) -> bool:
    """Whether a token ends a sentence, given the token after it."""
    if token in ("?", "!", "."):
        return True
    if not token.endswith("."):
        return False
    word, after = token[:-1].lower(), following.removesuffix(".").lower()
    capital, no_start = following[0].isupper(), following[0].islower() or following in (";", ":", ",", ".", "!", "?")
    if token.endswith(".."):  # an ellipsis, before what is probably a word and not a name
        return set(token) == {"."} and capital and after not in _NO_NAMES
    if _NUMBER.fullmatch(word):
        return not no_start and after not in _HEADINGS
    initial = len(word) == 1 and (word.isalpha() or word == "_")
    if word in _ABBREVIATIONS or word.rpartition("-")[2] in _ABBREVIATIONS:
        return not initial and capital and after in _STARTERS
    if initial:
        return not no_start and (not capital or after in _STARTERS or after in _NO_NAMES)
    return True
