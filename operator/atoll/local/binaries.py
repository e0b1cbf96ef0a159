"""The programs of the control plane, built once from Go modules that this repository pins.

There are no binaries to download that would suit every machine, and nothing built is committed. Each part (a folder
under `e2e/controlplane` with go.mod, go.sum and perhaps Go code) is built into a cache folder whose name holds the hash
of these files: the same pins are built once per machine, other pins never mix. A build happens in a draft folder that
is renamed when complete, under a file lock, so an interrupted or concurrent run leaves nothing half done.
"""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atoll.local import progress
from atoll.local.errors import LocalEnvironmentError
from atoll.local.toolchain import Toolchain, find_toolchain, go_version

_SOURCE = Path(__file__).resolve().parents[3] / "e2e" / "controlplane"
_HASH_LENGTH = 12
_EXECUTABLE = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One pinned Go module and what is built from it."""

    name: str
    """Its folder under `e2e/controlplane`."""
    programs: Mapping[str, str]
    """Program name to Go package."""
    version_flags: Mapping[str, str] = field(default_factory=dict)
    """Go variables to set while linking; `{version}`, `{major}` and `{minor}` come from go.mod."""
    version_module: str = ""
    """The module whose version fills `version_flags`."""
    definitions: tuple[str, ...] = ()
    """Folders of custom resource definitions in `definitions_module`, copied to `crds`."""
    definitions_module: str = ""
    """The module that holds `definitions`."""


PARTS = (
    Part(name="etcd", programs={"etcd": "go.etcd.io/etcd/server/v3"}),
    Part(
        name="kubernetes",
        programs={
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
        },
        # Without these, clients fail to parse the server's version.
        version_flags={
            "k8s.io/component-base/version.gitVersion": "{version}",
            "k8s.io/component-base/version.gitMajor": "{major}",
            "k8s.io/component-base/version.gitMinor": "{minor}",
        },
        version_module="k8s.io/kubernetes",
    ),
    Part(name="kwok", programs={"kwok": "sigs.k8s.io/kwok/cmd/kwok"}),
    Part(
        name="karpenter",
        programs={"karpenter": "sigs.k8s.io/karpenter/kwok"},
        definitions=("pkg/apis/crds", "kwok/apis/crds"),
        definitions_module="sigs.k8s.io/karpenter",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """Where the built programs are."""

    etcd: Path
    apiserver: Path
    controller_manager: Path
    scheduler: Path
    kubectl: Path
    kwok: Path
    karpenter: Path
    karpenter_crds: Path
    """Folder with Karpenter's custom resource definitions as YAML."""


