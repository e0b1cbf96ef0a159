import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from atoll.domain.demand import DemandKey
from atoll.domain.fleet import AccessLog, Balancing, RouterPolicy
from atoll.domain.reason import InvalidObjectError, Reason
from atoll.render import names
from atoll.render.router.bootstrap import BOOTSTRAP_FILE, CLUSTERS_FILE, ROUTES_FILE
from atoll.render.router.configuration import (
    SIZE_LIMIT_BYTES,
    RouterConfiguration,
    router_config_map,
    router_configuration,
)
from atoll.render.router.routing import RoutedModel, RouterEndpoint, RouterSettings, endpoint_weight, routed_names
from atoll.render.router.workload import router_objects
from golden import assert_golden
from render.envoy import validate
from render.sample import as_yaml

GOLDEN = Path(__file__).parent / "golden"
SETTINGS = RouterSettings()


def routed(name: str, *endpoints: RouterEndpoint, served: tuple[str, ...] = ()) -> RoutedModel:
    return RoutedModel(key=DemandKey(namespace="prod", name=name), served_names=served, endpoints=endpoints)


def service(name: str, rate: float, *, draining: bool = False) -> RouterEndpoint:
    host = names.service_host(name, "prod")
    return RouterEndpoint(service_host=host, weight=endpoint_weight(rate), draining=draining)


MODELS = (
    routed(
        "qwen",
        service("qwen-b0ed23af85", 3.25),
        service("qwen-dd38d49603", 1.0, draining=True),
        served=("Qwen/Qwen3-32B",),
    ),
    routed("phi", served=("phi-4",)),
    routed("gone", service("gone-b0ed23af85", 2.0, draining=True)),
)


def combined(configuration: RouterConfiguration) -> dict[str, Any]:
    """All files as one static configuration, which Envoy's validation reads whole."""
    files = {name: json.loads(text) for name, text in configuration.files.items()}
    whole: dict[str, Any] = files[BOOTSTRAP_FILE]
    del whole["dynamic_resources"]
    for resource in (*files[CLUSTERS_FILE]["resources"], *files[ROUTES_FILE]["resources"]):
        del resource["@type"]
    whole["static_resources"]["clusters"] += files[CLUSTERS_FILE]["resources"]
    manager = whole["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"]
    (manager["route_config"],) = files[ROUTES_FILE]["resources"]
    return whole


@pytest.mark.parametrize("name", [BOOTSTRAP_FILE, CLUSTERS_FILE, ROUTES_FILE])
def test_each_file(name: str) -> None:
    content = json.loads(router_configuration(MODELS, SETTINGS, RouterPolicy()).files[name])

    assert_golden(GOLDEN / "router" / Path(name).with_suffix(".yaml"), as_yaml([content]))


def test_the_routers_objects() -> None:
    configuration = router_configuration(MODELS, SETTINGS, RouterPolicy())
    objects = [*router_objects(configuration, SETTINGS, RouterPolicy()), router_config_map(configuration, SETTINGS)]
    for each in objects:
        kubernetes_validate.validate(each, "1.36", strict=True)

    config_map = objects.pop()
    assert config_map["data"] == configuration.files
    assert config_map["metadata"]["annotations"] == {names.ROUTER_VERSION: configuration.version}
    assert_golden(GOLDEN / "router" / "objects.yaml", as_yaml(objects))


def test_envoy_accepts_the_whole_configuration(tmp_path: Path) -> None:
    answer = validate(tmp_path, combined(router_configuration(MODELS, SETTINGS, RouterPolicy())))

    assert answer.returncode == 0, answer.stderr
    assert "deprecated" not in answer.stderr.lower()


def test_envoys_validation_sees_a_wrong_field(tmp_path: Path) -> None:
    whole = combined(router_configuration(MODELS, SETTINGS, RouterPolicy()))
    whole["static_resources"]["clusters"][-1]["lb_policyz"] = "LEAST_REQUEST"

    assert validate(tmp_path, whole).returncode != 0


