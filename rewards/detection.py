"""Which language a text is in, and in which scripts it is written. Kinds `language`, `repetition`, `instruction` ask here.

py3langid decides the language, among those in LANGUAGES only: the model's rarer languages win on short texts that are
plainly in a common one. It is imported with its model (0.9 s) when the first text is judged. Scripts are counted from
the Unicode ranges of letters. What the model cannot tell is None, never a guess.
"""

import re
import threading
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# ISO 639-1 codes, and the scripts each is written in. Those not named here are Latin.
_OTHER_SCRIPTS: dict[str, tuple[str, ...]] = {
    "am": ("ethiopic",), "ar": ("arabic",), "be": ("cyrillic",), "bg": ("cyrillic",), "bn": ("bengali",),
    "el": ("greek",), "fa": ("arabic",), "gu": ("gujarati",), "he": ("hebrew",), "hi": ("devanagari",),
    "hy": ("armenian",), "ja": ("kana", "han"), "ka": ("georgian",), "kk": ("cyrillic",), "km": ("khmer",),
    "kn": ("kannada",), "ko": ("hangul",), "lo": ("lao",), "mk": ("cyrillic",), "ml": ("malayalam",),
    "mn": ("cyrillic",), "mr": ("devanagari",), "my": ("myanmar",), "ne": ("devanagari",), "pa": ("gurmukhi",),
    "ps": ("arabic",), "ru": ("cyrillic",), "si": ("sinhala",), "sr": ("cyrillic", "latin"), "ta": ("tamil",),
    "te": ("telugu",), "th": ("thai",), "uk": ("cyrillic",), "ur": ("arabic",), "zh": ("han",),
}  # fmt: skip
_LATIN = "af ca cs cy da de en es et eu fi fr ga gl hr hu id is it lt lv ms nl no pl pt ro sk sl sq sv sw tl tr uz vi"
LANGUAGES: dict[str, tuple[str, ...]] = {**dict.fromkeys(_LATIN.split(), ("latin",)), **_OTHER_SCRIPTS}

# Where each script's letters begin and end (inclusive), in order.
_RANGES: tuple[tuple[int, int, str], ...] = (
    (0x0041, 0x024F, "latin"), (0x0370, 0x03FF, "greek"), (0x0400, 0x052F, "cyrillic"), (0x0530, 0x058F, "armenian"),
    (0x0590, 0x05FF, "hebrew"), (0x0600, 0x077F, "arabic"), (0x08A0, 0x08FF, "arabic"), (0x0900, 0x097F, "devanagari"),
    (0x0980, 0x09FF, "bengali"), (0x0A00, 0x0A7F, "gurmukhi"), (0x0A80, 0x0AFF, "gujarati"), (0x0B80, 0x0BFF, "tamil"),
    (0x0C00, 0x0C7F, "telugu"), (0x0C80, 0x0CFF, "kannada"), (0x0D00, 0x0D7F, "malayalam"), (0x0D80, 0x0DFF, "sinhala"),
    (0x0E00, 0x0E7F, "thai"), (0x0E80, 0x0EFF, "lao"), (0x1000, 0x109F, "myanmar"), (0x10A0, 0x10FF, "georgian"),
    (0x1100, 0x11FF, "hangul"), (0x1200, 0x137F, "ethiopic"), (0x1780, 0x17FF, "khmer"), (0x1E00, 0x1EFF, "latin"),
    (0x1F00, 0x1FFF, "greek"), (0x3040, 0x30FF, "kana"), (0x3400, 0x4DBF, "han"), (0x4E00, 0x9FFF, "han"),
    (0xAC00, 0xD7AF, "hangul"), (0xF900, 0xFAFF, "han"), (0xFB50, 0xFDFF, "arabic"), (0xFE70, 0xFEFF, "arabic"),
    (0xFF21, 0xFF5A, "latin"), (0x20000, 0x3FFFF, "han"),
)  # fmt: skip
_STARTS = [start for start, _, _ in _RANGES]

SURE = 0.5  # the model's probability from which its language is believed
FEWEST_LETTERS = 12  # of a script that many languages share; fewer say nothing about the language
FEWEST_SIGNS = 4  # of a script that only one of LANGUAGES uses, or of one with a sign per syllable or word
_NOT_PROSE = re.compile(r"(?:https?://|www\.)\S*")


@dataclass(frozen=True)
class Detection:
    """A text's language (None where it is unknown), its letters by script, and how sure the model is."""

    language: str | None
    scripts: dict[str, int]
    probability: float


def scripts_of(text: str) -> dict[str, int]:
    """How many letters of each script a text has, most first. Linear: each distinct character is looked up once."""
    found: Counter[str] = Counter()
    for character, count in Counter(text).items():
        script = _script(character)
        if script is not None:
            found[script] += count
    return dict(found.most_common())


def detect(text: str) -> Detection:
    """The language of a text. Addresses of web pages are left out."""
    prose = _NOT_PROSE.sub(" ", text)
    scripts = scripts_of(prose)
    if not scripts:
        return Detection(None, {}, 0.0)
    main = next(iter(scripts))
    writers = [language for language, used in LANGUAGES.items() if main in used]
    enough = FEWEST_SIGNS if len(writers) <= 2 or main in ("han", "kana") else FEWEST_LETTERS
    if not writers or scripts[main] < enough:
        return Detection(None, scripts, 0.0)
    if len(writers) == 1:
        return Detection(writers[0], scripts, 1.0)
    language, probability = _classify(prose.lower())
    # A language that is not written in the text's main script is a mistake of the model's.
    believed = probability >= SURE and (main in LANGUAGES[language])
    return Detection(language if believed else None, scripts, probability)


def is_in(text: str, language: str) -> bool | None:
    """Whether a text is in a language of LANGUAGES; None where it does not say enough.

    A text without letters is in no language. One whose letters are of other scripts is not in this one, however short.
    """
    found = detect(text)
    if not found.scripts or next(iter(found.scripts)) not in LANGUAGES[language]:
        return False
    return None if found.language is None else found.language == language


def _script(character: str) -> str | None:
    if not character.isalpha():
        return None
    place = bisect_right(_STARTS, ord(character)) - 1
    return _RANGES[place][2] if place >= 0 and ord(character) <= _RANGES[place][1] else None


def _classify(text: str) -> tuple[str, float]:
    language, probability = _identifier().classify(text)
    return language, float(probability)


_LOADING = threading.Lock()


def _identifier() -> "LanguageIdentifier":
    with _LOADING:
        return _loaded()


@cache
def _loaded() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(LANGUAGES)
    return identifier
