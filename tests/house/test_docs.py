"""The pages hold together: links lead somewhere, rules name tests that exist, prose is wrapped and sentences are short."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("*/README.md")])
LONGEST_LINE = 120
# Pages that are generated, whose tables and sentences come from the code.
GENERATED = ("docs/recipes.md", "docs/run-directory.md")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
# Words of a sentence: at most LONG of nearly all, at most LONGEST of every one.
LONG, LONGEST, LONG_FRACTION = 25, 40, 0.03
_APART = re.compile(r"^ *[|>#].*$|^ *(?:[-*]|\d+\.) ", re.MULTILINE)  # tables, quotations, headings; list items
_CODE = re.compile(r"(`+).+?\1")
_LINK_TEXT = re.compile(r"\[([^\]]*)\]\([^)\s]+\)")
# A full stop before a capital, a number, code, or a name such as vLLM or docs/data.md.
_SENTENCE_END = re.compile(r"(?<=[.!?])[*)\"”_]*\s+(?=[^a-z\s]|\w+[A-Z/@])")


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def sentences(text: str) -> list[str]:
    """The sentences of prose; a list item begins one. A piece of code becomes one word, and a link its text."""
    blocks = (" ".join(block.split()) for block in re.split(r"\n\s*\n", _APART.sub("\n\n", text)))
    plain = (_LINK_TEXT.sub(r"[\1]", _CODE.sub("CODE", block)) for block in blocks)
    return [one for block in plain for one in _SENTENCE_END.split(block) if words(one)]


def words(sentence: str) -> int:
    """The words of a sentence; signs by themselves, such as an arrow or a dash, are none."""
    return sum(bool(re.search(r"\w", one)) for one in sentence.split())


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    broken = []
    for page in PAGES:
        for target in _LINK.findall(prose(page)):
            if target.startswith(("http://", "https://")):
                continue
            file, _, anchor = target.partition("#")
            there = page if not file else (page.parent / file)
            if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
                broken.append(f"{name_of(page)}: {target}")
    assert broken == []


def test_every_page_is_linked_from_the_readme() -> None:
    linked = set(_LINK.findall((REPOSITORY / "README.md").read_text(encoding="utf-8")))
    assert [name_of(page) for page in PAGES if page.parent == REPOSITORY / "docs" and name_of(page) not in linked] == []


def test_every_house_rule_names_tests_that_exist() -> None:
    rules = re.findall(
        r"^\d+\. .*?(?=^\d+\. |^\*\*|\Z)", prose(REPOSITORY / "docs/house-rules.md"), re.DOTALL | re.MULTILINE
    )
    assert len(rules) == 10
    held = [re.findall(r"`(tests/[\w/.]*)`", rule) for rule in rules]
    assert all(held)
    assert [name for names in held for name in names if not (REPOSITORY / name).exists()] == []


def test_prose_is_wrapped() -> None:
    """Tables, quotations and code are as long as they are; a line that is one link may be, too."""
    long = []
    for page in PAGES:
        for line in prose(page).splitlines():
            if page.name == "CHANGELOG.md":
                continue
            free = line.startswith(("|", ">", "#")) or " " not in line.strip()
            if len(line) > LONGEST_LINE and not free and name_of(page) not in GENERATED:
                long.append(f"{name_of(page)}: {line[:60]}…")
    assert long == []


def test_sentences_are_short() -> None:
    assert [words(one) for one in sentences("Run `a b. C d` → [two words](page.md), i.e. now. vLLM ends!")] == [6, 2]
    assert [words(one) for one in sentences("1. One item\n   goes on. \n- Two.\n\n| a | table |\n# Heading")] == [4, 1]
    pages = [page for page in PAGES if page.name != "CHANGELOG.md" and name_of(page) not in GENERATED]
    found = [(words(one), name_of(page), one) for page in pages for one in sentences(prose(page))]
    long = sorted(one for one in found if one[0] > LONG)
    assert [one for one in long if one[0] > LONGEST] == []
    assert len(long) <= LONG_FRACTION * len(found), f"{len(long)} of {len(found)} sentences are long: {long}"
