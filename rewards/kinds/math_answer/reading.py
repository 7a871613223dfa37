r"""Where in a text its final answer stands: boxes (boxes.py), announcements ("The answer is ..."), tags, the last formula or number.

verifier.py judges what is found here; notation.py brings it to one notation. A text comes from a model: everything is in
time linear in it, and how far is looked back is bounded.
"""

import re

from rewards.contract import without_end_tokens
from rewards.kinds.math_answer.boxes import BOX_CHARACTERS, DENIED_AFTER, NEGATED, last_box, last_boxes
from rewards.kinds.math_answer.brackets import closes_at_the_end
from rewards.kinds.math_answer.closing import (
    chosen_option,
    listed_at_the_end,
    result_of_lines,
    said_in_words,
    said_once,
)
from rewards.kinds.math_answer.formulas import OPERATOR, SPAN, TERM, content, listed_spans
from rewards.kinds.math_answer.lines import answer_of_lines
from rewards.kinds.math_answer.notation import NUMBER_PATTERN as _NUMBER
from rewards.kinds.math_answer.notation import PLAIN_FUNCTION, in_ascii, normalise
from rewards.kinds.math_answer.quantities import measured
from rewards.kinds.math_answer.sentences import DENIED, with_parts_of_wholes, with_unit

LOOK_BACK_CHARACTERS = 200_000  # how far from its end an announcement is searched for; boxes are found anywhere
LAST_CHARACTERS = 20_000  # how far from its end a number or formula that nothing announces is searched for

_SAID = r"\banswers?\**\s*(?:(?:is|are)\b|:|=|would be\b|should be\b|must be\b)\s*:?|####"
_SAID_OTHERWISE = (
    r"|\b(?:correct|right)\s+(?:option|choice)\**\s*(?:is\b|:)|【答案】"
    r"|答案\**\s*(?:应该|应当|应)?\**\s*(?:是|为|為|选|選|：|:|=)\s*(?:选|選)?|故(?:答案)?[选選]择?"
)
_SURELY = r"\s*(?:(?:for sure|definitely|clearly|certainly|surely|indeed|simply|therefore|thus)\b)?\s*(?:\*\*(?=\s))?"
_MARKER = re.compile(rf"(?:{_SAID}){_SURELY}", re.IGNORECASE)  # most texts need no more, and it is faster
_MARKER_OF_ANY_KIND = re.compile(rf"(?:{_SAID}{_SAID_OTHERWISE}){_SURELY}", re.IGNORECASE)
_TAG = re.compile(r"<answer>((?:[^<]|<(?!/?answer>))*)</answer>", re.IGNORECASE)
_BARE_BOX = re.compile(r"\\boxed\s?(\d+(?:\.\d+)?|[A-Za-z](?![A-Za-z]))")
_EMPHASIS = re.compile(r"(\*\*\*|\*\*|__|\*|_)(?=\S)(.+?)(?<=\S)\1")
_CLOSES_EMPHASIS = re.compile(
    r"^(?:\*{1,3}|__?)\s+(?!\s*\d+\s*$)(?=[^*]*$)"
)  # of what announced the answer: `*Answer:* 17`
_IS_NUMBER = re.compile(
    rf"[^$]{{0,200}}?\b(?:is|are|equals|was|be)\s+(?:equal to\s+)?({_NUMBER}(?:/\d+)?%?)(?![\w.,/^*]*[\d\\])[^$]*$"
)
_CHOICE = re.compile(
    r"(?:(?i:option|choice)\s+)?[:：]?\s*\(?([A-Z])\)?(?=[.,:;)。，、；]|\s*$|\s+(?:because|since|as|is)\b)"
)

