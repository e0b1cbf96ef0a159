"""Who holds a served name: names are global in the router, and the oldest demand holds one."""

from collections.abc import Iterable

from atoll.domain.demand import Demand, DemandKey
from atoll.domain.reason import Fault, Reason


def settle_served_names(demands: Iterable[Demand]) -> dict[DemandKey, Fault]:
    """Faults of the demands whose served name another holds.

    The oldest by creation, then uid, holds a name; outside a cluster, where there is neither, the first given.
    ``namespace/name`` of a demand always routes to it, so no other demand may take that as its served name.
    """
    ordered = sorted(demands, key=lambda demand: (demand.created, demand.uid))
    by_path = {str(demand.key): demand for demand in ordered}
    holders: dict[str, Demand] = {}
    faults = {}
    for demand in ordered:
        holder = by_path.get(demand.served_name) or holders.setdefault(demand.served_name, demand)
        if holder.key != demand.key:
            faults[demand.key] = Fault(
                reason=Reason.SERVED_NAME_TAKEN,
                field="spec.model.servedName",
                message=f"{demand.served_name!r} is held by {holder.key}: choose another",
            )
    return faults
