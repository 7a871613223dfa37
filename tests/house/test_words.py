"""The project speaks the field's language: words of its own that an ML engineer would have to look up do not come back.

docs/glossary.md has the terms. What is searched is everything that a reader meets: code, messages, recipes, pages.
"""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PLACES = (
    "alignment/**/*",
    "rewards/**/*",
    "docs/*.md",
    "recipes/**/*",
    "data/**/*.yaml",
    "*.md",
    "Makefile",
    "setup.sh",
)
READABLE = (".py", ".md", ".yaml", ".jinja", ".sh", "")
# The word on the left is written as the field writes it, on the right.
PRIVATE = {
    r"mend(s|ed|ing)?": "fix, repair",
    r"told_\w+": "target_length",
    r"silent_\w+": "zero_variance, zero_advantage",
    r"telling": "with a nonzero advantage",
    r"bur(y|ied)": "handle a dead worker",
    r"prove_delivery|weight delivery": "check_weight_sync, weight sync",
    r"gone (on with|over)": "resumed; repeated",
    r"is told of": "is reported",
    r"puts? (the |its )?flags on": "adds flags",
}
# Where the old words have to stand: the error for an old recipe key names the new one.
OLD_KEYS = "alignment/recipe/reading/renamed.py"


def words_of_our_own(text: str) -> list[str]:
    """The private words in a text, each with what to write."""
    found = []
    for pattern, better in PRIVATE.items():
        # Names are parted by underscores, so letters alone make the boundary: `_bury` is found, `recommend` is not.
        for match in re.finditer(rf"(?<![A-Za-z])({pattern})(?![A-Za-z])", text, re.IGNORECASE):
            found.append(f"{match[0]}: write {better}")
    return found


def test_the_words_are_the_fields() -> None:
    found = []
    for path in sorted({path for place in PLACES for path in REPOSITORY.glob(place) if path.is_file()}):
        name = path.relative_to(REPOSITORY).as_posix()
        if path.suffix in READABLE and name not in ("CHANGELOG.md", OLD_KEYS):
            lines = path.read_text(encoding="utf-8", errors="ignore").splitlines()
            found += [
                f"{name}:{number} {word}" for number, line in enumerate(lines, 1) for word in words_of_our_own(line)
            ]
    assert found == []


def test_only_whole_words_are_found() -> None:
    assert words_of_our_own("We recommend storytelling to no one; amended, unsilent_, foretold_.") == []
    assert words_of_our_own("def _bury(told_budgets): # Mended") == [
        "Mended: write fix, repair",
        "told_budgets: write target_length",
        "bury: write handle a dead worker",
    ]
