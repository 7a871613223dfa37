"""Safety rules: personal data and secrets in a conversation, by forms that can be verified.

FineWeb (arXiv 2406.17557, section 3.9) finds e-mail addresses and public IP addresses; StarCoder (arXiv 2305.06161, section 4)
adds keys. Numbers count only with what makes them certain: a check digit, a plus sign, a key's prefix. Names and postal
addresses are not found, and harmful content is a classifier's work (classified.py). Neighbours: quality.py, check.py.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence

from alignment.data.rows import Conversation
from alignment.data_factory.filters.check import SOUND, Check, Finding

PERSONAL = (
    "an e-mail address, public IP address, telephone number with its country, payment card or bank account number"
)
SECRETS = "a private key, or a password-like key by its issuer's prefix"
# Bounded repetitions, so that hostile text costs linear time.
_EMAIL = re.compile(r"\b[A-Za-z0-9][\w.%+-]{0,63}@([A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.[A-Za-z]{2,24})\b")
_EXAMPLE = re.compile(r"(?:^|\.)(?:example(?:\.\w+)?|\w*(?:test|domain|email|company)\.\w+|localhost|invalid|local)$", re.IGNORECASE)  # fmt: skip
_ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)")
_VERSION = re.compile(r"(?:\bv|version|release)\.?\s*$", re.IGNORECASE)
_PHONE = re.compile(r"(?<![\w+])\+[1-9]\d{0,2}[ .-]?\(?\d{1,4}\)?(?:[ .-]?\d{2,4}){2,4}(?!\w)")
_CARD = re.compile(r"(?<![\d.,-])[3-6]\d{3}([ -])\d{4}\1\d{4}\1\d{4}(?![\d.,]*\d)")
_ACCOUNT = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_SECRET = re.compile(
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_\w{22,100}\b"
    r"|\bsk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,200}\b|\bxox[abprs]-[A-Za-z0-9-]{10,100}\b|\bAIza[\w-]{35}\b|\bhf_[A-Za-z0-9]{34}\b"
)
_LEAST_PHONE_DIGITS = 9


def safety_checks(names: Sequence[str]) -> list[Check[Conversation]]:
    """The named rules as checks of rows; they read every turn, thinking and tool results included."""
    checks = {"personal_data": Check("personal_data", PERSONAL, _judged_by(personal_data), private=True),
              "secrets": Check("secrets", SECRETS, _judged_by(secrets), private=True)}  # fmt: skip
    return [checks[name] for name in names if name in checks]


def _judged_by(found: Callable[[str], str | None]) -> Callable[[Sequence[Conversation]], list[Finding]]:
    def judge(row: Conversation) -> Finding:
        """The first text of a row in which something is found."""
        kind = next((kind for text in _texts(row) if (kind := found(text)) is not None), None)
        return SOUND if kind is None else Finding(True, kind)

    return lambda rows: [judge(row) for row in rows]


def _texts(row: Conversation) -> Iterator[str]:
    for turn in row.messages:
        yield from (str(turn[key]) for key in ("reasoning_content", "content", "tool_calls") if turn.get(key))


def secrets(text: str) -> str | None:
    """What kind of secret a text has, by its first characters alone: a card shows no whole key."""
    found = _SECRET.search(text)
    return None if found is None else f"a key that begins with {found[0][:4]}"


def personal_data(text: str) -> str | None:
    """What kind of personal data a text has, or None. A card shows the kind and not the data."""
    if any(not _EXAMPLE.search(found[1]) for found in _EMAIL.finditer(text)):
        return "an e-mail address"
    if any(_is_public(text, found) for found in _ADDRESS.finditer(text)):
        return "a public IP address"
    if any(sum(map(str.isdigit, found[0])) >= _LEAST_PHONE_DIGITS for found in _PHONE.finditer(text)):
        return "a telephone number"
    if any(_check_digit(re.sub(r"\D", "", found[0])) for found in _CARD.finditer(text)):
        return "a payment card's number"
    if any(_account(found[0].replace(" ", "")) for found in _ACCOUNT.finditer(text)):
        return "a bank account's number"
    return None


def _is_public(text: str, found: re.Match[str]) -> bool:
    """Whether four numbers are an address that belongs to somebody: not private, for documentation, or a version."""
    try:
        address = ipaddress.ip_address(found[0])
    except ValueError:
        return False
    shown = found[0] in ("8.8.8.8", "8.8.4.4", "1.1.1.1", "1.2.3.4")  # public resolvers, and everybody's example
    return address.is_global and not address.is_multicast and not shown and not _VERSION.search(text[: found.start()])


def _check_digit(digits: str) -> bool:
    """Luhn's check digit (ISO/IEC 7812-1)."""
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(number - 9 * (number > 9) for number in doubled) % 10 == 0


def _account(text: str) -> bool:
    """The check digits of an international bank account number (ISO 13616): 1 modulo 97."""
    if not 15 <= len(text) <= 34:
        return False
    moved = text[4:] + text[:4]
    return int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1
