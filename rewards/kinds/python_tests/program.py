"""The program in a model's answer: which fence it is in, what is around it that is no program, and in which spellings.

verifier.py examines what is found here. An answer often leaves room for more than one reading (a fence that closes inside
a docstring, prose before the code), so several texts are given, of which the first that is Python counts: that is tried
where the program runs, and never here. Answers are hostile: everything is linear, and the number of readings is bounded.
"""

import re
import textwrap
from collections.abc import Collection
from dataclasses import dataclass

from rewards.contract import without_end_tokens

_PYTHON = re.compile(r"\{?\.?(?:i?python[\d.]*|py3?|pypy3?)(?![\w+#-])", re.IGNORECASE)
_OPENS = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^\n`]*)$")
_WHOLE_ON_ONE_LINE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^\n`]*[^\n`~\s])[ \t]*\1[ \t]*$")
_NAME_OF_PYTHON = re.compile(r"\{?\.?(?:python[23]?|pypy3?|py3?)\}?", re.IGNORECASE)
_GLUED_CODE = re.compile(
    r"(?:(?:async\s+)?def\s+\w+\s*\(|class\s+\w+\s*[:(]|import\s+\w|from\s+[\w.]+\s+import\b|@\w|(?:for|while|if|with|try|return)\b[^`]*[:(\w]|print\s*\(|#)"
)
_GLUED_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*(?:\[\w+\]|,\s?\w+){0,9}\s?=[^=]|[A-Za-z_]\w*\([^`]*\)$")
_OPENS_AFTER_PROSE = re.compile(r"^[^`\n]*[^`\s][ \t]*(`{3,})[ \t]*((?:python[\d.]*|py3?)\b[^\n`]*)$", re.IGNORECASE)
_OPENS_AFTER_COLON = re.compile(r"^[^`\n]*[:：]\**[ \t]*(`{3,})[ \t]*()$")
_CUT_MARK = re.compile(r"\n`{1,2}\s*$")  # what is left of a mark where the text was cut off
_NEUTRAL = frozenset(("code", "text", "txt", "plaintext", "plain", "solution", "answer"))  # languages that name none
_QUOTED = re.compile(r"^> ?(?=[`~]{3})", re.MULTILINE)
_WRAPPED = re.compile(
    r"^\s*(?:\[(?:BEGIN|PYTHON|CODE)\]|python3?)[ \t]*\n(.*?)(?:\n\[(?:DONE|END|/PYTHON|/CODE)\].*)?$", re.DOTALL
)
_TAGGED = re.compile(r"<answer>((?:[^<]|<(?!/?answer>))*)</answer>", re.IGNORECASE)
_INVISIBLE = str.maketrans({**dict.fromkeys("\ufeff\u200b\u200c\u200d\u2060\u00ad"), "\u00a0": " ", "\u3000": " "})
# Linear, because answers are hostile: no line is left before its own end, and no quantifier gives back what it took.
_LOOKS_LIKE_CODE = re.compile(
    r"^[^\S\n]*+((def|class|import|from|for|while|if|return|print|with|try|async|@\w+)\b|[\w.\[\],][\w.\[\], ]*+\s*+=[^=])"
    r"|^(?=[^\S\n ]*+ )[^\S\n]*+=[^=]",
    re.MULTILINE,
)
_STARTS_CODE = re.compile(
    r"^(?:(?:async[ \t]+)?def[ \t]+\w+[ \t]*\(|class[ \t]+\w+[ \t]*[:(]|import[ \t]+\w|from[ \t]+[\w.]+[ \t]+import\b|@\w|[A-Za-z_]\w*[ \t]*=[^=])",
    re.MULTILINE,
)
_MOST_FENCES = 200  # the last so many are looked at


@dataclass(frozen=True)
class Fence:
    """A fenced block: its language, its text, and its text up to a later mark that may be the one that closes it.

    `first`: a line of code that stands behind the opening mark, if it is none of the language's attributes.
    """

    language: str
    text: str
    longer: str = ""
    first: str = ""

    @property
    def is_python(self) -> bool:
        """Whether its language is Python, by its info string."""
        return _PYTHON.match(self.language) is not None

    @property
    def readings(self) -> tuple[str, ...]:
        """Its texts that hold more than comments and white space, the shorter first."""
        bare = [text for text in (self.text, self.longer) if text or self.first]
        texts = [self.first + text for text in bare] + bare
        return tuple(text for text in dict.fromkeys(texts) if _says_something(text))


def program_texts(answer: str, wanted: Collection[str] = ()) -> tuple[tuple[str, ...], bool]:
    """The readings of an answer as a program, in order, and whether it was fenced; none where it holds no program.

    The program is in the last Python fence that defines one of the `wanted` names, else in the last one; without any, in
    the last plain fence; else it is an answer that looks like code, from where the code begins.
    """
    answer = without_end_tokens(answer if answer.isascii() else answer.translate(_INVISIBLE))
    tagged = _TAGGED.findall(answer)
    if tagged:
        answer = tagged[-1]
    if _QUOTED.search(answer):
        answer = re.sub(r"^> ?", "", answer, flags=re.MULTILINE)
    fences = _fences(answer)[-_MOST_FENCES:]
    plain = [one for one in fences if not one.language]
    neutral = [one for one in fences if one.language.lower() in _NEUTRAL]
    for chosen in ([one for one in fences if one.is_python], plain, neutral):
        worded = [one for one in chosen if one.readings]
        defining = [one for one in worded if _defines(one.first + one.text + one.longer, wanted)]
        coded = [
            one for one in worded if _LOOKS_LIKE_CODE.search(one.first + one.text)
        ]  # a plain fence may hold an example's input
        if worded:
            fence = (defining or coded or worded)[-1]
            return fence.readings, True
    if len(fences) == 1 and not fences[0].text.strip():  # opened in the prompt, and only closed here
        answer, fences = answer[: answer.rfind("```")], []
    if wrapped := _WRAPPED.match(answer):
        answer = wrapped[1]
    if fences or not _LOOKS_LIKE_CODE.search(answer):
        return (), False
    start = _STARTS_CODE.search(answer)
    readings = [answer]
    if start and start.start():
        readings += [answer[start.start() :], _without_prose_after(answer[start.start() :])]
    else:
        readings.append(_without_prose_after(answer))
    return tuple(dict.fromkeys(readings)), False


def _says_something(text: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines())


def dedented(text: str) -> str:
    """A program without the indentation that all of it has, as in a list of points."""
    return textwrap.dedent(text)


def _defines(text: str, wanted: Collection[str]) -> bool:
    return any(
        re.search(
            rf"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+{re.escape(name)}\b|^{re.escape(name)}[ \t]*=",
            text,
            re.MULTILINE,
        )
        for name in wanted
    )


def _without_prose_after(text: str) -> str:
    """A program up to the last line that can be one: what is indented, or begins like code."""
    lines = text.splitlines(keepends=True)
    while lines and not (
        lines[-1][:1] in " \t" or _LOOKS_LIKE_CODE.match(lines[-1]) or re.match(r"\w+\(|[)\]}#]", lines[-1])
    ):
        lines.pop()
    return "".join(lines)


def _fences(answer: str) -> list[Fence]:
    """The fenced blocks of a text, in order; one that is never closed goes to the end."""
    lines = answer.splitlines(keepends=True)
    marks = [number for number, line in enumerate(lines) if "```" in line or "~~~" in line]
    fences: list[Fence] = []
    taken = -1
    for place, number in enumerate(marks):
        if number <= taken:
            continue
        line = lines[number].rstrip("\n")
        if whole := _WHOLE_ON_ONE_LINE.match(line):
            language, code = _apart(whole[2])
            if code:
                fences.append(Fence(language, "", first=code))
                taken = number
            continue
        opened = _OPENS.match(line) or _OPENS_AFTER_PROSE.match(line) or _OPENS_AFTER_COLON.match(line)
        if not opened:
            continue
        language, code = _apart(opened[2])
        ends = [_closing(lines[one], opened[1], lines[number]) for one in marks[place + 1 :][:_MOST_FENCES]]
        closes = [(marks[place + 1 + at], end) for at, end in enumerate(ends) if end is not None]
        if not closes:
            text = _CUT_MARK.sub("\n", "".join(lines[number + 1 :]))
            worded = [
                one for one in marks[place + 1 :] if lines[one].lstrip().startswith(opened[1])
            ]  # it closes, and prose goes on
            longer = "".join(lines[number + 1 : worded[0]]) if worded else ""
            fences.append(Fence(language, text, longer, code))
            break
        first, last = closes[0], _last_before_the_next(closes, lines)
        text = "".join(lines[number + 1 : first[0]]) + first[1]
        longer = "".join(lines[number + 1 : last[0]]) + last[1] if last != first else ""
        fences.append(Fence(language, text, longer, code))
        taken = first[0]
    return fences


def _apart(info: str) -> tuple[str, str]:
    """The language that a fence's first line names, and a first line of code that is glued to the mark or to the name."""
    info = info.strip()
    name = _NAME_OF_PYTHON.match(info)
    code = info[name.end() :] if name else info
    if _GLUED_CODE.match(code.lstrip()) or _GLUED_ASSIGNMENT.match(code.lstrip()):
        return (name[0] if name else ""), f"{code.strip()}\n"
    return info, ""


def _closing(line: str, mark: str, opening: str) -> str | None:
    """What of a line is before the mark that closes a fence; None where the line does not close it."""
    stripped = line.strip()
    indent, own = len(line) - len(line.lstrip()), len(opening) - len(opening.lstrip())
    if set(stripped) == {mark[0]} and len(stripped) >= len(mark):
        return "" if indent <= own + 3 else None
    glued = stripped.endswith(mark) and not stripped.endswith(mark[0] * (len(mark) + 1)) and stripped.count(mark) == 1
    return f"{line.rstrip()[: -len(mark)]}\n" if glued else None


def _last_before_the_next(closes: list[tuple[int, str]], lines: list[str]) -> tuple[int, str]:
    """The last mark that may close a fence before another one opens with a language."""
    last = closes[0]
    for one in closes[1:]:
        if any(_opens_with_a_language(line) for line in lines[last[0] + 1 : one[0]]):
            break
        last = one
    return last


def _opens_with_a_language(line: str) -> bool:
    opened = _OPENS.match(line.rstrip("\n"))
    return opened is not None and bool(opened[2].strip()) and len(line) - len(line.lstrip()) <= 3
