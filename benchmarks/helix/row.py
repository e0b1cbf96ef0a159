"""One instance as a row: what is reached, what is proven, and what Helix published."""

import time
from typing import Any

from benchmarks.helix.blocks import Blocks, Plan, chain_of
from benchmarks.helix.bound import bisection_bound, cover_bound
from benchmarks.helix.instance import Instance
from benchmarks.helix.placement import Carried, Held, carried
from benchmarks.helix.sites import placed as over_sites

PROVEN = 2e-6
"""Relative distance of value and bound at which a value is optimal: the bounds are bisected to 1e-7, on a grid."""

SHOWN = 1e-9
"""Relative difference to a published value that is rounding."""


def row_of(instance: Instance) -> dict[str, Any]:
    """Place, bound and judge one instance.

    The best single chain comes first; where it does not meet the bound, blocks are searched for. The value is that of
    an independent maximum flow over the nodes of the answer.
    """
    began = time.process_time()
    together = instance.together()
    most = bisection_bound(together)
    chain = chain_of(together)
    placement: tuple[Held, ...] = ()
    if chain and len(instance.sites) > 1:
        placement = over_sites(instance, most)
        most = cover_bound(together, most, least=carried(instance, placement).throughput)
    elif chain:
        placement, most = _placed(instance, chain, most)
    found = carried(instance, placement) if placement else Carried(throughput=0.0, mean_hops=0.0)
    value = found.throughput
    published = instance.published
    return {
        "instance": instance.name,
        "layers": instance.layers,
        "sites": len(instance.sites),
        "machines": sum(kind.nodes for kind in instance.kinds),
        "value": value,
        "bound": max(value, most),
        "gap": max(0.0, most - value) / most if most > 0.0 else 0.0,
        "proven": most - value <= PROVEN * most,
        "published": published,
        "publishedSource": instance.source if published is not None else None,
        "publishedSeconds": instance.seconds,
        "better": None if not published else value / published - 1.0,
        "ok": published is None or value >= published * (1.0 - SHOWN),
        "cpuSeconds": round(time.process_time() - began, 3),
        "meanHops": round(found.mean_hops, 3),
        "placement": [[instance.kinds[held.kind].name, held.start, held.layers] for held in placement],
    }


def _placed(instance: Instance, chain: Plan, most: float) -> tuple[tuple[Held, ...], float]:
    """Nodes with their layers, and an upper bound of what any could carry."""
    blocks = Blocks.of_single(instance)
    reached = blocks.reached(chain)
    if most - reached > PROVEN * most:
        most = cover_bound(instance, most, least=reached)
    if most - reached > PROVEN * most:
        blocks = Blocks.of(instance)
        chain = blocks.best(chain, most)
    return blocks.held(chain), most
