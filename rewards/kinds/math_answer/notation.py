r"""How an answer is written, brought to one notation: typesetting, Unicode signs, thousands, repeating decimals.

`normalise` gives the text that everything else in this package reads. Neighbours: reading.py (where the answer stands),
quantities.py (numbers with units), forms.py (tuples, sets, choices). All of it is plain string work in time linear in the
text, since the text comes from a model: no evaluation.
"""

import re
import unicodedata
from typing import Final

from rewards.kinds.math_answer.binomials import with_binomials
from rewards.kinds.math_answer.brackets import closes_at_the_end, unwrapped
from rewards.kinds.math_answer.units import known_unit

NUMBER_PATTERN = r"[-+]?(?:(?:[1-9]\d{0,2}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}(?![\w.]))?"
_SIMPLE = re.compile(r"-?\d+(?:\.\d+)?")
_MATH_SPAN = re.compile(r"\$\$?([^$\n]+)\$\$?|\\\(([^\n]+?)\\\)|\\\[([^\n]+?)\\\]")
# Commands that say nothing, that say a space, and that say what another sign says.
_SILENT = (
    "left right displaystyle textstyle scriptstyle limits nolimits big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr "
    "Biggl Biggr mathstrut strut bf it rm sf tt par nonumber notag checkmark tiny scriptsize footnotesize small normalsize "
    "large Large LARGE huge Huge !"
)
_SPACES = "; : , quad qquad thinspace enspace enskip hfill"
_MEANINGS: Final[dict[str, str]] = {
    **dict.fromkeys(_SILENT.split(), ""),
    **dict.fromkeys([*_SPACES.split(), " ", "\n"], " "),
    **dict.fromkeys(["dfrac", "tfrac", "cfrac", "nicefrac", "sfrac"], r"\frac"),
    **dict.fromkeys(["dbinom", "tbinom"], r"\binom"),
    **dict.fromkeys(("le", "leqslant", "leqq"), r"\leq"),
    **dict.fromkeys(("ge", "geqslant", "geqq"), r"\geq"),
    **dict.fromkeys(("varnothing", "O"), r"\emptyset"),
    **dict.fromkeys(("langle", "lparen"), "("),
    **dict.fromkeys(("rangle", "rparen"), ")"),
    "$": "\u00a4", "euro": "€", "pounds": "£", "textdollar": "\u00a4", "texteuro": "€", "textsterling": "£", "cent": " cents", "textcent": " cents",
    "%": "%", "lbrace": r"\{", "rbrace": r"\}", "lbrack": "[", "rbrack": "]", "ne": r"\neq", "lt": "<", "gt": ">",
    "colon": ":", "degree": r"^\circ", "textdegree": r"^\circ", "land": r"\wedge", "lor": r"\vee", "div": "/", "ast": "*",
    "textbf": r"\text", "textit": r"\text", "textrm": r"\text", "emph": r"\text", "textsf": r"\text", "texttt": r"\text",
    "hbox": r"\text", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|", "lg": r"\log_{10}", "textellipsis": r"\ldots", "dots": r"\ldots", "cdots": r"\ldots",
}  # fmt: skip
_COMMAND = re.compile(r"\\([A-Za-z]+|[^A-Za-z])")
_LETTER = re.compile(r"[A-Za-z]")
_BARE_PI = re.compile(r"\\frac\s*\\pi\s*(?:(\d)|(?=\{))")
_UNIT_VECTOR = re.compile(r"\\(?:hat|vec|widehat)\s*(?:\{\s*\\?([ijk])(?:math)?\s*\}|\\?([ijk])(?:math)?(?![A-Za-z]))")
_NATURAL = re.compile(r"\\log\s*_\s*(?:e(?![A-Za-z])|\{\s*e\s*\})")
_HALVES = {"½": "1}{2", "⅓": "1}{3", "⅔": "2}{3", "¼": "1}{4", "¾": "3}{4", "⅕": "1}{5", "⅖": "2}{5", "⅗": "3}{5",
           "⅘": "4}{5", "⅙": "1}{6", "⅚": "5}{6", "⅐": "1}{7", "⅑": "1}{9", "⅒": "1}{10", "⅛": "1}{8", "⅜": "3}{8", "⅝": "5}{8", "⅞": "7}{8"}  # fmt: skip
