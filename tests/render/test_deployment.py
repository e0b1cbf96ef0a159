import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.demand import QUEUE_LABEL, Demand
from atoll.domain.fleet import Fleet
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import NodePool, OfferingKey, WeightsCache
from atoll.domain.problem import ReplicaSite
from atoll.domain.reason import InvalidObjectError, Reason
from atoll.domain.strategy import EngineName, Phase, Strategy
from atoll.render import names
from atoll.render.claims import claim_template
from atoll.render.deployment import replica_deployments, single_stage_deployment
from atoll.render.disruptionbudget import disruption_budgets
from atoll.render.placement import CAPACITY_TYPE, INSTANCE_TYPE, ZONE
from atoll.render.service import prefill_service, rendezvous_service, router_service
from atoll.render.standing import start_budget_seconds
from golden import assert_golden
from render.sample import DEMAND, FLEET, H100, OWNED, PIPELINE, POOLS, SINGLE, SITE, as_yaml, demand, offering

GOLDEN = Path(__file__).parent / "golden"
CACHE = WeightsCache(host_path="/mnt/nvme/weights", limit_bytes=500 << 30)
CACHED = {name: replace(pool, weights_cache=CACHE) for name, pool in POOLS.items()}


def single(
    wanted: Demand = DEMAND,
    *,
    at: OfferingKey | None = None,
    count: int = 3,
    startup_seconds: float = 420.0,
    pools: Mapping[str, NodePool] = POOLS,
    strategy: Strategy = SINGLE,
    fleet: Fleet = FLEET,
) -> dict[str, Any]:
    return single_stage_deployment(
        demand=wanted,
        strategy=strategy,
        offering=at or offering("h100x8"),
        pools=pools,
        count=count,
        startup_seconds=startup_seconds,
        fleet=fleet,
    )


def replica(index: int = 0, site: ReplicaSite = SITE) -> tuple[dict[str, Any], ...]:
    return replica_deployments(
        demand=DEMAND,
        strategy=PIPELINE,
        site=site,
        replica=index,
        pools=POOLS,
        startup_seconds=420.0,
        fleet=FLEET,
    )


def container(deployment: dict[str, Any]) -> dict[str, Any]:
    return deployment["spec"]["template"]["spec"]["containers"][0]


def written(objects: Sequence[dict[str, Any]]) -> str:
    for each in objects:
        kubernetes_validate.validate(each, "1.36", strict=True)
        assert "null" not in json.dumps(each)
    return as_yaml(objects)


def test_a_single_stage_deployment() -> None:
    assert_golden(GOLDEN / "single-stage.yaml", written([single()]))


def test_a_pipeline_of_two_kinds_is_one_deployment_per_stage_and_a_rendezvous() -> None:
    stages = replica()

    assert_golden(GOLDEN / "pipeline.yaml", written([*stages, rendezvous_service(DEMAND, stages[0])]))


def test_a_pair_is_prefill_behind_a_service_and_decode_behind_its_proxy() -> None:
    sides = [replace(SINGLE, phase=phase, peer_tp=SINGLE.tp, kv_form="common") for phase in Phase]
    prefill, decode = (single(strategy=side) for side in sides)
    service = prefill_service(DEMAND, sides[0], offering("h100x8").zone)
    engine, proxy = decode["spec"]["template"]["spec"]["containers"]
    selector = service["spec"]["selector"]

    assert selector.items() <= prefill["spec"]["template"]["metadata"]["labels"].items()
    assert not selector.items() <= decode["spec"]["template"]["metadata"]["labels"].items()
    assert f"//{service['metadata']['name']}." in {e["name"]: e["value"] for e in proxy["env"]}["ATOLL_PREFILL"]
    assert proxy["image"] == engine["image"]
    assert len(prefill["spec"]["template"]["spec"]["containers"]) == 1
    proxy["args"] = ["(source of atoll.pairproxy.proxy)"]
    assert_golden(GOLDEN / "pair.yaml", written([prefill, decode, service]))


def test_weights_of_an_image_are_an_image_volume_and_those_of_a_bucket_are_streamed() -> None:
    image = single(replace(DEMAND, weights="oci://registry.example/weights/qwen3:1"))
    bucket = single(replace(DEMAND, weights="s3://bucket/qwen3"))
    written([image, bucket])

    (volume,) = (v for v in image["spec"]["template"]["spec"]["volumes"] if "image" in v)
    assert volume["image"] == {"reference": "registry.example/weights/qwen3:1", "pullPolicy": "IfNotPresent"}
    assert container(image)["args"][0] == "/weights"
    args = container(bucket)["args"]
    assert (args[0], args[args.index("--load-format") + 1]) == ("s3://bucket/qwen3", "runai_streamer")