# Units that are glued to a number, and what may stand right after one that is not: a letter or a sign makes it another.
_GLUED = r"(?:km|cm|mm|m|kg|mg|g|ml|mL|L|l|s|h|hr|hrs|min|mins|ft|in|lb|lbs|oz|mph|kph|Hz|kW|W|V|N|J|K|°C?|°F)(?:\^?\{?[23²³]\}?)?(?:/[a-z]{1,2})?(?![A-Za-z\d])|(?:hrs|min|lbs|mph|USD|EUR|GBP|CNY|RMB|kWh|MHz|GHz|[kMGT]B|ms|ns|nm|[kM]Pa|[kMG]?eV|cm3|m3|(?!sqrt|arctan)[A-Za-z]{4,})(?![A-Za-z\d(])"
_DENIED_LAST = re.compile(rf"\d{DENIED_AFTER.pattern}[.!\s]*$", re.IGNORECASE)  # "42 is wrong."
# A number whose thousands are set apart by blanks, as in French, is one number and not its last group.
_SPACED_NUMBER = r"[-+]?[1-9]\d{0,2}(?:[ \u00a0\u2009\u202f]\d{3})+(?!\d)(?:[.,]\d+)?"
_BARE = rf"(?<![\w.^{{}}\\/])(?<![A-Za-z]-)(?:{_SPACED_NUMBER}|{_NUMBER})(?:\s?/\s?\d+(?![\d.]*\d))?(?::\d+)*%?(?:(?=\s?{_GLUED})|(?![A-Za-z_\\^(]|\.\d))"
_NUMBERS = re.compile(rf"{_BARE}(?:\s{{0,3}}(?:,|;|\bor\b|\band\b)\s{{0,3}}{_BARE})*")
_CJK = r"\u3040-\u30ff\u3400-\u9fff\uff00-\uffef"
_SPACED = re.compile(rf"(?<=[{_CJK}])(?=[-+]?\d)|(?<=[\d%])(?=[{_CJK}])")
_EXPRESSION = re.compile(rf"(?<![A-Za-z\d])(?:[-+]?{TERM}{{1,40}})(?:{OPERATOR}[-+]?{TERM}{{1,40}}){{0,60}}")
_IS_EXPRESSION = re.compile(r"[\\^*/+<>=·×÷(]|\d\s?-\s?\d|\d[a-zA-Z]")
# Where what follows an answer begins: a reason, a remark, a condition.
_REMARK = re.compile(
    r"\s*[,;:—]?\s*[(\[]?\s*\b(?:because|since|as|for|which|where|so|due|given|it|that|this|thus|hence|namely|but|when|if|after|with|by|making|we|i|"
    r"assuming|therefore|obtained|found|from|rounded|after|approximately|not|rather|instead|done)\b.*$",
    re.IGNORECASE | re.DOTALL,
)
_REMARK_IN_CHINESE = re.compile(
    r"(?<=\S)\s*[，,；;。（(]?\s*(?:因为|因為|由于|由於|所以|不是|而不|而非|理由|其中|注意).*$", re.DOTALL
)
_HALF_OPEN = re.compile(r"\[[^()\[\],;]{1,40},[^()\[\],;]{1,40}\)|\([^()\[\],;]{1,40},[^()\[\],;]{1,40}\]")
_IN_BRACKETS = re.compile(r"(\S.{0,80}?)\s+\(\s*(?:=|or\b|i\.e\.,?)?\s*([^()]{1,80})\)$")
_OR_ELSE = re.compile(r"([^,;]{1,80}?)\s*,?\s+(?:or|i\.e\.,?)\s+([^,;]{1,80})")
_TAGS = re.compile(r"</?(?:b|strong|em|i|u|mark|code|span)>", re.IGNORECASE)
_OPENED_ONLY = re.compile(r"\s*\(\s*[\d.,]+\s*")  # a bracket that closes behind words
_UNIT_POWER = re.compile(r"(?<=\d)(\s?(?:[kcm]?m|ft|in))(?:\s?\^\s?\{?[23]\}?|[23])(?!\w)")
_PLAIN_WORDS = re.compile(rf"(?<!\\)\b[A-Za-z]{{3,}}|[{_CJK}]")
_OPTION = re.compile(r"(?:(?:option|choice)\s+)?\(?([A-Z])\)?\.?", re.IGNORECASE)
_BOUNDS_BEFORE = re.compile(
    r"\b(?:at (?:least|most)|(?:more|less|greater|fewer|larger|smaller|bigger|higher|lower|other|rather) than|over|under|above|below|up to|no longer|anything but)\s*(?:\\?\$)?$",
    re.IGNORECASE,
)
_CHANGED_AFTER = frozenset(
    [
        "hundred",
        "thousand",
        "million",
        "billion",
        "trillion",
        "dozen",
        "dozens",
        "score",
        "half",
        "squared",
        "cubed",
        "factorial",
        "plus",
        "minus",
        "times",
        "over",
        "less",
        "more",
        "most",
        "least",
        "than",
        "sqrt",
        "sin",
        "cos",
        "tan",
        "log",
        "exp",
        "pi",
        "and",
        "percent",
    ]
)