_RAISED, _LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "₀₁₂₃₄₅₆₇₈₉₊₋₍₎"
_LEVEL = str.maketrans(_RAISED + _LOWERED, "0123456789+-()ni0123456789+-()")
_STACKED = re.compile(rf"(?<![{_RAISED}])([{_RAISED}]{{1,20}})⁄([{_LOWERED}]{{1,20}})")
_RAISED_RUN, _LOWERED_RUN = re.compile(f"[{_RAISED}]+"), re.compile(f"[{_LOWERED}]+")
_SIGNS = {
    "°": r"^\circ ", "º": r"^\circ ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "×": r"\times ", "÷": "/", "⁄": "/", "∕": "/",
    "−": "-", "–": "-", "—": "-", "∞": r"\infty ", "≤": r"\leq ", "≥": r"\geq ", "≠": r"\neq ", "≈": r"\approx ", "∪": r"\cup ",
    "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "ℝ": r"\mathbb{R}", "±": r"\pm ", "∓": r"\mp ", "π": r"\pi ", "θ": r"\theta ",
    "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "λ": r"\lambda ", "φ": r"\phi ", "ω": r"\omega ", "⟨": "(", "⟩": ")", "〈": "(", "〉": ")",
    "。": ".", "、": ",", "¥": "", "₹": "", "¢": "", "…": r"\ldots ", "∨": r"\vee ", "∧": r"\wedge ", "′": "'", "’": "'", "‘": "'",
    "“": '"', "”": '"', "\u3000": " ", "\ufeff": "",
    "μ": r"\mu ", "µ": r"\mu ", "\u03a9": r"\Omega ", "\u2126": r"\Omega ", "⋯": r"\ldots ", "≡": r"\equiv ", "℃": r"^\circ C", "℉": r"^\circ F",
    "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}", "或": r" \text{ or } ", "且": r" \text{ and } ", **dict.fromkeys("₽₩₺₫฿", ""),
    **dict.fromkeys("\u00a0\u2009\u200a\u202f\u2002\u2003\u205f", " "),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\u00ad", ""),
    **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
    **{sign: rf"\frac{{{inner}}}" for sign, inner in _HALVES.items()},
}  # fmt: skip
_UNICODE = str.maketrans(_SIGNS)
_THOUSANDS = re.compile(r"(?<=\d)(?:,\s*\\!|\\,|\{,\})\s*(?=\d{3}(?!\d))")
_ZERO_COMMA = re.compile(r"(?<![\d.,}])(-?0)\{,\}(?=\d)")
_DECIMAL_COMMA = re.compile(r"(?<=\d)\{,\}\s*(?=\d)")
_REPEATING = re.compile(
    r"(?<![\w.])(\d*)\.(\d*)(?:\\(?:overline|bar|dot)\s*(?:\{\s*(\d+)\s*\}|(\d))|\((\d+)\)(?![\d(^]))|(?<![\w.])(\d*)\.(\d*?)(?:(\d)\8\8+|(\d{2,6}?)\9+)(?:\\ldots|\.\.\.)"
)
_DOTTED = re.compile(r"\\dot\s*\{?(\d)\}?(\d*)\\dot\s*\{?(\d)\}?")  # the first and the last digit of a period
_COLOUR = re.compile(r"\\(?:text|page)?color(?:box)?\s*(?:\[[^\[\]]*\])?\s*\{[^{}]*\}")
_DECORATION = re.compile(r"\\(?:vspace|phantom|hphantom|vphantom|label|tag)\*?\s*\{[^{}]*\}")
_SPACE = re.compile(r"\\hspace\*?\s*\{[^{}]*\}")
_STYLE = re.compile(
    r"\\(?:mathbf|boldsymbol|bm|pmb|bold|underline|mathit|mathsf|mathtt|mathnormal|mathbin|mathord|mathop|ensuremath)\s*\{([^{}]*)\}"
)
_NUMBER_AS_TEXT = re.compile(r"\\text\s*\{\s*([-+]?\d+(?:\.\d+)?)\s*\}")
_NO_BRACKET = re.compile(r"\\(?:left|right)\s*\.")
_MATRIX_KIND = re.compile(r"(?<=\{)[pb]smallmatrix(?=\})")
_LETTER_SET = re.compile(r"\\mathbb\s+([A-Z])")
_BETWEEN_EQUATIONS = re.compile(r"(?<=[\w})])\s*(?:\\q?quad\s*)+(?=[A-Za-z](?:_\{?\w+\}?)?\s*=)")
_TAGS = re.compile(r"</?(?:b|strong|em|i|u|mark|code|span)>", re.IGNORECASE)
_SMALL_FRACTION = re.compile(r"^\^\s*\{?(\d+)\}?\s*/\s*_\s*\{?(\d+)\}?$")
_NEGATIVE_POWER = re.compile(r"\^\s*(-\d+)(?![\d.^])")
_TIMES_TEN = re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*(?:\^|\*\*))")
_EITHER_SIGN = re.compile(r"\+\s?/\s?-|(?<![\w)])\+-")
PLAIN_FUNCTION = re.compile(r"(?<![\\A-Za-z])(sin|cos|tan|cot|sec|csc|ln|log|exp|arctan)(?=\s*\()")
_ABSOLUTE = re.compile(r"(?<![\\A-Za-z])abs\(([^()]*)\)")
_PERCENT_WORD = re.compile(r"(?<=[\d}])\s*(?:\\text\s*\{\s*percent\s*\}|percent\b)")
_TURNED_BRACKETS = re.compile(r"([\[\]])\s*([^\[\];,]+)\s*[;,]\s*([^\[\];,]+)\s*([\[\]])")
_TRANSPOSED = r"\s*\^\s*\{?\s*(?:T|\\top|\\text\s*\{\s*T\s*\}|\\mathrm\s*\{\s*T\s*\})\s*\}?"
_VECTOR = re.compile(rf"<([^<>=]+,[^<>=]+)>|\[([^\[\]]+,[^\[\]]+)\]{_TRANSPOSED}|\(([^()]+,[^()]+)\){_TRANSPOSED}")
_DOTTED_THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(?:\.\d{3}){2,}(?:,\d+)?|-?[1-9]\d{0,2}\.\d{3},\d+")
_LEADING = re.compile(r"^(?:\\(?:sim|approx|therefore|Rightarrow|implies|to|rightarrow)(?![A-Za-z])|[≈~=:])\s*")
_ENDINGS = "\\ \t\n.,;:"
_MIXED = re.compile(r"(?<![\d.}])(\d+)\s+(\d+)\s*/\s*(\d+)")
_PI = re.compile(r"(?<![\\A-Za-z])pi(?![A-Za-z])")
_SPACED_THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(?: \d{3})+(?:\.\d+)?")
_CURRENCIES = {"$": "dollars", "\u00a4": "dollars", "€": "euros", "£": "gbp"}  # \\$ is read as \u00a4
_CENTS = re.compile(r"(?<=[\d}])\s?¢")
_CURRENCY_SIGN = re.compile("[$\u00a4€£]")
_UNSIGNED = NUMBER_PATTERN.removeprefix("[-+]?")
_MONEY = re.compile(
    rf"(?P<sign>[-+]?)\s*(?P<currency>[$\u00a4€£])\s*(?P<number>-?{_UNSIGNED})(?P<rest>\s*(?:hundred|thousand|million|billion|trillion))?(?P<per>\s*(?:/|\bper\b)\s*[A-Za-z]+)?[.\s]*"
)
_MONEY_AFTER = re.compile(rf"(?P<sign>[-+]?)(?P<number>{_UNSIGNED})(?P<rest>)\s*(?P<currency>[€£\u00a4$])(?P<per>)")
_TYPED = {"<=": r"\leq ", ">=": r"\geq ", "!=": r"\neq "}
_TYPED_SIGN = re.compile(r"(?<![<>=!\\])(?:<=|>=|!=)(?![<>=])")
_ROOT = re.compile(r"([√∛])\s*(\d+|\([^()]*\)|[a-z](?![a-z]))")
_PLAIN_ROOT = re.compile(r"(?<![\\A-Za-z])sqrt\s*\(([^()]*)\)")
_UNIT_FRACTION = re.compile(
    r"(?<=[\d}])[\s,]*\\frac\s*\{\s*((?:\\(?:text|mathrm|rm)\s*\{[A-Za-z^23 ]{1,20}\}|[a-z]{1,3}))\s*\}\s*\{\s*((?:\\(?:text|mathrm|rm)\s*\{[A-Za-z^23 ]{1,20}\}|[a-z]{1,3})(?:\s*\^\s*\{?[23]\}?)?)\s*\}$"
)
_SPACE_RUN = re.compile(r"\s+")
_FUNCTION = r"\\(?:sin|cos|tan|cot|sec|csc|log|ln|exp|arcsin|arccos|arctan|sinh|cosh|tanh)(?![A-Za-z])"
_ARGUMENT = r"\d*\s*(?:[A-Za-z](?![A-Za-z])|\\(?:pi|theta|alpha|beta|gamma|phi|omega|lambda)(?![A-Za-z]))|\d+(?:\.\d+)?(?:\s*\^\s*(?:\\circ(?![A-Za-z])|\{\s*\\circ\s*\}))?"
_UNBRACKETED = re.compile(
    rf"({_FUNCTION}(?:\s*\^\s*(?:\d|\{{-?\d+\}}))?)\s*({_ARGUMENT})(?=\s*(?:[-+)\]}}*/,=<>&]|\\cdot|\\times|\\right|{_FUNCTION}|$))"
)
_IS_FUNCTION = re.compile(_FUNCTION)
# What is printed wrongly when a language read the backslashes of LaTeX as escapes: \frac as a form feed and "rac".
_LOST_ESCAPE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f]|\t(?:imes|ext|heta|an|frac)|\r(?:ight|angle|ho)|\n(?:eq|u\b|abla)"
)
_DOUBLED = re.compile(r"\\\\(?=[A-Za-z{}()])")
_ROWS = re.compile(r"\\\\?begin")


