"""Pages lead where they say, and name only what is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Relative links outside code: path and anchor."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", text)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for path, anchor in links(page):
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(f"{path}#{anchor}")

    assert broken == []


def test_modules_named_by_the_architecture_exist() -> None:
    """In a cell, names without a folder stand beside the one before them."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text[text.index("| --- | --- |", text.index("| behaviour | module")) :]
    missing = []
    for row in re.findall(r"^\| [^|`]+ \| (.+) \|$", table, re.MULTILINE):
        folder = Path()
        for name in re.findall(r"`([\w/]+(?:\.py|/))`", row):
            folder = Path(name).parent if "/" in name else folder
            path = name if "/" in name else str(folder / name)
            if not (ROOT / "operator" / "atoll" / path).exists():
                missing.append(path)

    assert "`" in table
    assert missing == []


def test_every_make_target_is_explained() -> None:
    targets = set(re.findall(r"^([a-z0-9]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    explained = set(re.findall(r"`make ([a-z0-9]+)`", (ROOT / "docs" / "development.md").read_text()))

    assert targets - {"help"} == explained
