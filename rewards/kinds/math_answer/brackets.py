r"""How a normalised text is put together: text commands around words, brackets, and what stands between separators.

Everything that reads normalised texts asks here. All of it is in time linear in the text.
"""

import re

_WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|mbox|mathrm|mathbf|mathit|operatorname)\s*\{([^{}]*)\}")


def closes_at_the_end(text: str) -> bool:
    """Whether the bracket that opens a text closes at its end."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            return position == len(text) - 1
    return False


def compact(text: str) -> str:
    """A normalised text without text commands and spaces, but for those between two numbers or two words."""
    return re.sub(r"\s+(?![A-Za-z\d])|(?<![A-Za-z\d])\s+", "", unwrapped(text))


def unwrapped(text: str) -> str:
    r"""A text with \text{...} and its kin replaced by what they hold."""
    return _WRAPPER.sub(r"\1", text) if "\\" in text else text


def is_wrapped(text: str) -> bool:
    r"""Whether a text is all in \text{...} or its kin."""
    return _WRAPPER.fullmatch(text) is not None


def top_level(text: str, separators: str = ",;") -> list[str]:
    """The pieces between separators that stand outside every bracket, without empty ones."""
    pieces, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character in separators and depth <= 0:
            pieces.append("")
        else:
            pieces[-1] += character
    return [piece.strip() for piece in pieces if piece.strip()]