def normalise(text: str) -> str:
    """An answer in one notation, without typesetting and decoration: spacing, colour, currency, bold, a full stop."""
    text = text.strip().strip("`").strip()
    if "<" in text:
        text = _TAGS.sub("", text).strip()
    if _SIMPLE.fullmatch(text):
        return text
    if text.startswith("**") and text.endswith("**"):
        text = text[2:-2].strip()
    if not text.isascii():
        text = in_ascii(text)
    span = _MATH_SPAN.fullmatch(text)
    if span:
        text = next(group for group in span.groups() if group is not None)
    if "\\" in text or "{,}" in text:
        text = _without_typesetting(text)
    text = with_binomials(text).replace("{:}", ":")
    if "$" in text or not text.isascii():
        text = _with_currency_as_unit(text)
    text = text.replace("**", "^").replace("~", " ")
    if "=" in text:
        text = _TYPED_SIGN.sub(lambda sign: _TYPED[sign[0]], text)
    text = _as_typed(text)
    if "pi" in text:
        text = _PI.sub(r"\\pi ", text)
    if "sqrt(" in text or "sqrt (" in text:
        text = _PLAIN_ROOT.sub(r"\\sqrt{\1}", text)
    if "." in text and ("\\" in text or "(" in text or "..." in text):
        text = _REPEATING.sub(_as_fraction, _DOTTED.sub(r"\\overline{\1\2\3}", text))
    if "/" in text:
        text = _MIXED.sub(r"\1\\frac{\2}{\3}", text)
    if "\\frac" in text and (unit := _UNIT_FRACTION.search(text)) and _is_unit_fraction(unit):
        text = f"{text[: unit.start()]} {unwrapped(unit[1])}/{unwrapped(unit[2])}"
    text = _SPACE_RUN.sub(" ", _without_braces(text)).strip()
    if " " in text and _SPACED_THOUSANDS.fullmatch(text):
        text = text.replace(" ", "")
    if "^" in text and (stacked := _SMALL_FRACTION.match(text)):
        text = rf"\frac{{{stacked[1]}}}{{{stacked[2]}}}"
    return _without_ending(_LEADING.sub("", text)).strip()