def default_cache() -> Path:
    """The cache folder, by XDG."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "atoll" / "controlplane"


def needs_checkout(source: Path = _SOURCE) -> None:
    """LocalEnvironmentError where the pins are not there, as in a package that was installed from a wheel."""
    if not source.is_dir():
        raise LocalEnvironmentError(
            f"folder {source}: not there; the local environment needs a checkout of the repository "
            "(`make run` in it), not an installed package alone"
        )


def ensure_binaries(*, source: Path = _SOURCE, cache: Path | None = None) -> Binaries:
    """Build what is missing (ten minutes or more on two cores the first time) and say where everything is."""
    needs_checkout(source)
    cache = cache or default_cache()
    ensure_parts(PARTS, source=source, cache=cache)
    return locate(source=source, cache=cache)


def ensure_parts(parts: Iterable[Part], *, source: Path, cache: Path) -> None:
    """Build those parts that are not in the cache folder yet."""
    missing = [part for part in parts if not part_folder(part, source, cache).is_dir()]
    if missing:
        cache.mkdir(parents=True, exist_ok=True)
        toolchain = find_toolchain(at_least=max(_wanted_go(part, source) for part in missing))
        programs = sum(len(part.programs) for part in missing)
        with progress.shown(programs) as report:
            for part in missing:
                _build_once(part, source, cache, toolchain, report)


def is_built(*, source: Path = _SOURCE, cache: Path | None = None) -> bool:
    """Whether nothing needs to be built."""
    needs_checkout(source)
    return all(part_folder(part, source, cache or default_cache()).is_dir() for part in PARTS)


def locate(*, source: Path = _SOURCE, cache: Path | None = None) -> Binaries:
    """The paths of the built programs, whether they are there or not."""
    cache = cache or default_cache()
    folders = {part.name: part_folder(part, source, cache) for part in PARTS}
    kubernetes = folders["kubernetes"]
    return Binaries(
        etcd=folders["etcd"] / "etcd",
        apiserver=kubernetes / "kube-apiserver",
        controller_manager=kubernetes / "kube-controller-manager",
        scheduler=kubernetes / "kube-scheduler",
        kubectl=kubernetes / "kubectl",
        kwok=folders["kwok"] / "kwok",
        karpenter=folders["karpenter"] / "karpenter",
        karpenter_crds=folders["karpenter"] / "crds",
    )


def part_folder(part: Part, source: Path, cache: Path) -> Path:
    """The cache folder of a part at its present pins."""
    digest = hashlib.sha256()
    folder = source / part.name
    for path in (folder / "go.mod", folder / "go.sum", *sorted(folder.glob("*.go"))):
        digest.update(path.read_bytes())
    return cache / f"{part.name}-{digest.hexdigest()[:_HASH_LENGTH]}"


def link_flags(part: Part, go_mod: str) -> str:
    """The linker's flags: no debug information, and the version where programs must know it."""
    flags = ["-s", "-w"]
    if part.version_module:
        version = _required_version(part.version_module, go_mod)
        major, minor = version.removeprefix("v").split(".")[:2]
        for variable, value in part.version_flags.items():
            flags += ["-X", f"{variable}={value.format(version=version, major=major, minor=minor)}"]
    return " ".join(flags)


def _build_once(part: Part, source: Path, cache: Path, toolchain: Toolchain, report: progress.Report) -> None:
    target = part_folder(part, source, cache)
    with _locked(cache / f"{target.name}.lock", lambda: report.note(f"{part.name}: another run builds it; waiting")):
        if target.is_dir():
            report.skip(part.programs)
            return
        draft = cache / f"{target.name}.draft"
        shutil.rmtree(draft, ignore_errors=True)  # of a run that was killed: whoever holds the lock owns it
        draft.mkdir()
        try:
            _build(part, source / part.name, draft, toolchain, report)
            draft.rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _build(part: Part, folder: Path, draft: Path, toolchain: Toolchain, report: progress.Report) -> None:
    flags = link_flags(part, (folder / "go.mod").read_text(encoding="utf-8"))
    for program, package in part.programs.items():
        with report.building(program):
            toolchain.run(
                ["build", "-trimpath", "-ldflags", flags, "-o", str(draft / program), package],
                folder=folder,
                purpose=f"building {program}",
            )
        (draft / program).chmod(_EXECUTABLE)
    if part.definitions:
        # Where no program of it is built, nothing has fetched the module yet.
        fetch = ["mod", "download", part.definitions_module]
        toolchain.run(fetch, folder=folder, purpose=f"fetching {part.definitions_module}")
        listed = ["list", "-m", "-f", "{{.Dir}}", part.definitions_module]
        module = Path(toolchain.run(listed, folder=folder, purpose=f"finding {part.definitions_module}").strip())
        (draft / "crds").mkdir()
        for path in (path for each in part.definitions for path in sorted((module / each).glob("*.yaml"))):
            (draft / "crds" / path.name).write_bytes(path.read_bytes())


def _wanted_go(part: Part, source: Path) -> tuple[int, ...]:
    text = (source / part.name / "go.mod").read_text(encoding="utf-8")
    found = re.search(r"^go (\S+)$", text, re.MULTILINE)
    if found is None:
        raise LocalEnvironmentError(f"{source / part.name / 'go.mod'}: has no `go` line; restore the file")
    return go_version(found[1])


def _required_version(module: str, go_mod: str) -> str:
    found = re.search(rf"^(?:require)?\s*{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise LocalEnvironmentError(f"go.mod: requires no {module}; restore the file")
    return found[1]


@contextmanager
def _locked(path: Path, waiting: Callable[[], Any]) -> Iterator[None]:
    """Hold an exclusive lock on a file; the kernel frees it when the holder dies."""
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
