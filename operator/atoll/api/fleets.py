"""Fleet to the domain's Fleet."""

import math
from collections.abc import Mapping

from atoll.api.decode import decode, invalid, metadata
from atoll.api.quantities import bytes_of, mebibytes, millicores, seconds
from atoll.api.v1alpha1.fleet import CostSettings, FleetSpec, LoadingSettings
from atoll.api.v1alpha1.routersettings import RouterSettings
from atoll.domain.cost import NAMESPACE, CostPolicy, Payer, by_label
from atoll.domain.fleet import Acknowledgement, Fleet, GatewayPolicy, GatewayReference, RouterPolicy
from atoll.domain.objects import FLEET
from atoll.domain.problem import Quota, SolvePolicy
from atoll.domain.startup import StartPolicy

_LEAST_BYTES_PER_SECOND = 1e6

_LEAST_SIZE, _MOST_SIZE, _LEAST_MEMORY = 1, 1024, 256
"""MiB."""


def parse_fleet(obj: object) -> Fleet:
    """Understand one Fleet.

    Args:
        obj: any JSON that claims to be one.

    Raises:
        InvalidObjectError: and nothing else.
    """
    found = metadata(obj, FLEET, longest=40)
    spec = decode(obj.get("spec", {}) if isinstance(obj, Mapping) else {}, FleetSpec, "spec")
    return Fleet(
        name=found.name,
        uid=found.uid,
        generation=found.generation,
        mode=spec.mode,
        solve=SolvePolicy(
            deadline_seconds=seconds(spec.solve.deadline),
            work_budget=spec.solve.work_budget,
            saving_tolerance=spec.solve.saving_tolerance,
            accept_gap=spec.solve.accept_gap,
            rate_confidence=spec.solve.rate_confidence,
            horizon_hours=seconds(spec.solve.horizon) / 3600.0,
            budget_per_hour=math.inf if spec.budget_per_hour is None else spec.budget_per_hour,
            quotas=tuple(
                Quota(namespace=item.namespace, gpus=item.gpus)
                for item in sorted(spec.quotas, key=lambda item: item.namespace)
            ),
        ),
        router=_router(spec.router),
        keep_window_seconds=seconds(spec.pace.keep_window),
        pending_timeout_seconds=seconds(spec.pending_timeout),
        corrections=spec.solve.corrections,
        start=_start(spec.loading),
        max_moves=spec.pace.max_moves,
        plan_history=spec.plan_history,
        baseline=spec.solve.baseline,
        explain=spec.solve.explain,
        pool_discovery=spec.pool_discovery,
        cost=_cost(spec.cost),
    )


def _start(loading: LoadingSettings) -> StartPolicy:
    store = None if loading.store_bandwidth is None else bytes_of(loading.store_bandwidth)
    if store is not None and store < _LEAST_BYTES_PER_SECOND:
        raise invalid("spec.loading.storeBandwidth", f"{store:g} bytes/s given: must be at least 1M")
    return StartPolicy(
        image_seconds=seconds(loading.image),
        engine_seconds=seconds(loading.engine),
        store_bytes_per_second=store,
    )


def _cost(cost: CostSettings) -> CostPolicy:
    budgets = {Payer(by=item.by, value=item.value): item.per_hour for item in cost.budgets}
    if len(budgets) < len(cost.budgets):
        raise invalid("spec.cost.budgets", "two are for the same")
    unknown = sorted({payer.by for payer in budgets} - {NAMESPACE, *map(by_label, cost.labels)})
    if unknown:
        raise invalid("spec.cost.budgets", f"{unknown[0]!r}: name the label in spec.cost.labels too")
    return CostPolicy(labels=cost.labels, budgets=tuple(sorted(budgets.items())))


def _router(router: RouterSettings) -> RouterPolicy:
    acknowledgement = router.acknowledgement
    if acknowledgement.mode is Acknowledgement.ENDPOINTS and not acknowledgement.endpoints:
        raise invalid("spec.router.acknowledgement.endpoints", "mode Endpoints needs at least one endpoint")
    size = mebibytes(router.max_request_size)
    if not _LEAST_SIZE <= size <= _MOST_SIZE:
        raise invalid("spec.router.maxRequestSize", f"{router.max_request_size!r} is not between 1Mi and 1Gi")
    memory = mebibytes(router.memory)
    if memory < _LEAST_MEMORY:
        raise invalid("spec.router.memory", f"{router.memory!r} is less than 256Mi")
    if router.target.uses_gateways and not router.gateway.parents:
        raise invalid("spec.router.gateway.parents", f"target {router.target.value} needs at least one Gateway")
    return RouterPolicy(
        target=router.target,
        gateway=GatewayPolicy(
            parents=tuple(
                GatewayReference(namespace=parent.namespace, name=parent.name, section=parent.section_name)
                for parent in router.gateway.parents
            ),
            hostnames=router.gateway.hostnames,
            model_header=router.gateway.model_header,
            request_timeout=router.gateway.request_timeout,
        ),
        replicas=router.replicas,
        image=router.image or "",
        workers=router.workers,
        cpu_millicores=millicores(router.cpu),
        memory_mebibytes=memory,
        acknowledgement=acknowledgement.mode,
        endpoints=acknowledgement.endpoints,
        drain_seconds=seconds(router.drain),
        grace_seconds=seconds(router.grace),
        balancing=router.balancing,
        retries=router.retries,
        largest_request_mebibytes=size,
        most_concurrent_requests=router.max_concurrent_requests,
        upload_seconds=seconds(router.upload_timeout),
        silence_seconds=seconds(router.silence_timeout),
        trusted_hops=router.trusted_hops,
        health_interval_seconds=seconds(router.health.interval),
        health_timeout_seconds=seconds(router.health.timeout),
        health_failures=router.health.failures,
        access_log=router.access_log,
        token_metrics=router.token_metrics,
    )