@pytest.mark.parametrize(("strategies", "most"), [(1, 2048), (2, 2048 + 180), (3, 2048 + 360)])
def test_a_model_takes_at_most_two_kilobytes_and_a_little_per_further_strategy(strategies: int, most: int) -> None:
    def size(count: int) -> int:
        models = tuple(
            routed(
                f"llama-70b-{index:04d}",
                *(service(f"llama-70b-{index:04d}-{strategy:010d}", 12.3) for strategy in range(strategies)),
                served=(f"meta-llama/Llama-3.3-70B-{index:04d}",),
            )
            for index in range(count)
        )
        return sum(len(text) for text in router_configuration(models, SETTINGS, RouterPolicy()).files.values())

    assert (size(101) - size(1)) / 100 <= most


def test_a_configuration_beyond_the_limit_is_a_fault_and_not_written() -> None:
    models = tuple(routed(f"model-{index}", service(f"model-{index}-0123456789", 1.0)) for index in range(800))

    with pytest.raises(InvalidObjectError, match=f"of at most {SIZE_LIMIT_BYTES}") as raised:
        router_config_map(router_configuration(models, SETTINGS, RouterPolicy()), SETTINGS)

    assert raised.value.fault.reason is Reason.ROUTER_CONFIG_TOO_LARGE


def test_the_version_follows_the_content_and_nothing_else() -> None:
    version = router_configuration(MODELS, SETTINGS, RouterPolicy()).version

    assert router_configuration(MODELS, SETTINGS, RouterPolicy()).version == version
    assert router_configuration(MODELS, replace(SETTINGS, port=9999), RouterPolicy()).version == version
    assert router_configuration(MODELS[:2], SETTINGS, RouterPolicy()).version != version
    heavier = routed("phi", service("phi-0123456789", 1.0), served=("phi-4",))
    assert router_configuration((MODELS[0], heavier, MODELS[2]), SETTINGS, RouterPolicy()).version != version


def test_clusters_and_routes_carry_the_same_version() -> None:
    configuration = router_configuration(MODELS, SETTINGS, RouterPolicy())

    for name in (CLUSTERS_FILE, ROUTES_FILE):
        assert json.loads(configuration.files[name])["version_info"] == configuration.version


def test_only_a_new_image_or_bootstrap_rolls_the_routers() -> None:
    policy = RouterPolicy()

    def deployment(models: tuple[RoutedModel, ...], settings: RouterSettings) -> dict[str, Any]:
        return router_objects(router_configuration(models, settings, RouterPolicy()), settings, policy)[0]["spec"][
            "template"
        ]

    assert deployment(MODELS, SETTINGS) == deployment(MODELS[:1], SETTINGS)
    assert deployment(MODELS, SETTINGS) != deployment(MODELS, replace(SETTINGS, admin_port=1))


def test_no_router_where_none_is_wanted() -> None:
    configuration = router_configuration(MODELS, SETTINGS, RouterPolicy())

    assert router_objects(configuration, SETTINGS, RouterPolicy(replicas=0)) == ()


@given(st.floats(0, 1e9, allow_nan=False))
def test_every_weight_is_one_that_envoy_takes(rate: float) -> None:
    assert 1 <= endpoint_weight(rate) <= 1_000_000


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_weights_keep_the_ratio_of_rates(first: float, second: float) -> None:
    ratio = endpoint_weight(first) / endpoint_weight(second)

    assert ratio == pytest.approx(first / second, rel=0.12)


SERVED = st.lists(st.sampled_from(["a", "b", "prod/x", "prod/y"]), max_size=3).map(tuple)


@given(st.lists(st.tuples(st.sampled_from("xyz"), SERVED), unique_by=lambda pair: pair[0]))
def test_no_name_routes_twice_and_the_qualified_name_always_to_its_own(
    pairs: list[tuple[str, tuple[str, ...]]],
) -> None:
    models = tuple(routed(name, served=served) for name, served in pairs)

    found = routed_names(models)

    everything = [name for served in found.values() for name in served]
    assert len(everything) == len(set(everything))
    assert all(str(model.key) in found[model.key] for model in models)
    assert {name for model in models for name in model.served_names} <= set(everything)