def _is_unit_fraction(found: re.Match[str]) -> bool:
    """Whether a fraction at the end is one of units, as in `50 \\frac{\\text{km}}{\\text{h}}`, and not one of unknowns."""
    written = "\\" in found[1] + found[2] or "^" in found[2] or max(map(len, found.groups())) > 1
    return written and known_unit(f"{unwrapped(found[1])}/{unwrapped(found[2])}") is not None


def in_ascii(text: str) -> str:
    """A text whose Unicode signs are LaTeX's commands; pictures and other marks that mean nothing are left out."""
    text = _CENTS.sub(" cents", text)
    text = _ROOT.sub(lambda root: rf"\sqrt{'[3]' if root[1] == '∛' else ''}{{{root[2]}}}", text)
    text = _STACKED.sub(lambda one: rf"\frac{{{one[1].translate(_LEVEL)}}}{{{one[2].translate(_LEVEL)}}}", text)
    text = _RAISED_RUN.sub(lambda run: f"^{{{run[0].translate(_LEVEL)}}}", text)
    text = _LOWERED_RUN.sub(lambda run: f"_{{{run[0].translate(_LEVEL)}}}", text).translate(_UNICODE)
    if text.isascii():
        return text
    return "".join(sign for sign in text if unicodedata.category(sign) not in ("So", "Sk", "Mn", "Cf"))


