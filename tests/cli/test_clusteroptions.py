"""Which cluster a command asks: the kubeconfig that is named, the default one, or the pod's own service account."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from atoll.cli.clusteroptions import access_of
from atoll.cli.commands import app
from cli.clusters import ApiServer, serving


def test_a_kubeconfig_that_is_named_wins() -> None:
    access = access_of(Path("/some/where"), "prod")

    assert (access.kubeconfig, access.context) == (Path("/some/where"), "prod")


@pytest.mark.parametrize(
    ("in_pod", "there", "expected"), [(True, False, False), (True, True, True), (False, False, True)]
)
def test_without_one_a_pod_asks_by_its_service_account(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_pod: bool, there: bool, expected: bool
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    if in_pod:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    if there:
        (tmp_path / ".kube").mkdir()
        (tmp_path / ".kube" / "config").write_text("{}")

    assert (access_of(None, "").kubeconfig is not None) == expected


def test_several_kubeconfigs_are_read_as_kubectl_reads_them(tmp_path: Path) -> None:
    with serving(ApiServer(), tmp_path) as kubeconfig:
        both = f"{tmp_path / 'not-there'}:{kubeconfig}"
        result = CliRunner(env={"COLUMNS": "80", "KUBECONFIG": both}).invoke(app, ["top"])

    assert result.exit_code == 0, result.output
    assert "No ModelDemand yet." in result.stdout
