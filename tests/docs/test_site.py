"""The site is built strictly and is whole without any other host."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = re.compile(
    r"<(?:script|img|iframe|source|link)\b[^>]*\b(?:src|href)=\"?((?:https?:)?//[^\s\">]+)", re.IGNORECASE
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_pages_load_nothing_from_other_hosts(site: Path) -> None:
    pages = {page: page.read_text(encoding="utf-8") for page in site.rglob("*.html")}

    assert len(pages) > len(list((ROOT / "docs").glob("*.md")))
    assert {str(page): LOADED.findall(text) for page, text in pages.items() if LOADED.search(text)} == {}
    # The theme fetches what it draws these with.
    assert [str(page) for page, text in pages.items() if 'class="mermaid' in text or "katex" in text] == []


def test_styles_load_nothing_from_other_hosts(site: Path) -> None:
    styles = "".join(style.read_text(encoding="utf-8") for style in site.rglob("*.css"))

    assert re.findall(r"(?:url\(|@import\s*)[\"']?(?:https?:)?//", styles) == []


def test_linked_files_of_the_repository_are_part_of_the_site(site: Path) -> None:
    assert (site / "repository" / "index.html").exists()
    assert (site / "repository" / "examples" / "scenarios" / "noise.yaml.txt").exists()


def test_links_can_be_read_in_the_dark() -> None:
    """WCAG's contrast of text, against the background that Material gives its dark scheme."""
    style = (ROOT / "docs" / "assets" / "atoll.css").read_text(encoding="utf-8")
    dark = style[style.index('[data-md-color-scheme="slate"]') :]
    colour = re.search(r"--md-typeset-a-color: (#[0-9a-f]{6})", dark)

    assert colour is not None
    assert (_luminance(colour[1]) + 0.05) / (_luminance("#1e2129") + 0.05) >= 4.5


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255.0 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
