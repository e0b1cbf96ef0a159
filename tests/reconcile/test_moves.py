"""Whole moves: the decisions against a cluster in memory, with what must hold at every moment of them."""

import pytest

from reconcile.simulated_fleet import RATES, Fleet, demand_gone, fleet


def serving(made: Fleet) -> dict[str, float]:
    return made.cluster.served(RATES)


@pytest.mark.parametrize("provisioning", ["Autoscaler", "Fixed"])
@pytest.mark.parametrize("choice", ["small", "big", "both", "bigs"])
def test_a_new_demand_is_served_and_then_nothing_is_written_c15(choice: str, provisioning: str) -> None:
    made = fleet(provisioning=provisioning)
    made.demand("chat", 40.0, choice)
    made.settle()
    assert serving(made)["chat"] >= 40.0


@pytest.mark.parametrize("after", ["small", "small-long", "big", "both", "bigs"])
@pytest.mark.parametrize("before", ["small", "big", "both", "bigs"])
def test_r3_another_strategy_serves_before_the_old_one_goes(before: str, after: str) -> None:
    made = fleet(small=16, big=16)
    made.demand("chat", 40.0, before)
    made.settle()
    made.demand("chat", 40.0, after)
    made.settle()
    assert serving(made)["chat"] >= 40.0


@pytest.mark.parametrize("target", ["GatewayAPI", "Both"])
@pytest.mark.parametrize(("before", "after"), [("small", "big"), ("big", "both"), ("bigs", "small"), ("both", "bigs")])
def test_r3_the_same_where_gateways_carry_requests(before: str, after: str, target: str) -> None:
    made = fleet(small=16, big=16, target=target)
    made.demand("chat", 40.0, before)
    made.settle()
    made.demand("chat", 40.0, after)
    made.settle()
    assert serving(made)["chat"] >= 40.0
    (route,) = made.cluster.of("HTTPRoute")
    assert [backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]] == [10_000]


@pytest.mark.parametrize("choice", ["small", "big", "both", "bigs"])
def test_demand_down_and_up_again_in_mid_drain_keeps_serving(choice: str) -> None:
    made = fleet(small=16, big=16)
    made.demand("chat", 60.0, choice)
    made.settle()
    made.demand("chat", 20.0, choice)
    made.run(2)
    made.demand("chat", 60.0, choice)
    made.settle()
    assert serving(made)["chat"] >= 60.0


def test_zero_demand_stops_everything_r6() -> None:
    made = fleet()
    made.demand("chat", 40.0, "both")
    made.settle()
    made.demand("chat", 0.0, "both")
    made.settle()
    assert not made.cluster.pods()
    assert not [item for item in made.cluster.of("Deployment") if "atoll.dev/demand" in item["metadata"]["labels"]]


def test_a_deleted_demand_takes_all_that_it_owned_with_it() -> None:
    made = fleet()
    made.demand("chat", 40.0, "both")
    made.demand("code", 20.0, "small")
    made.settle()
    demand_gone(made, "chat")
    made.settle()
    left = {item["metadata"]["labels"].get("atoll.dev/demand") for item in made.cluster.of("Deployment")}
    assert left == {"code", None}


@pytest.mark.parametrize("provisioning", ["Autoscaler", "Fixed"])
@pytest.mark.parametrize("choice", ["small", "big", "both", "bigs"])
def test_a_lost_node_is_replaced(choice: str, provisioning: str) -> None:
    made = fleet(small=8, big=8, provisioning=provisioning)
    made.demand("chat", 40.0, choice)
    made.demand("code", 20.0, "small")
    made.settle()
    made.lose_node(made.used_nodes("small" if choice in {"small", "both"} else "big")[0])
    made.settle()
    assert serving(made)["chat"] >= 40.0
    assert serving(made)["code"] >= 20.0


@pytest.mark.parametrize("provisioning", ["Autoscaler", "Fixed"])
@pytest.mark.parametrize("sign", ["taints", "unschedulable"])
@pytest.mark.parametrize("choice", ["small", "big", "both", "bigs"])
def test_replicas_leave_a_node_with_a_notice_before_it_goes(choice: str, sign: str, provisioning: str) -> None:
    made = fleet(small=8, big=8, provisioning=provisioning)
    made.demand("chat", 40.0, choice)
    made.settle()
    going = made.used_nodes()[0]
    made.change_node(going, **{sign: True if sign == "unschedulable" else [{"key": "karpenter.sh/disrupted"}]})
    made.settle()
    assert serving(made)["chat"] >= 40.0
    assert going not in made.used_nodes()


