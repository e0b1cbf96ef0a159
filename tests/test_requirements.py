"""The locks are complete, hashed, and name no place that packages come from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
RUNTIME, EVERYTHING = "requirements.txt", "requirements-dev.txt"


def locked(name: str) -> dict[str, tuple[str, list[str]]]:
    """Version and hashes by package."""
    found: dict[str, tuple[str, list[str]]] = {}
    package = ""
    for line in (ROOT / name).read_text().splitlines():
        if pin := re.match(r"([A-Za-z0-9._-]+)==(\S+)", line):
            package = canonicalize_name(pin[1])
            found[package] = (pin[2], [])
        elif digest := re.match(r"    --hash=sha256:([0-9a-f]{64})( \\)?$", line):
            found[package][1].append(digest[1])
        else:
            assert re.match(r"\s*(#.*)?$", line), f"{name}: {line!r} is neither pin, hash nor comment"
    return found


def project() -> dict[str, list[str]]:
    """Requirements of the project: to run, to build, and everything."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = content["project"]["optional-dependencies"]
    runtime = content["project"]["dependencies"] + content["build-system"]["requires"]
    return {RUNTIME: runtime, EVERYTHING: [*runtime, *extras["local"], *extras["dev"]]}


@pytest.mark.parametrize("name", [RUNTIME, EVERYTHING])
def test_every_requirement_of_the_project_is_locked_at_a_version_that_it_allows(name: str) -> None:
    pins = locked(name)

    wrong = [
        text
        for text in project()[name]
        if (wish := Requirement(text)) and pins.get(canonicalize_name(wish.name), ("", []))[0] not in wish.specifier
    ]

    assert wrong == [], "run `make lock`"


@pytest.mark.parametrize("name", [RUNTIME, EVERYTHING])
def test_every_locked_package_has_a_hash(name: str) -> None:
    assert [package for package, (_, hashes) in locked(name).items() if not hashes] == []


@pytest.mark.parametrize("name", [RUNTIME, EVERYTHING])
def test_a_lock_names_no_index_and_no_host(name: str) -> None:
    """`locked` refuses every line that is no pin, hash or comment, options among them; comments are checked here."""
    locked(name)

    assert "://" not in (ROOT / name).read_text()


def test_development_runs_with_the_very_versions_that_the_image_has() -> None:
    everything = locked(EVERYTHING)

    differing = {package: pin for package, (pin, _) in locked(RUNTIME).items() if everything[package][0] != pin}

    assert differing == {}
