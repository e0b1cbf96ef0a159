import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from atoll.local import binaries, toolchain
from atoll.local.binaries import PARTS, ensure_binaries, link_flags, part_folder
from atoll.local.errors import LocalEnvironmentError
from atoll.local.toolchain import find_toolchain, go_version

FAKE_GO = """#!/bin/sh
case "$1" in
env) echo go1.99.1 ;;
list) echo {module} ;;
build)
  echo build >> {log}
  sleep 0.05
  while [ $# -gt 0 ]; do if [ "$1" = -o ]; then echo built > "$2"; fi; shift; done
  {then} ;;
esac
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for part in PARTS:
        folder = tmp_path / "source" / part.name
        folder.mkdir(parents=True)
        (folder / "go.mod").write_text("module x\n\ngo 1.26.1\n\nrequire (\n\tk8s.io/kubernetes v1.36.3\n)\n")
        (folder / "go.sum").write_text(part.name)
    return tmp_path / "source"


@pytest.fixture
def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    module = tmp_path / "module"
    for crds in ("pkg/apis/crds", "kwok/apis/crds"):
        (module / crds).mkdir(parents=True)
        (module / crds / f"{crds.split('/')[0]}.yaml").write_text("kind: CustomResourceDefinition\n")
    folder = tmp_path / "bin"
    folder.mkdir()

    def install(then: str) -> None:
        (folder / "go").write_text(FAKE_GO.format(module=module, log=tmp_path / "builds", then=then))
        (folder / "go").chmod(0o755)

    install("true")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return install


@pytest.mark.usefixtures("fake_go")
def test_everything_is_built_once(source: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    found = ensure_binaries(source=source, cache=cache)
    again = ensure_binaries(source=source, cache=cache)
    assert found == again
    assert found.kubectl.read_text() == "built\n"
    assert sorted(path.name for path in found.karpenter_crds.iterdir()) == ["kwok.yaml", "pkg.yaml"]
    assert (tmp_path / "builds").read_text().count("build") == sum(len(part.programs) for part in PARTS)


@pytest.mark.usefixtures("fake_go")
def test_two_runs_at_once_build_once(source: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    runs = [threading.Thread(target=ensure_binaries, kwargs={"source": source, "cache": cache}) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert (tmp_path / "builds").read_text().count("build") == sum(len(part.programs) for part in PARTS)


def test_a_failed_build_leaves_nothing_and_says_why(
    source: Path, tmp_path: Path, fake_go: Callable[[str], None]
) -> None:
    fake_go("echo no network >&2; exit 1")
    cache = tmp_path / "cache"
    with pytest.raises(LocalEnvironmentError, match=r"(?s)building etcd .* status 1; .*GOPROXY.*no network"):
        ensure_binaries(source=source, cache=cache)
    assert [path for path in cache.iterdir() if path.is_dir()] == []


def test_other_pins_are_another_folder(source: Path, tmp_path: Path) -> None:
    before = part_folder(PARTS[0], source, tmp_path)
    (source / PARTS[0].name / "go.sum").write_text("changed")
    assert part_folder(PARTS[0], source, tmp_path) != before
    assert before.name.startswith("etcd-")
    assert len(before.name) == len("etcd-") + 12


def test_other_go_code_is_another_folder(source: Path, tmp_path: Path) -> None:
    before = part_folder(PARTS[0], source, tmp_path)
    (source / PARTS[0].name / "main.go").write_text("package main")
    assert part_folder(PARTS[0], source, tmp_path) != before


def test_kubernetes_programs_know_their_version() -> None:
    kubernetes = next(part for part in PARTS if part.name == "kubernetes")
    version = "k8s.io/component-base/version"
    assert link_flags(kubernetes, "require (\n\tk8s.io/kubernetes v1.36.3 // why\n)\n") == (
        f"-s -w -X {version}.gitVersion=v1.36.3 -X {version}.gitMajor=1 -X {version}.gitMinor=36"
    )


def test_the_repository_pins_every_part() -> None:
    for part in PARTS:
        assert (binaries._SOURCE / part.name / "go.sum").exists()


def test_a_missing_checkout_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalEnvironmentError, match="needs a checkout of the repository"):
        ensure_binaries(source=tmp_path / "none")


def test_versions_are_compared_as_numbers() -> None:
    assert go_version("go1.9") < go_version("1.26") < go_version("go1.26.6") < go_version("go1.100rc1")
    with pytest.raises(LocalEnvironmentError, match="devel"):
        go_version("devel +abc")


@pytest.mark.usefixtures("fake_go")
def test_an_old_go_leads_to_an_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(toolchain, "_install", lambda: asked.append(True))
    assert find_toolchain(at_least=(1, 26)).version == (1, 99, 1)
    assert not asked
    with pytest.raises(LocalEnvironmentError, match=r"2\.0 or newer is needed"):
        find_toolchain(at_least=(2, 0))
    assert asked == [True]
