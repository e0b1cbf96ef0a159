import pytest

from atoll.render.router.pods import RouterPods
from atoll.settings import Settings, settings_from


def test_without_variables_everything_has_its_default() -> None:
    found = settings_from({})

    assert found.router == Settings().router
    assert found.scheduler == "atoll-binpack"


def test_the_routers_workload_is_read_as_the_chart_writes_it() -> None:
    text = """{"image": "mirror/envoy@sha256:1", "replicas": 3, "imagePullSecrets": [{"name": "x"}],
               "nodeSelector": {"pool": "system"}, "serviceType": "LoadBalancer", "autoscaled": true}"""
    pods = settings_from({"ATOLL_ROUTER_WORKLOAD": text}).router.pods

    assert pods == RouterPods(
        image="mirror/envoy@sha256:1",
        replicas=3,
        image_pull_secrets=({"name": "x"},),
        node_selector={"pool": "system"},
        service_type="LoadBalancer",
        autoscaled=True,
    )


@pytest.mark.parametrize("text", ["{", '{"replicas": "many"}', '{"image_pull_secrets": []}', "[]"])
def test_a_workload_that_is_not_understood_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"ATOLL_ROUTER_WORKLOAD=.*; the chart writes it from its values"):
        settings_from({"ATOLL_ROUTER_WORKLOAD": text})
