"""C7 and C15 as properties: whatever happens and whenever the operator dies, the fleet ends in the same objects."""

import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconcile.simulated_cluster import canonical
from reconcile.simulated_fleet import CHOICES, RATES, Fleet, demand_gone, demand_ref, fleet

DEMANDS = st.sampled_from(["chat", "code", "agent"])
EVENTS = st.one_of(
    st.tuples(
        st.just("demand"),
        DEMANDS,
        st.sampled_from([0.0, 10.0, 20.0, 30.0, 60.0]),
        st.sampled_from(sorted(CHOICES)),
        st.sampled_from(["v:1", "v:2"]),
    ),
    st.tuples(st.just("delete"), DEMANDS),
    st.tuples(st.just("lose"), st.integers(0, 3)),
    st.tuples(st.just("notice"), st.integers(0, 3)),
    st.tuples(st.just("uncordon")),
)
STORY = st.lists(st.tuples(st.integers(0, 9), EVENTS), min_size=1, max_size=6)
MANY = settings(
    max_examples=int(os.environ.get("ATOLL_SCENARIOS", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""``ATOLL_SCENARIOS`` in the environment asks for more, where there is time."""

KILLS = st.lists(st.one_of(st.none(), st.integers(0, 12)), max_size=40)
PRIORITY = {"chat": 100, "code": 10, "agent": 10}


def happen(made: Fleet, event: tuple[Any, ...]) -> None:  # noqa: C901  # one case per event
    match event:
        case ("demand", name, rate, choice, image):
            made.demand(name, rate, choice, PRIORITY[name], image)
        case ("delete", name):
            if demand_ref(name) in made.cluster.objects:
                demand_gone(made, name)
        case ("lose", index):
            used = made.used_nodes()
            if index < len(used):
                made.lose_node(used[index])
        case ("notice", index):
            used = made.used_nodes()
            if index < len(used):
                made.change_node(used[index], unschedulable=True)
        case ("uncordon",):
            for node in made.cluster.of("Node"):
                if node["spec"].get("unschedulable"):
                    made.change_node(node["metadata"]["name"], unschedulable=False)


def tell(made: Fleet, story: list[tuple[int, tuple[Any, ...]]]) -> None:
    made.demand("chat", 20.0, "small", PRIORITY["chat"])
    made.settle()
    for ticks, event in story:
        happen(made, event)
        made.run(ticks)
    made.settle()


def wanted_is_served(made: Fleet) -> bool:
    served = made.cluster.served(RATES)
    return all(
        served.get(obj["metadata"]["name"], 0.0) >= obj["spec"]["demand"]["requestsPerSecond"] - 1e-6
        for obj in made.cluster.of("ModelDemand")
    )


@MANY
@given(story=STORY, provisioning=st.sampled_from(["Autoscaler", "Fixed"]))
def test_with_room_nothing_is_dropped_and_the_fleet_converges(story: Any, provisioning: str) -> None:
    made = fleet(small=40, big=40, provisioning=provisioning)
    tell(made, story)
    assert wanted_is_served(made)


@MANY
@given(story=STORY, target=st.sampled_from(["GatewayAPI", "Both"]))
def test_the_same_where_gateways_carry_requests(story: Any, target: str) -> None:
    made = fleet(small=40, big=40, target=target)
    tell(made, story)
    assert wanted_is_served(made)


@MANY
@given(
    story=STORY, provisioning=st.sampled_from(["Autoscaler", "Fixed"]), small=st.integers(1, 5), big=st.integers(0, 3)
)
def test_without_room_the_fleet_converges_within_its_gpus(story: Any, provisioning: str, small: int, big: int) -> None:
    made = fleet(small=small, big=big, provisioning=provisioning)
    made.watched = False
    tell(made, story)


def test_what_a_replica_that_lost_a_stage_still_holds_is_given_to_nobody_else() -> None:
    made = fleet(small=3, big=1, provisioning="Autoscaler")
    made.watched = False
    tell(made, [(8, ("demand", "chat", 30.0, "both", "v:1")), (0, ("lose", 0))])


@MANY
@given(story=STORY, kills=KILLS, provisioning=st.sampled_from(["Autoscaler", "Fixed"]), small=st.sampled_from([3, 40]))
def test_c7_killed_at_any_write_it_ends_in_the_same_objects(
    story: Any, kills: list[int | None], provisioning: str, small: int
) -> None:
    undisturbed = fleet(small=small, big=8, provisioning=provisioning)
    killed = fleet(small=small, big=8, provisioning=provisioning)
    undisturbed.watched = killed.watched = False
    tell(undisturbed, [item for item in story if item[1][0] not in {"lose", "notice"}])
    killed.write_limits = list(kills)
    tell(killed, [item for item in story if item[1][0] not in {"lose", "notice"}])
    assert canonical(killed.cluster.objects.values()) == canonical(undisturbed.cluster.objects.values())


@MANY
@given(story=STORY, lags=st.lists(st.integers(0, 4), max_size=60))
def test_c10_old_views_do_no_lasting_harm(story: Any, lags: list[int]) -> None:
    """The operator acts on what the cluster was some ticks ago."""
    made = fleet(small=40, big=40)
    made.watched = False
    made.demand("chat", 20.0, "small", PRIORITY["chat"])
    views = [made.gather()]
    for tick in range(max([60, *(n for n, _ in story)])):
        views.append(made.gather())
        lag = lags[tick] if tick < len(lags) else 0
        made.operate(views[max(0, len(views) - 1 - lag)])
        made.cluster.advance()
        if tick % 10 == 9 and story:
            happen(made, story.pop(0)[1])
    made.settle()
    assert wanted_is_served(made)