def final_answer(text: str, require_boxed: bool = False, *, whole: bool = False, values: int = 1) -> str | None:
    """The final answer that a text gives; None when there is none, and when its last box is empty.

    It is the last box (with its neighbours, where boxes are listed), unless an announcement or a tag follows; else what
    the last announcement or `<answer>` tag holds; else the last formula or number, of which `whole` keeps both sides
    of an equation. values: how many the reference lists: so many boxes of one line, or so many equations with commas
    between them, are one answer.
    """
    if "\\boxed" in text and text.count("\\boxed") > text.count("\\boxed{"):
        text = _BARE_BOX.sub(r"\\boxed{\1}", text)
    box, end = last_boxes(text, values)
    if require_boxed:
        return box or None
    tail = without_end_tokens(text[max(end, len(text) - LOOK_BACK_CHARACTERS) :])
    if box is None and end:  # an empty last box is no answer
        return _announced(tail) if _has_announcement(tail) else None
    found = _announced(tail) if _has_announcement(tail) else None
    if box is not None:
        return found if found is not None and _says_something(found) else box or None
    if found is not None or _markers_in(tail) or _TAG.search(tail):
        return found
    if "\\boxed" in tail or "\\fbox" in tail:  # one that was never closed, or was denied
        return None
    tail = tail[-LAST_CHARACTERS:]
    if _DENIED_LAST.search(tail[-100:]):
        return None
    found = (
        result_of_lines(tail)
        or listed_at_the_end(tail, values)
        or chosen_option(tail)
        or _last_mentioned(said_once(tail), whole)
    )
    return found if found is not None else said_in_words(tail)


def _has_announcement(tail: str) -> bool:
    lowered = tail.lower()
    return any(word in lowered for word in ("answer", "####", "答案", "故选", "故選", "option", "choice"))


def _announced(tail: str) -> str | None:
    """What the last announcement or tag of a text holds."""
    tags, markers = list(_TAG.finditer(tail)) if "<" in tail else [], _markers_in(tail)
    if tags and (not markers or markers[-1].start() < tags[-1].end()):
        inner = tags[-1][1].strip()
        box = last_box(inner)
        if box is None and _markers_in(inner):
            return _announced(inner)
        if box is None and "\n" in inner and (found := answer_of_lines(inner)) is not None:
            return found
        return (box if box is not None else _bare(inner)) or None
    if not markers:
        return None
    rest = tail[markers[-1].end() :].strip()
    if rest.startswith(("$$", "\\[")):
        span = SPAN.match(rest)
        return content(span) if span else None
    line = next(iter(rest.splitlines()), "")
    return answer_in_sentence(_TAGS.sub("", line) if "<" in line else line) if line else None


def _markers_in(text: str) -> list[re.Match[str]]:
    """Where a text announces an answer."""
    plain = not any(word in text for word in ("option", "choice", "Option", "Choice", "答", "故"))
    return list((_MARKER if plain else _MARKER_OF_ANY_KIND).finditer(text))


def announced_in(text: str) -> str | None:
    """The answer that a text announces ("The answer is 42."); None where it announces none."""
    return _announced(without_end_tokens(text))


def _says_something(found: str) -> bool:
    """Whether what was announced after a box can be an answer at all: it has a digit, a formula, or is a letter."""
    return any(character.isdigit() for character in found) or "\\" in found or len(found) == 1


def _bare(text: str) -> str:
    """A text without emphasis and the dollars of a formula around it."""
    text = text.strip()
    for _ in range(3):
        whole = _EMPHASIS.fullmatch(text)
        if not whole or len(text) > BOX_CHARACTERS:
            break
        text = whole[2].strip()
    span = SPAN.fullmatch(text)
    return content(span) if span else text


def answer_in_sentence(line: str) -> str | None:
    """The answer in the rest of a line that announced one: without emphasis, remark and unit words; None if denied."""
    line = with_parts_of_wholes(_REMARK_IN_CHINESE.sub("", " ".join(line[:BOX_CHARACTERS].split())))
    if line.count("**") % 2:  # what it closes was opened before
        line = line.replace("**", "", 1) if line.startswith("**") else "".join(line.rsplit("**", 1))
    line = _CLOSES_EMPHASIS.sub("", line)
    emphasis = _EMPHASIS.match(line)
    if emphasis and not re.match(r"\s*[-+*/^=]|\s*\d", line[emphasis.end() :]):
        line = emphasis[2].strip()
    line = line.strip("`").strip()
    span = SPAN.match(line)
    if span:
        rest = line[span.end() :]
        following = listed_spans(rest)
        return ", ".join([content(span), *following])
    choice = _CHOICE.match(line)
    if choice and not re.match(r"\(?[A-Z]\)?\s*[,;]\s*\(?[A-Z]\)?\s*(?:$|[.,;]|and\b)", line):
        return choice[1]
    sentence = re.split(r"[.。!！](?:\s|$)|。", line, maxsplit=1)[0].strip()
    if DENIED.search(sentence.split(",")[0]):
        return None
    sentence = _without_alternative(sentence)
    spans = list(SPAN.finditer(sentence))
    said = _IS_NUMBER.match(sentence, spans[-1].end()) if spans else None
    if said:  # "The largest $n$ is 34": what the formula is said to be, and not the formula
        return said[1]
    if len(spans) == 1:
        return content(spans[0])
    return _without_remark(_SPACED.sub(" ", sentence)) or None