def _with_currency_as_unit(text: str) -> str:
    """`$1.50` and `5€` as `1.50 dollars` and `5 euros`, so that cents are told from them; any other text without signs."""
    plain = unwrapped(text).strip()
    found = _MONEY.fullmatch(plain) or _MONEY_AFTER.fullmatch(plain)
    if found is None:
        return _CURRENCY_SIGN.sub("", text)
    return f"{found['sign'] or ''}{found['number']}{found['rest'] or ''} {_CURRENCIES[found['currency']]}{found['per'] or ''}"


def _as_typed(text: str) -> str:
    """Signs that are typed on a keyboard as LaTeX's: `10^-3`, `3 x 10^8`, `+-3`, `sin(x)`, `]0,1[`, `1.234,5`."""
    if "^" in text:
        text = _NEGATIVE_POWER.sub(r"^{\1}", text)
    if "x" in text.lower() and "10" in text:
        text = _TIMES_TEN.sub(r"\\times ", text)
    if "+" in text:
        text = _EITHER_SIGN.sub(r"\\pm ", text)
    if "(" in text:
        text = _ABSOLUTE.sub(r"|\1|", PLAIN_FUNCTION.sub(r"\\\1", text))
    if "percent" in text:
        text = _PERCENT_WORD.sub("%", text)
    if text[:1] in ("[", "]") and (found := _TURNED_BRACKETS.fullmatch(text)) and (found[1], found[4]) != ("[", "]"):
        text = f"{'[' if found[1] == '[' else '('}{found[2]},{found[3]}{']' if found[4] == ']' else ')'}"
    if text[:1] in ("<", "[", "(") and (found := _VECTOR.fullmatch(text)):
        text = f"({found[1] or found[2] or found[3]})"
    if "." in text and _DOTTED_THOUSANDS.fullmatch(text):
        return text.replace(".", "").replace(",", ".")
    return text


