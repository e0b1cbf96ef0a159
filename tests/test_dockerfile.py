"""The image's recipe, as far as it can be judged without an engine that builds it."""

import fnmatch
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def instructions() -> list[tuple[str, str]]:
    """Instruction and arguments, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def copied() -> Iterator[str]:
    """Sources of COPY that come from the build context."""
    for word, rest in instructions():
        if word == "COPY" and "--from=" not in rest:
            yield from rest.split()[:-1]


def admitted(source: str) -> bool:
    """Whether .dockerignore lets a path into the build context; the last line that matches decides."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    result = True
    for pattern in (line for line in lines if line and not line.startswith("#")):
        if fnmatch.fnmatch(source, pattern.removeprefix("!")):
            result = pattern.startswith("!")
    return result


def test_everything_that_is_copied_exists_and_is_sent_to_the_build() -> None:
    sources = set(copied())

    assert {"requirements.txt", "pyproject.toml", "operator", "LICENSE", "NOTICE"} <= sources
    assert [source for source in sources if not (ROOT / source).exists() or not admitted(source)] == []


def test_the_build_context_holds_nothing_else() -> None:
    assert not admitted(".git")
    assert not admitted("tests")
    assert not admitted("operator/atoll/__pycache__")


def test_the_process_is_no_root_and_has_a_number() -> None:
    users = [rest for word, rest in instructions() if word == "USER"]
    numbers = [int(number) for number in re.findall(r"\d+", users[-1])]

    assert len(numbers) == 2
    assert all(number >= 10_000 for number in numbers)


def test_the_image_starts_the_operator() -> None:
    assert instructions()[-1] == ("ENTRYPOINT", '["python", "-m", "atoll.main"]')


def test_the_chart_runs_it_as_the_user_that_it_names() -> None:
    values = yaml.safe_load((ROOT / "charts" / "atoll" / "values.yaml").read_text())
    context = values["podSecurityContext"]

    assert [rest for word, rest in instructions() if word == "USER"] == [
        f"{context['runAsUser']}:{context['runAsGroup']}"
    ]