@pytest.mark.parametrize("engine", [EngineName.VLLM, EngineName.SGLANG])
def test_weights_that_are_downloaded_go_through_the_cache_of_the_node(engine: EngineName) -> None:
    image = "vllm/vllm-openai:v0.24.0" if engine is EngineName.VLLM else "lmsysorg/sglang:v0.5.23"
    wanted = replace(demand(name=engine, image=image), weights="hf://Qwen/Qwen3-32B@main")
    deployment = single(wanted, strategy=replace(SINGLE, engine=engine), pools=CACHED)
    spec = deployment["spec"]["template"]["spec"]
    (guard,) = spec["initContainers"]

    assert guard["image"] == container(deployment)["image"] == image
    assert guard["securityContext"] == container(deployment)["securityContext"]
    guard["args"] = ["(source of atoll.weightscache.guard)"]
    assert_golden(GOLDEN / f"weights-cache-{engine}.yaml", written([deployment]))


@pytest.mark.parametrize("uri", ["oci://registry.example/weights/qwen3:1", "s3://bucket/qwen3", "pvc://claim/qwen3"])
def test_weights_that_come_otherwise_leave_the_cache_of_the_node_alone(uri: str) -> None:
    wanted = replace(DEMAND, weights=uri)
    assert single(wanted, pools=CACHED) == single(wanted)


def test_the_processes_of_a_stage_share_what_is_streamed() -> None:
    wanted = replace(DEMAND, weights="s3://bucket/qwen3")
    wide, narrow = (container(single(wanted, strategy=replace(SINGLE, tp=tp)))["args"] for tp in (2, 1))

    assert wide[wide.index("--model-loader-extra-config") + 1] == '{"distributed": true}'
    assert "--model-loader-extra-config" not in narrow


def test_the_routers_service_and_the_budgets() -> None:
    objects = [router_service(DEMAND, SINGLE), *disruption_budgets(DEMAND, single_stage=3, multi_stage=1)]

    assert_golden(GOLDEN / "service-and-budgets.yaml", written(objects))