def _without_ending(text: str) -> str:
    """A text without the marks and stray backslashes at its end; three dots say that it goes on, and stay."""
    kept = text.rstrip(_ENDINGS)
    return f"{kept}..." if text[len(kept) :].lstrip(", ").startswith("..") else kept


def _without_typesetting(text: str) -> str:
    text = _THOUSANDS.sub(",", text)
    if "{,}" in text:
        text = _DECIMAL_COMMA.sub(".", text)
    if "=" in text:
        text = _BETWEEN_EQUATIONS.sub(", ", text)
    text = _NO_BRACKET.sub("", _COLOUR.sub("", _DECORATION.sub("", _SPACE.sub(" ", text))))
    text = _LETTER_SET.sub(r"\\mathbb{\1}", _MATRIX_KIND.sub("pmatrix", text))
    text = _NATURAL.sub(r"\\ln", _COMMAND.sub(_meaning, text))
    text = _BARE_PI.sub(lambda one: rf"\frac{{\pi}}{f'{{{one[1]}}}' if one[1] else ''}", text)
    text = _UNIT_VECTOR.sub(lambda one: one[1] or one[2], text)
    for _ in range(3):
        text, styles = _STYLE.subn(r"\1", text)
        if not styles:
            break
    text = _NUMBER_AS_TEXT.sub(r"\1", text)
    text = _without_braces(text)
    return _UNBRACKETED.sub(r"\1(\2)", text) if _IS_FUNCTION.search(text) else text


def _without_braces(text: str) -> str:
    """A text without braces around all of it, which LaTeX does not print."""
    for _ in range(3):
        inner = text.strip()
        if not (inner.startswith("{") and closes_at_the_end(inner)):
            break
        text = inner[1:-1]
    return text


def _meaning(command: re.Match[str]) -> str:
    meaning = _MEANINGS.get(command[1])
    if meaning is None:
        return command[0]
    # A command ends where its letters do: what followed it must not become a part of another's name.
    ends_in_a_letter = meaning.startswith("\\") and meaning[-1:].isalpha()
    following = command.string[command.end() : command.end() + 1]
    return f"{meaning} " if ends_in_a_letter and _LETTER.match(following) else meaning


def _as_fraction(found: re.Match[str]) -> str:
    """A repeating decimal as the fraction that it is."""
    whole, fixed, *repeated = (
        found.group(1) or found.group(6) or "",
        found.group(2) or found.group(7) or "",
        *found.group(3, 4, 5, 8, 9),
    )
    period = next(one for one in repeated if one)
    if len(whole) + len(fixed) + len(period) > 30:
        return found[0]
    places, nines = 10 ** len(fixed), 10 ** len(period) - 1
    above = int(f"{whole or 0}{fixed}") * nines + int(period)
    return rf"\frac{{{above}}}{{{places * nines}}}"


def has_lost_escapes(text: str) -> bool:
    r"""Whether backslashes of LaTeX were read as escapes on the way here: a form feed and "rac" for \frac."""
    return _LOST_ESCAPE.search(text) is not None


def without_doubled_escapes(text: str) -> str:
    r"""A text in which every command was written with two backslashes, with one; rows of a matrix keep theirs."""
    if "\\\\" not in text or (_ROWS.search(text) and not text.startswith("\\\\begin")):
        return text
    if "\\\\\\\\" in text:  # rows of a matrix, doubled as well
        return text.replace("\\\\", "\\")
    return _DOUBLED.sub(r"\\", text)
