"""How long the replicas of a plan take to start, and what pods are rendered for."""

from dataclasses import replace

import pytest

from atoll.domain.fleet import Fleet
from atoll.domain.pool import NodePool
from atoll.domain.problem import Problem, ReplicaGroup
from atoll.domain.snapshot import Snapshot
from atoll.domain.startup import NodeBandwidth, StartPolicy
from atoll.domain.strategy import Limit, Template
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.starting import Starting, expected_start_seconds
from atoll.reconcile.supply import supplies
from reconcile.worlds import NOW, ROUTER, demand_object, key, plan, planned, pool_object, replicas, seen

GB = 1e9
POLICY = StartPolicy(image_seconds=100.0, engine_seconds=200.0, store_bytes_per_second=10 * GB)
PHASES = POLICY.phases(60 * GB, 1 * GB)
NODE = NodeBandwidth(nic=4 * GB, disk=2 * GB)


def world(**policy: object) -> Snapshot:
    found = seen(demand_object(), pool_object("small"), pool_object("big"))
    pools: dict[str, NodePool] = {name: replace(pool, bandwidth=NODE) for name, pool in found.pools.items()}
    return replace(found, pools=pools, fleet=Fleet(**{"start": POLICY, **policy}))


def group(pool: str, count: int, tp: int = 2) -> ReplicaGroup:
    return replicas(pool, count=count, tp=tp).group


def piped(of: ReplicaGroup) -> ReplicaGroup:
    """The same over two stages, each a pod of its own."""
    return replace(
        of,
        strategy=replace(of.strategy, stages=of.strategy.stages * 2),
        site=replace(of.site, offerings=of.site.offerings * 2),
    )


def template(of: ReplicaGroup) -> Template:
    return Template(
        strategy=of.strategy,
        rate=1.0,
        ttft_seconds=0.5,
        tpot_seconds=0.02,
        sequences=9.0,
        limit=Limit.TPOT,
        sources={},
        expected_error=0.2,
        startup_seconds=PHASES.seconds,
        phases=PHASES,
    )


@pytest.mark.parametrize(
    ("count", "runs", "tp", "most", "seconds"),
    [
        pytest.param(1, 0, 2, 50, 30.0, id="one alone has the disk to itself"),
        pytest.param(4, 4, 2, 50, 30.0, id="what runs loads nothing"),
        pytest.param(2, 0, 2, 50, 60.0, id="two of width two share a node of four"),
        pytest.param(4, 0, 1, 50, 120.0, id="four of width one"),
        pytest.param(40, 0, 4, 50, 240.0, id="forty share the store"),
        pytest.param(40, 0, 4, 10, 60.0, id="as many at a time as the pace allows"),
        pytest.param(40, 39, 4, 50, 30.0, id="all but one run"),
    ],
)
def test_what_starts_together_shares_nodes_and_store(count: int, runs: int, tp: int, most: int, seconds: float) -> None:
    snapshot = world(max_moves=most)
    new = group("big", count, tp)
    running = (replace(new, count=runs),) if runs else ()
    problem = Problem(demands=(), supplies=supplies(snapshot, NOW), running=running)
    found = Starting((new,), problem, snapshot.fleet).phases(new, template(new), snapshot.demands[key()])
    assert found is not None
    assert found.weights_seconds == pytest.approx(seconds)
    assert found.image_seconds == 100.0


@pytest.mark.parametrize(("most", "seconds"), [(1, 120.0), (3, 240.0), (50, 240.0)])
def test_every_stage_of_a_replica_takes_its_share_of_the_store(most: int, seconds: float) -> None:
    """A pace of one replica lets all its pods load at one time."""
    snapshot = world(max_moves=most, start=replace(POLICY, store_bytes_per_second=1 * GB))
    new = piped(group("big", 2, 4))
    problem = Problem(demands=(), supplies=supplies(snapshot, NOW))
    found = Starting((new,), problem, snapshot.fleet).phases(new, template(new), snapshot.demands[key()])
    assert found is not None
    assert found.weights_seconds == pytest.approx(seconds)


def test_pods_of_pipelines_have_time_to_share_the_store() -> None:
    snapshot = world(max_moves=1, start=replace(POLICY, store_bytes_per_second=0.1 * GB))
    one = replace(replicas("big"), phases=PHASES)
    two = replace(one, group=piped(one.group))
    starts = [
        expected_start_seconds(each, snapshot.demands[key()], snapshot.pools, snapshot.fleet) for each in (one, two)
    ]
    assert starts == [900.0, 1500.0]


def test_a_template_without_phases_keeps_its_start() -> None:
    snapshot = world()
    new = group("big", 3)
    problem = Problem(demands=(), supplies=supplies(snapshot, NOW))
    bare = replace(template(new), phases=None)
    assert Starting((new,), problem, snapshot.fleet).phases(new, bare, snapshot.demands[key()]) is None


def test_pods_do_not_change_once_the_others_run() -> None:
    """The start is part of the pod template: with a shorter one every Deployment would get another name."""
    crowded = POLICY.phases(60 * GB, 0.1 * GB)
    before, after = (
        replace(replicas("big", count=3), startup_seconds=phases.seconds, phases=phases) for phases in (crowded, PHASES)
    )
    snapshot = world()
    names = [sorted(desired_objects(snapshot, plan(planned(each)), ROUTER)[0].deployments) for each in (before, after)]
    assert names[0] == names[1] != []


@pytest.mark.parametrize(("store", "seconds"), [(None, 360.0), (10 * GB, 375.0), (1 * GB, 2062.5)])
def test_pods_have_time_to_start_beside_as_many_as_the_pace_allows(store: float | None, seconds: float) -> None:
    snapshot = world(start=replace(POLICY, store_bytes_per_second=store))
    item = replace(replicas("big"), phases=PHASES)
    found = expected_start_seconds(item, snapshot.demands[key()], snapshot.pools, snapshot.fleet)
    assert found == pytest.approx(seconds)
