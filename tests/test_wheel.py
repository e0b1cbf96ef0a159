"""What the image installs: the wheel, built as the Dockerfile builds it and used where there is no checkout."""

import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
BUILT_FROM = ("LICENSE", "NOTICE", "README.md", "pyproject.toml")
NO_PART_OF_IT = shutil.ignore_patterns("__pycache__", "*.egg-info")


def run(*command: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=check, **more)  # noqa: S603  # ours


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what the Dockerfile copies."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in BUILT_FROM:
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "operator", source / "operator", ignore=NO_PART_OF_IT)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    run(*pip, "--wheel-dir", str(built), str(source))
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files in a folder of their own, far from any checkout."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def environment(installed: Path, **more: str) -> dict[str, str]:
    """Of a process that finds the installed package before the checkout."""
    return {"PATH": os.environ["PATH"], "HOME": str(installed), "PYTHONPATH": str(installed), "COLUMNS": "200", **more}


def atoll(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "atoll.cli", *arguments, cwd=cwd, env=environment(installed), check=False)


def test_the_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    source = ROOT / "operator"
    files = {path.relative_to(source).as_posix() for path in (source / "atoll").rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == {name for name in files if "__pycache__" not in name}


def test_the_wheel_carries_licence_and_notice(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        licences = {Path(name).name for name in archive.namelist() if ".dist-info/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE"}


def test_the_installed_command_plans_with_its_own_data(installed: Path, tmp_path: Path) -> None:
    where = "import atoll; print(atoll.__file__)"
    told = run(sys.executable, "-c", where, cwd=tmp_path, env=environment(installed))
    assert Path(told.stdout.strip()).is_relative_to(installed)

    plan = atoll(installed, tmp_path, "plan", "-f", str(ROOT / "examples" / "first"), "--no-baseline")
    assert plan.returncode == 0, plan.stderr
    assert "proven lower bound" in plan.stdout


def test_the_installed_command_says_that_a_local_cluster_needs_a_checkout(installed: Path, tmp_path: Path) -> None:
    told = atoll(installed, tmp_path, "local", "run", "-f", str(ROOT / "examples" / "first"))
    assert told.returncode == 1
    assert "needs a checkout of the repository" in " ".join(told.stdout.split())


def test_the_installed_operator_starts_and_ends_as_it_is_told_to(installed: Path, tmp_path: Path) -> None:
    """It waits for an API server rather than end; SIGTERM, as a kubelet sends it, ends it well."""
    settings = {"ATOLL_KUBECONFIG": str(tmp_path / "none"), "ATOLL_PROBE_PORT": "0", "ATOLL_PROBE_HOST": "127.0.0.1"}
    command = (sys.executable, "-m", "atoll.main")
    with subprocess.Popen(  # noqa: S603  # ours
        command, cwd=tmp_path, env=environment(installed, **settings), stderr=subprocess.PIPE, text=True
    ) as operator:
        assert operator.stderr is not None
        for line in operator.stderr:
            if "cannot reach the Lease, trying again" in line:
                operator.send_signal(signal.SIGTERM)
                break
        rest = operator.stderr.read()
    assert operator.returncode == 0, rest
