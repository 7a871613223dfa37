"""How many sentences a text has, counted as the benchmark counts them, without its trained model.

IFEval asks nltk's punkt (Kiss and Strunk 2006) with its English model, which has to be downloaded. Its procedure is kept
here: a mark before white space, a quote or a bracket may end a sentence; an abbreviation, an initial or a number
before it may forbid that. So `1.` alone is a sentence, and so is what stands behind the last one, were it two asterisks.
What is left out is punkt's table of 20,000 words and the cases it has met them in: whether the capital after an
abbreviation begins a sentence or a name is decided by two short lists. What is added are East Asian and Indic marks,
which the English model does not know. Texts are hostile: every pattern is linear, and no word is read twice.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

# What ends a word besides white space, and the closing ones among it, which belong to the sentence that they close.
_BESIDE = r"[)\";}\]*:@'({\[‘’“”«»?!]"
_MARK = re.compile(rf"[.?!](?:(?={_BESIDE})|(?=\s+(?P<next>\S)))|(?P<other>[。！？।॥؟۔]++[」』]*+)\s*+(?=\S)")
_CLOSING = re.compile(r"[\"')\]}‘’“”«»]++(?:\s+|(?=--)|$)", re.MULTILINE)
_RUN = r"-{2,}|\.{2,}"
_TOKEN = re.compile(rf"{_RUN}|[^\s(\"`{{\[:;&#*@)}}\]\-,]\S*?(?=\s|\Z|{_BESIDE}|{_RUN}|,(?:\Z|\s|{_BESIDE}|{_RUN}))|\S")
_NUMBER = re.compile(r"-?[.,]?\d[\d,.\-]*")
_AFTER = re.compile(r"\S+")

# Words that punkt has learned to be abbreviations: titles, firms, places, dates, letters. `e.g` and `etc` are none of them.
_TITLES = "adm col dr gen lt maj messrs mg mr mrs ms prof rep reps sen sr st"
_FIRMS = "bros chg cie co corp cos ct inc ltd ok sw vs"
_PLACES = (
    "ala ariz ave calif colo conn d.c fla ft ga ill kan ky l.a mich minn n.c n.d n.h n.j n.m n.v n.y nev okla ore pa r.i s.c "
    "s.g tenn u.k u.n u.s u.s.a u.s.s.r va vt w.va wash wis"
)
_DATES = "a.m a.m.e aug dec feb fri jan jr nov oct p.m sep sept tues wed yr"
_LETTERS = (
    "a.a a.c a.d a.g a.h a.s a.t b.f b.v c.i.t c.o.m.b c.v d.h d.w e.f e.h e.l e.m f.g f.j g.d g.f g.k h.c h.f h.m i.m.s "
    "j.b j.c j.j j.k j.p j.r l.f l.p m.b.a m.d.c m.j p.a.m ph.d r.a r.h r.j r.k r.t s.a s.a.y s.p.a s.s t.j w.c w.r w.w "
    "c d e f g h k l m n p r s t v w"
)
_ABBREVIATIONS = frozenset(f"{_TITLES} {_FIRMS} {_PLACES} {_DATES} {_LETTERS}".split())
# With a capital after an abbreviation or an ellipsis, these begin a sentence (and in punkt rarer words too).
_STARTING = (
    "according although among both but despite even he however i if in indeed instead it many meanwhile moreover most "
    "nevertheless nonetheless nor sales separately similarly since so some the there these they this though thus under when "
    "while yet"
)
_STARTERS = frozenset(_STARTING.split())
# With a capital after an initial, these and the above are no surname.
_COMMON = (
    "a about after all an and any are as at be before can did do does for from had has have her here his how is let my no not "
    "now of on one or our please she that their then those to was we were what where which who why will with you your"
)
_NO_NAMES = (_STARTERS | frozenset(_COMMON.split())) - {"i"}
# After a number these were headings in the newspaper that the model was trained on.
_HEADED = "abreast business commodities credit insider international leisure letters notable review who"
_HEADINGS = frozenset(_HEADED.split())


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
    space = max(text.rfind(space, after + 1, before) for space in " \t\n\r\v\f")
    return otherwise if space < 0 else space + 1


def _following(mark: re.Match[str]) -> int:
    return mark.start("next") if mark["next"] else mark.end()


def _ends(text: str, word: int, mark: re.Match[str]) -> bool:
    """Whether a mark ends a sentence: whether any token up to it, or of the word after it but the last, does."""
    if mark["other"] or mark[0] != ".":
        return True
    beyond = _AFTER.match(text, mark.start("next")) if mark["next"] else None
    stop = beyond.end() if beyond else mark.end() + 1
    tokens = _TOKEN.findall(text[word:stop])
    return any(_is_end(one, other) for one, other in pairwise(tokens))


def _is_end(token: str, following: str) -> bool:
    """Whether a token ends a sentence, given the token after it."""
    if token in ("?", "!", "."):
        return True
    if not token.endswith("."):
        return False
    word, after = token[:-1].lower(), following.removesuffix(".").lower()
    capital, no_start = following[0].isupper(), following[0].islower() or following in (";", ":", ",", ".", "!", "?")
    if token.endswith(".."):
        return set(token) == {"."} and capital and after in _STARTERS
    if _NUMBER.fullmatch(word):
        return not no_start and after not in _HEADINGS
    initial = len(word) == 1 and (word.isalpha() or word == "_")
    if word in _ABBREVIATIONS or word.rpartition("-")[2] in _ABBREVIATIONS:
        return not initial and capital and after in _STARTERS
    if initial:
        return not no_start and (not capital or after in _NO_NAMES)
    return True
