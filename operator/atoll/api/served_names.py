"""Who holds a served name: names are global in the router, and the oldest demand holds one."""

from collections.abc import Iterable, Iterator

from atoll.domain.demand import Demand, DemandKey
from atoll.domain.reason import Fault, Reason


def settle_served_names(demands: Iterable[Demand]) -> dict[DemandKey, Fault]:
    """Faults of the demands one of whose names, served name or alias, another holds.

    The oldest by creation, then uid, holds a name; outside a cluster, where there is neither, the first given.
    ``namespace/name`` of a demand always routes to it, so no other demand may take that. A demand with a fault still
    holds its other names: what runs of it goes on under them.
    """
    ordered = sorted(demands, key=lambda demand: (demand.created, demand.uid))
    by_path = {str(demand.key): demand for demand in ordered}
    holders: dict[str, Demand] = {}
    faults: dict[DemandKey, Fault] = {}
    for demand in ordered:
        for name, field in _names(demand):
            holder = by_path.get(name) or holders.setdefault(name, demand)
            if holder.key != demand.key:
                fault = Fault(
                    reason=Reason.SERVED_NAME_TAKEN,
                    field=field,
                    message=f"{name!r} is held by {holder.key}: choose another",
                )
                faults.setdefault(demand.key, fault)
    return faults


def _names(demand: Demand) -> Iterator[tuple[str, str]]:
    """All names of a demand, each with the path of its field."""
    yield demand.served_name, "spec.model.servedName"
    for index, alias in enumerate(demand.aliases):
        yield alias, f"spec.model.aliases[{index}]"