NAMES = st.one_of(
    st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._:/-]{0,40}[A-Za-z0-9])?", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),  # of objects that nobody validated
)
ENDPOINTS = st.lists(
    st.builds(
        RouterEndpoint,
        service_host=st.from_regex(r"[a-z]{1,20}\.prod\.svc\.cluster\.local", fullmatch=True),
        weight=st.integers(1, 1_000_000),
        draining=st.booleans(),
    ),
    max_size=12,
).map(tuple)
FLEETS = st.lists(
    st.builds(
        RoutedModel,
        key=st.builds(
            DemandKey,
            namespace=st.sampled_from(["prod", "a", "x" * 63]),
            name=st.from_regex(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True),
        ),
        served_names=st.lists(NAMES, max_size=5, unique=True).map(tuple),
        endpoints=ENDPOINTS,
    ),
    max_size=40,
    unique_by=lambda model: model.key,
).map(tuple)
POLICIES = st.builds(
    RouterPolicy,
    workers=st.integers(1, 64),
    memory_mebibytes=st.integers(256, 65536),
    balancing=st.sampled_from(Balancing),
    retries=st.integers(0, 10),
    largest_request_mebibytes=st.integers(1, 1024),
    most_concurrent_requests=st.integers(1, 1_000_000),
    upload_seconds=st.floats(1.0, 3600.0),
    silence_seconds=st.floats(1.0, 86400.0),
    trusted_hops=st.integers(0, 16),
    health_interval_seconds=st.floats(0.1, 60.0),
    health_timeout_seconds=st.floats(0.05, 60.0),
    health_failures=st.integers(1, 100),
    access_log=st.sampled_from(AccessLog),
    token_metrics=st.booleans(),
)


def weights(balancing: Balancing, *rates: float) -> list[int]:
    """What Envoy is told of replicas of these rates."""
    model = routed("m", *(service(f"s{number}", rate) for number, rate in enumerate(rates)))
    policy = RouterPolicy(balancing=balancing)
    content = json.loads(router_configuration((model,), SETTINGS, policy).files[CLUSTERS_FILE])
    (group,) = content["resources"][0]["load_assignment"]["endpoints"]
    return [each["load_balancing_weight"] for each in group["lb_endpoints"]]


def test_weights_make_up_for_their_division_by_requests_in_flight_r14() -> None:
    assert weights(Balancing.CAPACITY, 1.0, 4.0) == [1000, 4000]
    assert weights(Balancing.LEAST_REQUEST, 1.0, 4.0) == [125_000, 1_000_000]
    assert weights(Balancing.LEAST_REQUEST, 0.0, 900.0) == [1, 1_000_000]


@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.generate],  # Envoy takes half a second to say no: a failure is shown as it was found
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(FLEETS, POLICIES)
def test_envoy_accepts_every_fleet_under_every_policy(
    tmp_path_factory: pytest.TempPathFactory, models: tuple[RoutedModel, ...], policy: RouterPolicy
) -> None:
    answer = validate(tmp_path_factory.mktemp("fleet"), combined(router_configuration(models, SETTINGS, policy)))

    assert answer.returncode == 0, answer.stderr
    assert "deprecated" not in answer.stderr.lower()


def test_two_hundred_served_models_with_ten_strategies_each_fit() -> None:
    models = tuple(
        routed(
            f"model-{index:03d}",
            *(service(f"model-{index:03d}-{strategy:010d}", 3.25) for strategy in range(10)),
            served=(f"organisation/Model-{index:03d}-Instruct", f"alias-{index:03d}"),
        )
        for index in range(200)
    )

    config_map = router_config_map(router_configuration(models, SETTINGS, RouterPolicy()), SETTINGS)

    assert sum(map(len, config_map["data"].values())) < 0.8 * SIZE_LIMIT_BYTES
