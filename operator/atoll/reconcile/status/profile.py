"""What a PerformanceProfile says."""

from atoll.domain.objects import MODEL_DEMAND, PERFORMANCE_PROFILE, Action, ObjectLike, Reference
from atoll.domain.profile import PerformanceProfile
from atoll.domain.reason import Reason
from atoll.domain.snapshot import Snapshot
from atoll.domain.strategy import EngineName
from atoll.reconcile.conditions import Condition, status_actions
from atoll.reconcile.status.view import View


def profile_status(view: View, ref: Reference, live: ObjectLike) -> tuple[Action, ...]:
    """The status write of one PerformanceProfile."""
    faults = view.snapshot.faults.get(ref)
    if faults:
        condition = Condition(type="Ready", status=False, reason=faults[0].reason, message=str(faults[0]))
    else:
        found = [profile for profile in view.snapshot.profiles if profile.name == ref.name]
        message = "".join(_used(profile, view.snapshot) for profile in found)
        condition = Condition(type="Ready", status=True, reason=Reason.AVAILABLE, message=message)
    return status_actions(PERFORMANCE_PROFILE, live, {}, (condition,), view.now)


def _used(profile: PerformanceProfile, snapshot: Snapshot) -> str:
    """Whose strategies are rated by it; where nobody's, what to look at.

    A profile belongs to no fleet, so the demands of all fleets count: each fleet's operator says the same.
    """
    demands = [
        f"{ref.namespace}/{ref.name}"
        for ref, obj in sorted(snapshot.objects.items(), key=lambda item: item[0])
        if ref.kind == MODEL_DEMAND.name and not obj["metadata"].get("deletionTimestamp") and _rates(profile, obj)
    ]
    if not demands:
        return f"no ModelDemand has architecture {profile.architecture!r} and engine {profile.engine}"
    return f"rates strategies of {demands[0]}" + (f" and {len(demands) - 1} more" if len(demands) > 1 else "")


def _rates(profile: PerformanceProfile, demand: ObjectLike) -> bool:
    """Whether it is of a ModelDemand's architecture and engine; an inline architecture goes by the served name."""
    spec = demand.get("spec") or {}
    model = spec.get("model") or {}
    name = (model.get("architecture") or {}).get("name") or model.get("servedName") or ""
    engine = (spec.get("engine") or {}).get("name") or EngineName.VLLM
    return bool(engine == profile.engine and name.casefold() == profile.architecture.casefold())
