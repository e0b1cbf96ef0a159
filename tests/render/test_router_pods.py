from typing import Any

import pytest

from atoll.domain.fleet import RouterPolicy
from atoll.reconcile.difference import differs
from atoll.render.router.configuration import router_configuration
from atoll.render.router.pods import RouterPods
from atoll.render.router.routing import RouterSettings
from atoll.render.router.workload import router_objects


def rendered(pods: RouterPods, policy: RouterPolicy | None = None, *, running: int | None = None) -> dict[str, dict]:
    settings, policy = RouterSettings(pods=pods), policy or RouterPolicy()
    objects = router_objects(router_configuration((), settings, policy), settings, policy, running=running)
    return {obj["kind"]: obj for obj in objects}


def test_where_the_fleet_is_silent_the_operators_settings_count() -> None:
    spec = rendered(RouterPods(image="mirror/envoy@sha256:1", replicas=4))["Deployment"]["spec"]

    assert spec["replicas"] == 4
    assert spec["template"]["spec"]["containers"][0]["image"] == "mirror/envoy@sha256:1"


def test_what_the_fleet_names_wins() -> None:
    policy = RouterPolicy(replicas=1, image="own")
    spec = rendered(RouterPods(image="mirror", replicas=4), policy)["Deployment"]["spec"]

    assert spec["replicas"] == 1
    assert spec["template"]["spec"]["containers"][0]["image"] == "own"
    assert rendered(RouterPods(replicas=4), RouterPolicy(replicas=0)) == {}


def test_an_autoscaled_router_leaves_its_number_to_the_autoscaler() -> None:
    """What is sent is what is there: left out, the number would go back to Kubernetes' default, one pod."""
    pods = RouterPods(autoscaled=True, replicas=4)

    assert rendered(pods)["Deployment"]["spec"]["replicas"] == 4  # where the autoscaler begins
    assert rendered(pods, running=7)["Deployment"]["spec"]["replicas"] == 7
    assert rendered(pods, RouterPolicy(replicas=3), running=7)["Deployment"]["spec"]["replicas"] == 7
    assert rendered(pods, RouterPolicy(replicas=0), running=7) == {}
    assert rendered(RouterPods(replicas=4), running=7)["Deployment"]["spec"]["replicas"] == 4


def test_pods_are_placed_as_the_cluster_wants_them() -> None:
    pods = RouterPods(
        image_pull_secrets=({"name": "mirror"},),
        node_selector={"pool": "system"},
        tolerations=({"key": "system", "operator": "Exists"},),
        affinity={"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}},
        priority_class_name="system-cluster-critical",
    )
    spec = rendered(pods)["Deployment"]["spec"]["template"]["spec"]

    assert spec["imagePullSecrets"] == [{"name": "mirror"}]
    assert spec["nodeSelector"] == {"pool": "system"}
    assert spec["tolerations"] == [{"key": "system", "operator": "Exists"}]
    assert spec["affinity"] == pods.affinity
    assert spec["priorityClassName"] == "system-cluster-critical"
    unset = rendered(RouterPods())["Deployment"]["spec"]["template"]["spec"]
    assert not {"imagePullSecrets", "nodeSelector", "tolerations", "affinity", "priorityClassName"} & unset.keys()


def test_labels_by_which_pods_are_found_cannot_be_replaced() -> None:
    pods = RouterPods(pod_labels={"app.kubernetes.io/component": "x", "team": "a"}, pod_annotations={"note": "b"})
    metadata = rendered(pods)["Deployment"]["spec"]["template"]["metadata"]

    assert metadata["labels"]["app.kubernetes.io/component"] == "router"
    assert metadata["labels"]["team"] == "a"
    assert metadata["annotations"]["note"] == "b"


def test_the_service_can_be_a_load_balancer() -> None:
    service = rendered(RouterPods(service_type="LoadBalancer", service_annotations={"internal": "true"}))["Service"]

    assert service["spec"]["type"] == "LoadBalancer"
    assert service["metadata"]["annotations"]["internal"] == "true"


def test_what_the_api_server_leaves_out_is_left_out_of_placement() -> None:
    """Written, it would differ from the live Deployment for ever."""
    terms = {"topologyKey": "zone", "labelSelector": {}, "namespaceSelector": {}, "namespaces": []}
    pods = RouterPods(
        tolerations=({"key": "gpu", "operator": "Exists", "value": "", "effect": "", "tolerationSeconds": 0},),
        affinity={"podAffinity": None, "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [terms]}},
        node_selector={"dedicated": ""},
    )

    kept = {"topologyKey": "zone", "labelSelector": {}, "namespaceSelector": {}}
    assert pods.placement() == {
        "tolerations": [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 0}],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [kept]}},
        "nodeSelector": {"dedicated": ""},
    }


@pytest.mark.parametrize(
    "former",
    [
        {"node_selector": {"pool": "system"}},
        {"tolerations": ({"key": "system", "operator": "Exists"},)},
        {"priority_class_name": "system-cluster-critical"},
        {"pod_labels": {"team": "a"}},
        {"service_annotations": {"load-balancer": "internal"}},
    ],
)
def test_a_setting_that_is_taken_back_is_a_difference(former: dict[str, Any]) -> None:
    """What an intent no longer has goes with its next apply, so there must be one."""
    live, intents = rendered(RouterPods(**former)), rendered(RouterPods())

    assert any(differs(intents[kind], live[kind]) for kind in intents)
    assert not any(differs(intents[kind], rendered(RouterPods())[kind]) for kind in intents)


def test_the_number_of_routers_that_an_autoscaler_sets_makes_no_difference_elsewhere() -> None:
    few, many = (rendered(RouterPods(autoscaled=True), running=count)["Deployment"] for count in (2, 5))

    assert few["metadata"] == many["metadata"]
