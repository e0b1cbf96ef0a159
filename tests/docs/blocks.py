"""Command blocks of the pages: what is in them, and where they can be run.

A block of the kind ``console`` holds lines that begin with ``$ `` (commands) and what they print; ``...`` stands for
lines left out. What is shown must be printed, in that order; figures with a point may be off by a tenth, so that better
rates need no new pages. A comment on the line before says what is special: ``<!-- not run: reason -->``,
``<!-- exit 3 -->``. Blocks that ask a cluster are run in e2e, on a control plane with ``examples/first``; all others
without one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

OTHERS = {
    "docs/benchmarks.md",
    "docs/reference/cli.md",  # generated: usage, and the examples of the commands' own help
}
"""Pages whose commands are not in console blocks, or not yet."""

COMMANDS = ("atoll", "kubectl", "make", "helm", "python", "pip", "docker", "promtool")
_FIGURE = re.compile(r"\d+\.\d+")
_TENTH, _LEAST = 0.1, 0.011
_FENCE = re.compile(
    r"(?:<!--\s*(?P<note>.*?)\s*-->\n)?^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block.

    Attributes:
        page: where it stands.
        line: of the page, from 1.
        kind: word after the fence; empty for none.
        note: comment on the line before; empty for none.
        text: what is in it.
    """

    page: Path
    line: int
    kind: str
    note: str
    text: str

    def __str__(self) -> str:
        """Read as ``docs/page.md:12``."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def not_run(self) -> str:
        """Why it is not run; empty where it is."""
        return self.note.removeprefix("not run:").strip() if self.note.startswith("not run:") else ""

    @property
    def exit_code(self) -> int:
        """What its last command ends with."""
        return int(self.note.removeprefix("exit")) if self.note.startswith("exit") else 0

    @property
    def on_cluster(self) -> bool:
        """It talks to a cluster: kubectl, or a command of ours without manifests."""
        return any(
            word(command) == "kubectl"
            or (word(command) == "atoll" and not re.search(r" (-f|-h|--help|local|check)\b", command))
            for command, _ in self.commands()
        )

    def commands(self) -> Iterator[tuple[str, list[str]]]:
        """Each command, continued lines joined, with the lines that it prints."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, printed = re.sub(r" *\\\n\s*", " ", part).partition("\n")
            yield command.split("   #")[0].strip(), printed.splitlines()


def blocks() -> list[Block]:
    """All fenced blocks of all pages."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            line = text[: match.start("kind")].count("\n") + 1
            note = match["note"] or ""
            found.append(Block(page=page, line=line, kind=match["kind"].strip(), note=note, text=match["text"]))
    return found


def word(command: str) -> str:
    """The program that a line runs: its first word, without folder and variables."""
    words = [each for each in command.removeprefix("$ ").split() if "=" not in each]
    return words[0].rpartition("/")[2] if words else ""


def shown(expected: list[str], printed: str) -> str:
    """The first line of a block that the command does not print in its turn; empty where all are there."""
    rest = iter(squeezed(line) for line in printed.splitlines())
    for line in expected:
        wanted = squeezed(line)
        if wanted and wanted != "..." and not any(alike(wanted, seen) for seen in rest):
            return line
    return ""


def alike(line: str, other: str) -> bool:
    """Whether two lines say the same, figures with a point within a tenth."""
    if line == other:
        return True
    parts, others = _FIGURE.split(line), _FIGURE.split(other)
    return parts == others and all(
        abs(float(one) - float(two)) <= _TENTH * float(one) + _LEAST
        for one, two in zip(_FIGURE.findall(line), _FIGURE.findall(other), strict=True)
    )


def squeezed(line: str) -> str:
    """A line with its spaces and rules made one."""
    return re.sub(r"─+", "─", " ".join(line.split()))
