"""The one vocabulary of reasons: the same string in condition, event, log and metric label."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why something is as it is, in one PascalCase word."""

    # Bad input, on the object that carries it.
    INVALID_SPEC = "InvalidSpec"
    UNKNOWN_ARCHITECTURE = "UnknownArchitecture"
    SERVED_NAME_TAKEN = "ServedNameTaken"
    NO_POOL_FITS = "NoPoolFits"
    CONTRADICTORY_PLACEMENT = "ContradictoryPlacement"
    IMPOSSIBLE_OBJECTIVES = "ImpossibleObjectives"
    REQUESTS_EXCEED_SHARE = "RequestsExceedShare"
    SELECTOR_MATCHES_NOTHING = "SelectorMatchesNothing"
    PRICE_MISSING = "PriceMissing"
    RESOURCE_CLAIMS_MISSING = "ResourceClaimsMissing"
    INVALID_SIGNAL = "InvalidSignal"
    # Measured demand.
    MEASURED = "Measured"
    NO_TRAFFIC = "NoTraffic"
    AWAITING_SIGNAL = "AwaitingSignal"
    SIGNAL_NOT_CONFIGURED = "SignalNotConfigured"
    SIGNAL_UNREACHABLE = "SignalUnreachable"
    SIGNAL_MISSING = "SignalMissing"
    SIGNAL_STALE = "SignalStale"
    SIGNAL_SUSPECT = "SignalSuspect"
    LENGTHS_AGREE = "LengthsAgree"
    LENGTHS_DIFFER = "LengthsDiffer"
    # Price feeds.
    PRICED = "Priced"
    FEED_UNREACHABLE = "FeedUnreachable"
    INVALID_FEED = "InvalidFeed"
    FEED_STALE = "FeedStale"
    FEED_INCOMPLETE = "FeedIncomplete"
    # Planning.
    PLANNED = "Planned"
    PLANNING = "Planning"
    NO_DEMAND = "NoDemand"
    SHORTFALL = "Shortfall"
    OVER_BUDGET = "OverBudget"
    QUOTA_REACHED = "QuotaReached"
    AWAITING_APPROVAL = "AwaitingApproval"
    PAUSED = "Paused"
    SOLVER_FAILED = "SolverFailed"
    SOLVER_TIMEOUT = "SolverTimeout"
    SPOT_SHARE_UNMET = "SpotShareUnmet"
    MIN_REPLICAS_UNMET = "MinReplicasUnmet"
    MIN_DOMAINS_UNMET = "MinDomainsUnmet"
    SURVIVE_UNMET = "SurviveUnmet"
    # Moving.
    REPLICAS_STARTING = "ReplicasStarting"
    REPLICAS_PENDING = "ReplicasPending"
    SCHEDULING_GATED = "SchedulingGated"
    ROUTER_NOT_SYNCED = "RouterNotSynced"
    ROUTER_CONFIG_TOO_LARGE = "RouterConfigTooLarge"
    ROUTED = "Routed"
    ROUTE_NOT_ACCEPTED = "RouteNotAccepted"
    GATEWAY_API_MISSING = "GatewayAPIMissing"
    OFFERING_MASKED = "OfferingMasked"
    # Writing to the API server.
    FORBIDDEN = "Forbidden"
    WRITE_REFUSED = "WriteRefused"
    OBJECT_TOO_LARGE = "ObjectTooLarge"
    API_UNAVAILABLE = "ApiUnavailable"
    LEASE_NOT_HELD = "LeaseNotHeld"
    DEFINITIONS_OUTDATED = "DefinitionsOutdated"
    # Plans.
    ADOPTED = "Adopted"
    SUPERSEDED = "Superseded"
    COMPLETED = "Completed"
    # All is well.
    SERVING = "Serving"
    AVAILABLE = "Available"
    HEALTHY = "Healthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with one object, so that the object's owner can mend it.

    Attributes:
        reason: one word.
        field: path of the field, such as ``spec.demand.requestsPerSecond``; empty where no single field is at fault.
        message: the value seen and the mend, in a sentence.
    """

    reason: Reason
    message: str
    field: str = ""

    def __str__(self) -> str:
        """Read as ``field: message``."""
        return f"{self.field}: {self.message}" if self.field else self.message


class InvalidObjectError(ValueError):
    """An object cannot be understood; carries the fault that says why.

    Raised by ``api`` and ``catalogue`` for one object and turned into a condition on it alone.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault
