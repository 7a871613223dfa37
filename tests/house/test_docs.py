"""The pages hold together: links lead somewhere, rules name tests that exist, and prose is wrapped."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("*/README.md")])
LONGEST_LINE = 120
# Pages that are generated, whose tables and sentences come from the code.
GENERATED = ("docs/recipes.md", "docs/run-directory.md")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


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
    assert [name_of(page) for page in PAGES if page.parent.name == "docs" and name_of(page) not in linked] == []


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