def _without_remark(sentence: str) -> str:
    """The number in a sentence that holds one, or the sentence up to a remark."""
    begins = re.match(r"[-+(\[{\\\d.$√½¼¾π]|[A-Za-z](?=\s?[-+*/^=_(,])", sentence)
    shortened = _REMARK.sub("", sentence, count=1).strip() if begins else sentence
    sentence = (shortened or sentence).strip(" ,;:")
    numbers = _NUMBERS.findall(sentence)
    # A number inside a sentence is the answer only if it is the only one, and no word after it changes it.
    if (
        len(numbers) == 1
        and _PLAIN_WORDS.search(sentence)
        and not _IS_EXPRESSION.search(sentence.replace(numbers[0], ""))
    ):
        following = sentence.partition(numbers[0])[2]
        after = set(re.findall(r"[a-z]+", following.lower()))
        before = sentence.partition(numbers[0])[0]
        return (
            sentence
            if after & _CHANGED_AFTER or _BOUNDS_BEFORE.search(before)
            else with_unit(numbers[0], following, before)
        )
    return sentence


def _without_alternative(sentence: str) -> str:
    """A sentence without what says the same value again: `1/2 (or 0.5)`, `7 (5+2)`, `1/2, or 50%`."""
    for again in (_IN_BRACKETS.fullmatch(sentence), _OR_ELSE.fullmatch(sentence)):
        if again:
            first, second = measured(normalise(again[1])), measured(normalise(again[2]))
            if first is not None and second is not None and first.matches(second):
                return again[1]
    return sentence


def _last_mentioned(text: str, whole: bool) -> str | None:
    """The last formula or number of a text that announces nothing: a whole one, never a part of a larger expression."""
    text = with_parts_of_wholes(text)
    text = re.sub(r"[^\S\n]{2,}", " ", PLAIN_FUNCTION.sub(r"\\\1", in_ascii(_SPACED.sub(" ", text))))
    spans = list(SPAN.finditer(text))
    span = spans[-1] if spans else None
    rest = text[span.end() :] if span else text
    found = _last_expression(rest)
    if found is None and span is not None:
        if NEGATED.search(text[max(0, span.start() - 40) : span.start()]):
            return None
        return content(span) if whole else _right_side(content(span))
    return found


def _last_expression(text: str) -> str | None:
    """The number or expression in which the last digit or command of a text stands."""
    shown = _UNIT_POWER.sub(lambda one: one[1] + "_" * (len(one[0]) - len(one[1])), text)  # the 2 of 16 cm^2
    place = max((shown.rfind(sign) for sign in "0123456789\\"), default=-1)
    if place < 0:
        chosen = _OPTION.fullmatch(_bare(text))
        return chosen[1] if chosen else None
    numbers = [one for one in _NUMBERS.finditer(text) if one.start() <= place < one.end()]
    line = text.rfind("\n", 0, place) + 1
    covering = (one for one in _EXPRESSION.finditer(text, max(line, place - 300)) if one.end() > place)
    whole = next(covering, None)
    found = numbers[-1] if numbers else None
    larger = whole is not None and (found is None or len(whole[0].strip()) > len(found[0].strip()))
    if (
        whole is not None
        and larger
        and whole.start() <= place
        and _IS_EXPRESSION.search(whole[0])
        and not (found and _OPENED_ONLY.fullmatch(whole[0]))
    ):
        found = whole
    interval = next(
        (one for one in _HALF_OPEN.finditer(text, max(line, place - 90)) if one.start() <= place < one.end()), None
    )
    if interval is not None:
        found = interval
    if found is None or NEGATED.search(text[max(0, found.start() - 40) : found.start()]):
        return None
    if found is interval:
        return found[0]
    if found is whole:
        return _right_side(found[0])
    return with_unit(found[0], text[found.end() :], text[max(0, found.start() - 3) : found.start()])


def _right_side(expression: str) -> str:
    """What a computation comes to: `3 + 4 = 7` is 7; `y = 3`, `f(x) = x^2` and `x < 3` are said as they are."""
    expression = expression.strip().rstrip("([{=+-*/^,").strip()
    pieces = re.split(r"(?<![<>!\\])=", expression)
    if len(pieces) < 2 or "<" in expression or ">" in expression or "begin" in expression:
        return expression
    left, right = pieces[-2].strip(), pieces[-1].strip()
    named = re.fullmatch(r"[A-Za-z](?:_\{?\w+\}?)?|[A-Za-z]\([A-Za-z]\)|\\[a-z]+", pieces[0].strip())
    if named and len(pieces) == 2:
        return expression
    return right if not re.fullmatch(r"\(.*,.*\)", left) and _brackets_match(right) else expression


def _brackets_match(text: str) -> bool:
    """Whether the brackets of a text match."""
    return not text.startswith("(") or closes_at_the_end(text) or text.count("(") == text.count(")")
