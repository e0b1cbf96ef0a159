"""Hooks of MkDocs: what pages link to outside docs/ becomes part of the site, so that it is whole without a server."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REPOSITORY = "repository"
"""Folder of the site with the linked files of the repository."""

_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the decisions to the navigation, and last the pages that it does not name."""
    nav = config.nav or []
    named = set(_pages(nav))
    there = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if _is_kept(path))
    decisions = [page for page in there if page.startswith("decisions/") and page not in named]
    others = [page for page in there if page not in named | set(decisions)]
    config.nav = [*nav, {"Decisions": ["decisions/README.md", *decisions]}, *([{"More": others}] if others else [])]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what pages link to outside docs/, and what those pages link to."""
    waiting = [(Path("docs") / page.src_uri, page.content_string) for page in files.documentation_pages()]
    while waiting:
        page, text = waiting.pop()
        for target in _outside(page, text):
            uri = _uri(target)
            if files.get_file_from_path(uri) is None:
                if uri.endswith(".md"):
                    content = _content(target)
                    added = File.generated(config, uri, content=content, inclusion=InclusionLevel.NOT_IN_NAV)
                    waiting.append((target, content))
                else:
                    added = File.generated(config, uri, abs_src_path=str(ROOT / target))
                files.append(added)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links that leave docs/ lead to the site's own copy."""
    del config, files
    uri = page.file.src_uri
    source = Path(uri).relative_to(REPOSITORY) if uri.startswith(f"{REPOSITORY}/") else Path("docs") / uri
    depth = "../" * uri.count("/")

    def rewritten(match: re.Match[str]) -> str:
        target = _target(source, match[2])
        if target is None:
            return match[0]
        inside = target.relative_to("docs") if target.parts[0] == "docs" else Path(_uri(target))
        return f"{match[1]}{depth}{inside.as_posix()}{match[3] or ''}{match[4]}"

    parts = _CODE.split(markdown)
    code = [*_CODE.findall(markdown), ""]
    return "".join(_LINK.sub(rewritten, text) + kept for text, kept in zip(parts, code, strict=True))


def _pages(nav: list[Any]) -> Iterator[str]:
    for entry in nav:
        inner = next(iter(entry.values())) if isinstance(entry, dict) else entry
        if isinstance(inner, list):
            yield from _pages(inner)
        else:
            yield inner


def _outside(page: Path, text: str) -> list[Path]:
    found = (_target(page, match[2]) for match in _LINK.finditer(_CODE.sub("", text)))
    return sorted({target for target in found if target is not None and target.parts[0] != "docs"})


def _target(page: Path, link: str) -> Path | None:
    """The file of the repository that a relative link names; None where it names none."""
    if "://" in link or link.startswith(("/", "mailto:")):
        return None
    target = (ROOT / page.parent / link).resolve()
    if not target.exists() or not target.is_relative_to(ROOT):
        return None  # the strict build names it
    return target.relative_to(ROOT)


def _content(target: Path) -> str:
    """A page as it is; of a folder, a list of its files."""
    path = ROOT / target
    if path.is_file():
        return path.read_text(encoding="utf-8")
    names = sorted(f"{each.name}/" if each.is_dir() else each.name for each in path.iterdir() if _is_kept(each))
    return f"# {target}\n\n" + "".join(f"- [{name}]({target.name}/{name})\n" for name in names)


def _is_kept(path: Path) -> bool:
    return not path.name.startswith((".", "__"))


def _uri(target: Path) -> str:
    """Where a file of the repository lies in the site; what a browser would not show gets ``.txt``."""
    if (ROOT / target).is_dir():
        return f"{REPOSITORY}/{target.as_posix()}.md"
    shown = {".md", ".svg", ".json", ".txt"}
    return f"{REPOSITORY}/{target.as_posix()}" + ("" if target.suffix in shown else ".txt")