@pytest.mark.parametrize("provisioning", ["Autoscaler", "Fixed"])
@pytest.mark.parametrize("after", ["small-long", "both"])
def test_r3_with_room_for_one_more_replicas_are_exchanged_one_by_one(after: str, provisioning: str) -> None:
    made = fleet(small=5, big=4, provisioning=provisioning)
    made.demand("chat", 40.0, "small")
    made.settle()
    made.demand("chat", 40.0, after)
    made.settle()  # never less than 40 requests/s: checked at every tick
    assert serving(made)["chat"] >= 40.0


@pytest.mark.parametrize("provisioning", ["Autoscaler", "Fixed"])
def test_r4_without_any_room_a_move_breaks_before_it_makes(provisioning: str) -> None:
    made = fleet(small=4, big=4, provisioning=provisioning)
    made.demand("chat", 40.0, "small")
    made.settle()
    made.watched = False
    made.demand("chat", 40.0, "small-long")
    made.settle()
    assert serving(made)["chat"] == 40.0


def test_r3_without_room_the_lowest_priority_breaks_first() -> None:
    made = fleet(small=2, big=2)
    made.demand("chat", 10.0, "small", priority=100)
    made.demand("code", 10.0, "small", priority=1)
    made.settle()
    made.floors.pop("code")
    made.demand("chat", 10.0, "small-long", priority=100)
    made.demand("code", 10.0, "small-long", priority=1)
    made.settle()  # chat is served at every tick
    assert serving(made) == {"chat": 10.0, "code": 10.0}


def test_a_demand_that_outranks_others_takes_their_room() -> None:
    made = fleet(small=2, big=2)
    made.demand("code", 20.0, "small", priority=1)
    made.settle()
    made.demand("chat", 20.0, "small", priority=100)
    made.settle()
    assert serving(made) == {"chat": 20.0}


def test_two_demands_that_change_places_with_no_room_end_in_each_other_s_place() -> None:
    made = fleet(small=2, big=1)
    made.demand("chat", 20.0, "small", priority=100)
    made.demand("code", 40.0, "big", priority=1)
    made.settle()
    made.floors.pop("code")
    made.demand("chat", 20.0, "big", priority=100)
    made.demand("code", 20.0, "small", priority=1)
    made.settle()
    assert serving(made) == {"chat": 20.0, "code": 20.0}


@pytest.mark.parametrize("ticks", range(8))
def test_a_plan_superseded_in_mid_move_is_left_at_any_moment(ticks: int) -> None:
    made = fleet(small=8, big=8)
    made.demand("chat", 40.0, "small")
    made.settle()
    made.demand("chat", 40.0, "both")
    made.run(ticks)
    made.demand("chat", 60.0, "bigs")
    made.run(ticks)
    made.demand("chat", 40.0, "small")
    made.settle()
    assert serving(made)["chat"] == 40.0


@pytest.mark.parametrize("choice", ["small", "both", "bigs"])
def test_another_image_is_rolled_out_without_a_gap(choice: str) -> None:
    made = fleet(small=12, big=12)
    made.demand("chat", 60.0, choice)
    made.run(40)  # well over a minute between the start of old and new stages
    made.settle()
    made.demand("chat", 60.0, choice, image="vllm/vllm:2")
    made.settle()
    assert serving(made)["chat"] >= 60.0


def test_r2_an_offering_that_gives_no_nodes_is_masked_and_its_pending_pods_are_withdrawn() -> None:
    made = fleet(small=8, big=8)
    made.cluster.capacity_gone.add("small")
    made.demand("chat", 40.0, "small")
    made.run(30)
    assert not made.cluster.pods()
    assert [item.strikes for item in made.gather().masks.values()] == [1]


def test_r5_pending_pods_that_nobody_wants_any_more_are_withdrawn_at_once() -> None:
    made = fleet(small=8, big=8)
    made.cluster.capacity_gone.add("small")
    made.demand("chat", 40.0, "small")
    made.run(4)
    made.demand("chat", 40.0, "big")
    made.run(2)
    assert all(pod["spec"]["nodeSelector"]["pool"] == "big" for pod in made.cluster.pods())
    made.settle()


@pytest.mark.parametrize("choice", ["small", "both", "bigs"])
def test_c5_a_rollout_that_never_becomes_ready_leaves_the_old_replicas_alone(choice: str) -> None:
    made = fleet(small=8, big=8)
    made.demand("chat", 40.0, "small")
    made.settle()
    made.cluster.never_ready.add("vllm/vllm:bad")
    made.demand("chat", 40.0, choice, image="vllm/vllm:bad")
    made.run(30)
    assert serving(made)["chat"] >= 40.0
    made.demand("chat", 40.0, choice)
    made.settle()