def test_every_field_of_the_overlay_reaches_the_pod() -> None:
    overlay = {
        "labels": {"team": "search", "atoll.dev/demand": "other", names.MANAGED_BY: "helm"},
        "annotations": {"example.com/note": "hello", names.DO_NOT_DISRUPT: "false"},
        "cpu": "8",
        "memory": "64Gi",
        "volumes": [
            {"name": "models", "persistentVolumeClaim": {"claimName": "models", "readOnly": False}, "csi": None},
            {"name": "scratch", "emptyDir": {"medium": "", "sizeLimit": None}},
        ],
        "volumeMounts": [
            {"name": "models", "mountPath": "/models", "subPath": "", "readOnly": False},
            {"name": "scratch", "mountPath": "/dev/shm"},  # noqa: S108  # a path in the container
        ],
        "imagePullSecrets": [{"name": "registry"}],
        "serviceAccountName": "qwen",
        "priorityClassName": "production",
        "runtimeClassName": "nvidia",
        "tolerations": [{"key": "example.com/maintenance", "operator": "Exists", "effect": "NoSchedule"}],
    }
    env = (
        {"name": "HF_TOKEN", "value": None, "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}},
        {"name": "HOME", "value": "/root"},
    )

    deployment = single(demand(pod_template=overlay, env=env, args=("--kv-cache-dtype", "fp8")))

    assert_golden(GOLDEN / "overlay.yaml", written([deployment]))


def test_an_owned_pool_is_selected_by_its_own_labels_and_zone() -> None:
    selector = single(at=offering("owned"))["spec"]["template"]["spec"]["nodeSelector"]

    assert selector == {"example.com/rack": "r7", ZONE: "us-east-1a"}


def test_an_autoscaled_pool_is_selected_down_to_one_offering() -> None:
    pool = replace(H100, node_selector={"pool": "gpu", CAPACITY_TYPE: "anything"})

    selector = single(pools={"h100x8": pool})["spec"]["template"]["spec"]["nodeSelector"]

    assert selector == {
        "pool": "gpu",
        INSTANCE_TYPE: "h100x8.large",
        ZONE: "us-east-1a",
        CAPACITY_TYPE: "spot",
    }


def test_where_the_autoscaler_is_not_karpenter_the_offering_says_how_its_nodes_are_told() -> None:
    group = {"eks.amazonaws.com/capacityType": "SPOT"}
    offerings = tuple(replace(item, node_selector=group) for item in H100.offerings)

    selector = single(pools={"h100x8": replace(H100, offerings=offerings)})["spec"]["template"]["spec"]["nodeSelector"]

    assert selector == {INSTANCE_TYPE: "h100x8.large", ZONE: "us-east-1a", **group}


def test_no_autoscaler_takes_engines_away() -> None:
    annotations = single()["spec"]["template"]["metadata"]["annotations"]

    assert annotations["karpenter.sh/do-not-disrupt"] == "true"
    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"


def test_kueue_is_asked_where_the_demand_names_a_queue_and_nowhere_else() -> None:
    queued = single(replace(DEMAND, queue="serving"))
    written([queued])
    label = {QUEUE_LABEL: "serving"}

    assert label.items() <= queued["metadata"]["labels"].items()
    assert label.items() <= queued["spec"]["template"]["metadata"]["labels"].items()
    assert QUEUE_LABEL not in queued["spec"]["selector"]["matchLabels"]
    assert queued["metadata"]["name"] != single()["metadata"]["name"]
    assert "kueue" not in json.dumps(single())


def test_where_gpus_are_claimed_pods_name_a_claim_template_and_no_extended_resource() -> None:
    pools = {"h100x8": replace(H100, device_class="gpu.nvidia.com")}
    template = claim_template(DEMAND, "gpu.nvidia.com", SINGLE.tp)
    deployment = single(pools=pools)
    (claim,) = deployment["spec"]["template"]["spec"]["resourceClaims"]

    assert claim["resourceClaimTemplateName"] == template["metadata"]["name"]
    assert container(deployment)["resources"]["claims"] == [{"name": claim["name"]}]
    assert "limits" not in container(deployment)["resources"]
    assert_golden(GOLDEN / "claimed.yaml", written([template, deployment]))


def test_another_device_class_or_number_is_another_claim_template() -> None:
    names_of = {claim_template(DEMAND, *each)["metadata"]["name"] for each in [("a", 1), ("a", 2), ("b", 1), ("a", 1)]}
    longest = replace(DEMAND, key=replace(DEMAND.key, name="q" * names.DEMAND_NAME_LIMIT))

    assert len(names_of) == 3
    assert len(claim_template(longest, "a", 1)["metadata"]["name"]) <= names.NAME_LIMIT


def test_the_number_of_replicas_does_not_change_the_template() -> None:
    one, many = single(count=1), single(count=9)

    assert one["metadata"]["name"] == many["metadata"]["name"]
    assert {**many, "spec": {**many["spec"], "replicas": 1}} == one


@pytest.mark.parametrize(
    "changed",
    [
        lambda: single(demand(image="vllm/vllm-openai:v9")),
        lambda: single(demand(args=("--kv-cache-dtype", "fp8"))),
        lambda: single(demand(env=({"name": "A", "value": "1"},))),
        lambda: single(demand(pod_template={"priorityClassName": "high"})),
        lambda: single(replace(DEMAND, weights="hf://Qwen/Qwen3-32B@abc")),
        lambda: single(replace(DEMAND, served_name="qwen3")),
        lambda: single(strategy=replace(SINGLE, max_sequences=128)),
        lambda: single(at=offering("h100x8", CapacityType.ON_DEMAND)),
        lambda: single(fleet=replace(FLEET, router=replace(FLEET.router, grace_seconds=600.0))),
    ],
)
def test_a_changed_template_is_a_new_deployment(changed: Callable[[], dict[str, Any]]) -> None:
    assert changed()["metadata"]["name"] != single()["metadata"]["name"]


@given(st.floats(301, 599), st.floats(301, 599))
def test_a_better_estimate_of_the_start_restarts_nothing(first: float, second: float) -> None:
    assert single(startup_seconds=first) == single(startup_seconds=second)


@given(st.floats(0, 7200))
def test_a_start_may_take_twice_what_is_expected(expected: float) -> None:
    budget = start_budget_seconds(expected)

    assert budget >= 2 * expected
    assert budget <= max(300, 4 * expected)


def test_the_deployment_gives_up_a_minute_after_node_and_engine() -> None:
    spec = single()["spec"]
    probe = container(single())["startupProbe"]

    assert spec["progressDeadlineSeconds"] == 420 + probe["periodSeconds"] * probe["failureThreshold"] + 60


def test_grace_covers_drain_and_the_longest_generation() -> None:
    for deployment in (single(), *replica()):
        pod = deployment["spec"]["template"]["spec"]
        sleep = container(deployment)["lifecycle"]["preStop"]["sleep"]["seconds"]

        assert sleep >= FLEET.router.drain_seconds
        assert pod["terminationGracePeriodSeconds"] > FLEET.router.drain_seconds + FLEET.router.grace_seconds


def test_a_follower_outlives_its_leaders_longest_generation() -> None:
    _, follower = replica()

    sleep = container(follower)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert sleep == FLEET.router.drain_seconds + FLEET.router.grace_seconds


def test_without_a_drain_time_there_is_no_hook() -> None:
    router = replace(FLEET.router, drain_seconds=0.0)

    assert "lifecycle" not in container(single(fleet=replace(FLEET, router=router)))


def test_each_budget_and_service_selects_the_pods_that_it_is_for() -> None:
    pods = {
        "single": single()["spec"]["template"]["metadata"]["labels"],
        "leader": replica()[0]["spec"]["template"]["metadata"]["labels"],
        "follower": replica()[1]["spec"]["template"]["metadata"]["labels"],
        "other replica": replica(1)[0]["spec"]["template"]["metadata"]["labels"],
    }

    def chosen(selector: dict[str, str]) -> set[str]:
        return {name for name, labels in pods.items() if selector.items() <= labels.items()}

    budgets = disruption_budgets(DEMAND, single_stage=3, multi_stage=2)
    selected = [chosen(budget["spec"]["selector"]["matchLabels"]) for budget in budgets]
    assert selected == [{"single"}, {"leader", "follower", "other replica"}]
    assert chosen(router_service(DEMAND, SINGLE)["spec"]["selector"]) == {"single"}
    assert chosen(router_service(DEMAND, PIPELINE)["spec"]["selector"]) == {"leader", "other replica"}
    assert chosen(rendezvous_service(DEMAND, replica()[0])["spec"]["selector"]) == {"leader"}
    for name, deployment in zip(pods, (single(), *replica(), replica(1)[0]), strict=True):
        assert chosen(deployment["spec"]["selector"]["matchLabels"]) == {name}


@pytest.mark.parametrize(
    ("single_stage", "multi_stage", "unavailable"),
    [(0, 0, []), (1, 0, [0]), (2, 0, [1]), (0, 1, [0]), (0, 5, [0]), (1, 1, [1, 0])],
)
def test_one_pod_at_a_time_but_never_the_sole_replica_or_part_of_a_pipeline(
    single_stage: int, multi_stage: int, unavailable: list[int]
) -> None:
    budgets = disruption_budgets(DEMAND, single_stage=single_stage, multi_stage=multi_stage)

    assert [budget["spec"]["maxUnavailable"] for budget in budgets] == unavailable


def test_followers_find_their_own_leader() -> None:
    first, second = replica(0), replica(1)

    for stages in (first, second):
        service = rendezvous_service(DEMAND, stages[0])
        args = container(stages[1])["args"]
        host = args[args.index("--master-addr") + 1]
        assert host == f"{service['metadata']['name']}.prod.svc.cluster.local"
    names_seen = {deployment["metadata"]["name"] for deployment in (*first, *second)}
    assert len(names_seen) == 4


def test_another_site_is_another_replica_even_with_the_same_index() -> None:
    elsewhere = ReplicaSite(
        offerings=tuple(replace(key, capacity_type=CapacityType.ON_DEMAND) for key in SITE.offerings)
    )

    assert replica(0)[0]["metadata"]["name"] != replica(0, site=elsewhere)[0]["metadata"]["name"]


def test_a_running_strategy_and_its_site_are_read_back() -> None:
    for deployment, strategy, offerings in (
        (single(), SINGLE, (offering("h100x8"),)),
        (replica()[1], PIPELINE, SITE.offerings),
    ):
        annotations = deployment["metadata"]["annotations"]
        assert names.read_strategy(annotations[names.STRATEGY_SPEC]) == strategy
        assert names.read_offerings(annotations[names.OFFERINGS]) == offerings


def test_outside_a_cluster_nothing_is_owned() -> None:
    assert "ownerReferences" not in single(replace(DEMAND, uid=""))["metadata"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: single(pools={}), "GPUNodePool 'h100x8'"),
        (lambda: single(strategy=replace(SINGLE, tp=16)), "16 x H100-80GB"),
        (lambda: single(at=offering("l40sx4")), "pool l40sx4 has 4 x L40S-48GB"),
    ],
)
def test_a_pool_that_does_not_fit_is_named(make: Callable[[], dict[str, Any]], message: str) -> None:
    with pytest.raises(InvalidObjectError, match=message) as raised:
        make()

    assert raised.value.fault.reason is Reason.NO_POOL_FITS


def test_pods_of_an_owned_pool_tolerate_its_taint_and_lost_nodes_for_half_a_minute() -> None:
    tolerations = single(at=offering(OWNED.name))["spec"]["template"]["spec"]["tolerations"]

    assert {"key": "dedicated", "operator": "Equal", "value": "inference", "effect": "NoSchedule"} in tolerations
    lost = [each for each in tolerations if "tolerationSeconds" in each]
    assert [each["tolerationSeconds"] for each in lost] == [30, 30]
