"""Objects that are refused: by the API server, by the parsers, or by both, with the reason and the field at fault."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api import samples
from atoll.domain.reason import Reason

DELETE = object()
Maker = Callable[[], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A sample with changes by path, and the fault that follows.

    Attributes:
        name: of the case.
        make: the sample.
        changes: path to value; ``DELETE`` removes.
        field: at fault.
        reason: of the fault.
        says: part of the message.
        admitted: the API server takes it: only a look-up tells that it is wrong.
    """

    name: str
    make: Maker
    changes: dict[str, Any]
    field: str
    says: str
    reason: Reason = Reason.INVALID_SPEC
    admitted: bool = False

    def obj(self) -> dict[str, Any]:
        found = copy.deepcopy(self.make())
        for path, value in self.changes.items():
            *steps, last = path.split(".")
            inner: Any = found
            for step in steps:
                inner = inner[int(step)] if isinstance(inner, list) else inner.setdefault(step, {})
            if value is DELETE:
                del inner[last]
            else:
                inner[int(last) if isinstance(inner, list) else last] = value
        return found


def demand(name: str, changes: dict[str, Any], field: str, says: str, **keywords: Any) -> Bad:
    make = keywords.pop("make", samples.model_demand)
    return Bad(name=f"demand {name}", make=make, changes=changes, field=field, says=says, **keywords)


def pool(name: str, changes: dict[str, Any], field: str, says: str, **keywords: Any) -> Bad:
    make = samples.gpu_node_pool
    return Bad(name=f"pool {name}", make=make, changes=changes, field=field, says=says, **keywords)


def fleet(name: str, changes: dict[str, Any], field: str, says: str) -> Bad:
    return Bad(name=f"fleet {name}", make=samples.fleet, changes=changes, field=field, says=says)


def profile(name: str, changes: dict[str, Any], field: str, says: str, **keywords: Any) -> Bad:
    make = samples.performance_profile
    return Bad(name=f"profile {name}", make=make, changes=changes, field=field, says=says, **keywords)


RPS = "spec.demand.requestsPerSecond"
CONFIG = "spec.model.architecture.config"
CONTRADICTORY = Reason.CONTRADICTORY_PLACEMENT
FLOORS = [{"start": "8:00", "end": "20:00", "requestsPerSecond": 1}]

CASES = (
    demand("negative rate", {RPS: -1}, RPS, "-1 is refused"),
    demand(
        "pod labels' keys",
        {"spec.engine.podTemplate.labels": {"Cost/x": "y"}},
        "spec.engine.podTemplate.labels.Cost/x",
        "'Cost/x' is no key of a label",
        admitted=True,
    ),
    demand("huge rate", {RPS: 1e30}, RPS, "1000000"),
    demand("text as rate", {RPS: "25"}, RPS, "'25' is refused: Expected a number"),
    demand("boolean as rate", {RPS: True}, RPS, "True is refused: Expected a number"),
    demand("no source", {RPS: DELETE}, "spec.demand", "none given: give requestsPerSecond, or"),
    demand(
        "two sources", {"spec.demand.prometheus": {"query": "up"}}, "spec.demand", "requestsPerSecond and prometheus"
    ),
    demand("counted and fixed", {"spec.demand.router": {}}, "spec.demand", "requestsPerSecond and router"),
    demand(
        "counted and measured",
        {"spec.demand.router": {}},
        "spec.demand",
        "prometheus and router",
        make=samples.measured_demand,
    ),
    demand(
        "minimum above maximum where counted",
        {"spec.demand.router.minimum": 900.0},
        "spec.demand.router.minimum",
        "900 is more than maximum, 500",
        make=samples.counted_demand,
    ),
    demand(
        "minimum above maximum",
        {"spec.demand.prometheus.minimum": 900.0},
        "spec.demand.prometheus.minimum",
        "900 is more than maximum, 500",
        make=samples.measured_demand,
    ),
    demand(
        "long query",
        {"spec.demand.prometheus.query": "q" * 4097},
        "spec.demand.prometheus.query",
        "4096",
        make=samples.measured_demand,
    ),
    demand(
        "window too long",
        {"spec.demand.prometheus.window": "25h"},
        "spec.demand.prometheus.window",
        "between 10m and 24h",
        make=samples.measured_demand,
    ),
    demand(
        "no floors",
        {"spec.demand.schedule": {}},
        "spec.demand.schedule",
        "give floors, or a base above 0",
        make=samples.scheduled_demand,
    ),
    demand(
        "bad time of day",
        {"spec.demand.schedule.floors": FLOORS},
        "spec.demand.schedule.floors[0].start",
        "'8:00'",
        make=samples.scheduled_demand,
    ),
    demand("no spec", {"spec": {}}, "spec.model", "missing"),
    demand(
        "unknown field",
        {"spec.demand.requestPerSecond": 1},
        "spec.demand.requestPerSecond",
        "did you mean requestsPerSecond?",
    ),
    demand("long name", {"metadata.name": "a" * 41}, "metadata.name", "at most 40"),
    demand("name that starts with a digit", {"metadata.name": "3b"}, "metadata.name", "starting with a letter"),
    demand("name with a dot", {"metadata.name": "a.b"}, "metadata.name", "'a.b'"),
    demand("fleet with capitals", {"spec.fleet": "Gold"}, "spec.fleet", "'Gold' is refused"),
    demand("served name with a space", {"spec.model.servedName": "my model"}, "spec.model.servedName", "'my model'"),
    demand("alias with a space", {"spec.model.aliases": ["my model"]}, "spec.model.aliases[0]", "'my model'"),
    demand("alias given twice", {"spec.model.aliases": ["a", "a"]}, "spec.model.aliases[1]", "twice"),
    demand("served name too long", {"spec.model.servedName": "m" * 129}, "spec.model.servedName", "128"),
    demand(
        "unknown quantisation",
        {"spec.model.quantisations": ["int3"]},
        "spec.model.quantisations[0]",
        "use one of bf16, fp8, mxfp4",
    ),
    demand("quantisation twice", {"spec.model.quantisations": ["fp8", "fp8"]}, "spec.model.quantisations[1]", "twice"),
    demand("weights by an unknown scheme", {"spec.model.weights": "ftp://x"}, "spec.model.weights", "'ftp://x'"),
    demand("no architecture", {"spec.model.architecture": {}}, "spec.model.architecture", "exactly one"),
    demand("two architectures", {CONFIG: samples.CONFIG}, "spec.model.architecture", "exactly one"),
    demand(
        "unknown architecture",
        {"spec.model.architecture.name": "Qwen/Qwen3-33B"},
        "spec.model.architecture.name",
        "Qwen/Qwen3-32B",
        reason=Reason.UNKNOWN_ARCHITECTURE,
        admitted=True,
    ),
    demand(
        "inline without weights",
        {"spec.model.weights": ""},
        "spec.model.weights",
        "must be set",
        make=samples.inline_demand,
    ),
    demand(
        "no layers",
        {f"{CONFIG}.numHiddenLayers": 0},
        f"{CONFIG}.numHiddenLayers",
        "0 is refused",
        make=samples.inline_demand,
    ),
    demand(
        "experts without width",
        {f"{CONFIG}.moeIntermediateSize": 0},
        f"{CONFIG}.numExperts",
        "moeIntermediateSize",
        make=samples.inline_demand,
    ),
    demand(
        "more experts per token than experts",
        {f"{CONFIG}.numExpertsPerTok": 129},
        f"{CONFIG}.numExpertsPerTok",
        "129 is more than numExperts, 128",
        make=samples.inline_demand,
    ),
    demand(
        "more KV heads than heads",
        {f"{CONFIG}.numKeyValueHeads": 33},
        f"{CONFIG}.numKeyValueHeads",
        "33 does not divide numAttentionHeads, 32",
        make=samples.inline_demand,
    ),
    demand(
        "KV heads that do not divide the heads",
        {f"{CONFIG}.numKeyValueHeads": 5},
        f"{CONFIG}.numKeyValueHeads",
        "5 does not divide numAttentionHeads, 32",
        make=samples.inline_demand,
    ),
    demand(
        "heads far wider than the model",
        {f"{CONFIG}.headDim": 1024},
        f"{CONFIG}.headDim",
        "32 heads of 1024 are 32768 wide",
        make=samples.inline_demand,
    ),
    demand(
        "heads far narrower than the model",
        {f"{CONFIG}.headDim": 4},
        f"{CONFIG}.headDim",
        "mend numAttentionHeads, headDim or hiddenSize",
        make=samples.inline_demand,
    ),
    demand(
        "requests longer than the context",
        {"spec.demand.workload.input.mean": 200_000},
        "spec.demand.workload",
        "200,211 tokens, more than the 40,960 that Qwen/Qwen3-32B takes",
        admitted=True,
    ),
    demand(
        "more full layers than layers",
        {f"{CONFIG}.fullAttentionLayers": 49},
        f"{CONFIG}.fullAttentionLayers",
        "49 is more",
        make=samples.inline_demand,
    ),
    demand(
        "more dense layers than layers",
        {f"{CONFIG}.firstKDenseReplace": 49},
        f"{CONFIG}.firstKDenseReplace",
        "49 is more",
        make=samples.inline_demand,
    ),
    demand(
        "width of experts without experts",
        {f"{CONFIG}.numExperts": 0, f"{CONFIG}.numExpertsPerTok": 0},
        f"{CONFIG}.moeIntermediateSize",
        "without numExperts: give numExperts, or leave it out",
        make=samples.inline_demand,
    ),
    demand(
        "full layers without a window",
        {f"{CONFIG}.fullAttentionLayers": 8, f"{CONFIG}.slidingWindow": 0},
        f"{CONFIG}.fullAttentionLayers",
        "8 is given without slidingWindow",
        make=samples.inline_demand,
    ),
    demand(
        "head width that does not divide",
        {f"{CONFIG}.headDim": 0, f"{CONFIG}.hiddenSize": 2049},
        f"{CONFIG}.headDim",
        "set it",
        make=samples.inline_demand,
    ),
    demand("no mean", {"spec.demand.workload.input.mean": 0}, "spec.demand.workload.input.mean", "0 is refused"),
    demand("negative variation", {"spec.demand.workload.output.cv": -0.1}, "spec.demand.workload.output.cv", "-0.1"),
    demand(
        "hit rate above one", {"spec.demand.workload.prefixHitRate": 1.1}, "spec.demand.workload.prefixHitRate", "1.1"
    ),
    demand("time without unit", {"spec.objectives.ttft": "1200"}, "spec.objectives.ttft", "such as 1200ms"),
    demand("number as time", {"spec.objectives.ttft": 1200}, "spec.objectives.ttft", "1200 is refused: Expected text"),
    demand("time of zero", {"spec.objectives.tpot": "0ms"}, "spec.objectives.tpot", "between 1ms and 10s"),
    demand("time of a year", {"spec.objectives.ttft": "8760h"}, "spec.objectives.ttft", "between 1ms and 10m"),
    demand("negative time", {"spec.objectives.ttft": "-1s"}, "spec.objectives.ttft", "'-1s'"),
    demand("percentile of 100", {"spec.objectives.percentile": 100}, "spec.objectives.percentile", "100 is refused"),
    demand("negative priority", {"spec.priority": -1}, "spec.priority", "-1 is refused"),
    demand("fractional priority", {"spec.priority": 1.5}, "spec.priority", "an integer"),
    demand(
        "preference not allowed",
        {"spec.placement.preference": ["reserved"]},
        "spec.placement.preference",
        "reserved is preferred",
        reason=CONTRADICTORY,
    ),
    demand(
        "spot only and little spot",
        {"spec.placement.capacityTypes": ["spot"], "spec.placement.preference": [], "spec.placement.spotShare": 0},
        "spec.placement.spotShare",
        "spot only",
        reason=CONTRADICTORY,
    ),
    demand(
        "more domains than replicas",
        {"spec.placement.minDomains": 4},
        "spec.placement.minDomains",
        "4 is more than minReplicas, 3",
        reason=CONTRADICTORY,
    ),
    demand("spot share above one", {"spec.placement.spotShare": 1.5}, "spec.placement.spotShare", "1.5"),
    demand(
        "unknown capacity type",
        {"spec.placement.capacityTypes": ["cheap"]},
        "spec.placement.capacityTypes[0]",
        "use one of on-demand, spot, reserved",
    ),
    demand(
        "unknown GPU kind",
        {"spec.placement.gpuKinds": ["H100"]},
        "spec.placement.gpuKinds[0]",
        "H100-80GB",
        admitted=True,
    ),
    demand("unknown engine", {"spec.engine.name": "tgi"}, "spec.engine.name", "use one of vllm, sglang"),
    demand("sglang without image", {"spec.engine.image": ""}, "spec.engine.image", "must be set"),
    demand("variable with two values", {"spec.engine.env.1.value": "x"}, "spec.engine.env[1]", "not both"),
    demand("variable twice", {"spec.engine.env.1.name": "A"}, "spec.engine.env[1]", "twice"),
    demand(
        "privileged overlay",
        {"spec.engine.podTemplate.hostNetwork": True},
        "spec.engine.podTemplate.hostNetwork",
        "no such field",
    ),
    demand(
        "host path",
        {"spec.engine.podTemplate.volumes.0.hostPath": {"path": "/"}},
        "spec.engine.podTemplate.volumes[0].hostPath",
        "no such field",
    ),
    demand(
        "volume of two kinds",
        {"spec.engine.podTemplate.volumes.0.emptyDir": {}},
        "spec.engine.podTemplate.volumes[0]",
        "exactly one",
    ),
    demand("cpu that is no quantity", {"spec.engine.podTemplate.cpu": "four"}, "spec.engine.podTemplate.cpu", "'four'"),
    demand(
        "label value with a space",
        {"spec.engine.podTemplate.labels": {"a": "b c"}},
        "spec.engine.podTemplate.labels[...]",
        "b c",
    ),
    pool("negative price", {"spec.offerings.0.price": -0.1}, "spec.offerings[0].price", "-0.1"),
    pool("absurd price", {"spec.offerings.0.price": 1e6}, "spec.offerings[0].price", "10000"),
    pool("negative limit", {"spec.offerings.0.maxNodes": -1}, "spec.offerings[0].maxNodes", "-1"),
    pool("no offerings", {"spec.offerings": []}, "spec.offerings", "[]"),
    pool("offering twice", {"spec.offerings.1.capacityType": "spot"}, "spec.offerings[1]", "twice"),
    pool("no GPUs", {"spec.gpu.count": 0}, "spec.gpu.count", "0 is refused"),
    pool("unknown GPU kind", {"spec.gpu.kind": "H100"}, "spec.gpu.kind", "H100-80GB", admitted=True),
    pool(
        "instance type with other GPUs", {"spec.gpu.count": 2}, "spec.gpu", "g6.xlarge has 1 x L4-24GB", admitted=True
    ),
    pool(
        "unknown instance type",
        {"spec.instanceType": "g6.huge", "spec.allocatable": DELETE},
        "spec.instanceType",
        "set spec.allocatable",
        admitted=True,
    ),
    pool(
        "neither instance type nor resources",
        {"spec.instanceType": "", "spec.allocatable": DELETE},
        "spec.allocatable",
        "must be set",
    ),
    pool(
        "price missing",
        {"spec.provisioning": "Autoscaler", "spec.region": "mars-1", "spec.offerings.1.price": DELETE},
        "spec.offerings[1].price",
        "set the price",
        reason=Reason.PRICE_MISSING,
        admitted=True,
    ),
    pool(
        "price missing without instance type",
        {"spec.provisioning": "Autoscaler", "spec.instanceType": "", "spec.offerings.1.price": DELETE},
        "spec.offerings[1].price",
        "set the price",
        reason=Reason.PRICE_MISSING,
    ),
    pool("a network of bits", {"spec.bandwidth": {"network": 100}}, "spec.bandwidth.network", "at least 1M"),
    pool("no disk", {"spec.bandwidth": {"disk": "0"}}, "spec.bandwidth.disk", "at least 1M"),
    pool("a cache that is the disk", {"spec.weightsCache.hostPath": "/mnt"}, "spec.weightsCache.hostPath", "/mnt"),
    pool("a cache elsewhere", {"spec.weightsCache.hostPath": "/a/../b"}, "spec.weightsCache.hostPath", "/a/../b"),
    *(
        pool(
            f"a cache in {folder}",
            {"spec.weightsCache.hostPath": folder},
            "spec.weightsCache.hostPath",
            f"'{folder}' given",
        )
        for folder in (
            *("/etc/kubernetes", "/var/lib/kubelet", "/var/lib/kubelet/pods", "/var/lib", "/proc/sys", "/sys/fs"),
            *("/usr/lib", "/bin/weights", "/root/weights", "/dev/nvme0", "/var/run/secrets"),
        )
    ),
    *(
        pool(f"a cache at {path}", {"spec.weightsCache.hostPath": path}, "spec.weightsCache.hostPath", path)
        for path in ("/", "/etc", "/root", "mnt/weights", "./mnt/weights", "/mnt/../etc", "/mnt/weights/..")
    ),
    pool(
        "a feed that is too old before it is asked again",
        {"spec.feed.interval": "20m", "spec.feed.staleAfter": "10m"},
        "spec.feed.interval",
        "20m given, but what was heard is too old after staleAfter, 10m",
    ),
    pool(
        "a feed that is too old when it is asked again",
        {"spec.feed.interval": "10m", "spec.feed.staleAfter": "600s"},
        "spec.feed.interval",
        "ask more often, or raise staleAfter",
    ),
    pool(
        "a default interval", {"spec.feed": {"url": "http://f/", "staleAfter": "5m"}}, "spec.feed.interval", "5m given"
    ),
    pool(
        "a line break",
        {"spec.weightsCache.hostPath": "/mnt/a\n"},
        "spec.weightsCache.hostPath",
        "remove the line break",
    ),
    pool(
        "a line break in a label", {"spec.nodeSelector": {"a": "b\n"}}, "spec.nodeSelector.a", "remove the line break"
    ),
    pool(
        "a key that no label has",
        {"spec.nodeSelector": {"a b": "c"}},
        "spec.nodeSelector['a b']",
        "'a b' is no key of a label",
        admitted=True,
    ),
    pool(
        "an offering's key that no label has",
        {"spec.offerings.0.nodeSelector": {"a/b/c": "d"}},
        "spec.offerings[0].nodeSelector.a/b/c",
        "'a/b/c' is no key of a label",
        admitted=True,
    ),
    pool("start-up time too long", {"spec.startup": "3h"}, "spec.startup", "between 0s and 2h"),
    pool("unknown provisioning", {"spec.provisioning": "Magic"}, "spec.provisioning", "Autoscaler, Fixed"),
    pool("unknown toleration operator", {"spec.tolerations.0.operator": "In"}, "spec.tolerations[0].operator", "'In'"),
    pool(
        "too many offerings",
        {"spec.offerings": [{"zone": f"z{i}", "capacityType": "spot", "price": 1, "maxNodes": 1} for i in range(65)]},
        "spec.offerings",
        "64",
    ),
    demand("unknown loss", {"spec.placement.survive.loss": "region"}, "spec.placement.survive.loss", "zone"),
    demand("survival of nothing", {"spec.placement.survive.share": 0}, "spec.placement.survive.share", "0.01"),
    fleet("unknown mode", {"spec.mode": "Auto"}, "spec.mode", "Automatic, Recommend, Paused"),
    fleet("no store", {"spec.loading.storeBandwidth": "1k"}, "spec.loading.storeBandwidth", "at least 1M"),
    fleet("image too late", {"spec.loading.image": "3h"}, "spec.loading.image", "between 0s and 2h"),
    fleet("negative budget", {"spec.budgetPerHour": -1}, "spec.budgetPerHour", "-1"),
    fleet(
        "namespace with two quotas",
        {"spec.quotas": [{"namespace": "a", "gpus": 1}, {"namespace": "a", "gpus": 2}]},
        "spec.quotas[1]",
        "given twice",
    ),
    fleet("negative quota", {"spec.quotas": [{"namespace": "a", "gpus": -1}]}, "spec.quotas[0].gpus", "-1"),
    fleet("no deadline", {"spec.solve.deadline": "0s"}, "spec.solve.deadline", "between 100ms and 10m"),
    fleet(
        "endpoints without any",
        {"spec.router.acknowledgement.endpoints": []},
        "spec.router.acknowledgement.endpoints",
        "at least one",
    ),
    fleet(
        "endpoint that is no URL",
        {"spec.router.acknowledgement.endpoints": ["file:///etc/passwd"]},
        "spec.router.acknowledgement.endpoints[0]",
        "file:",
    ),
    fleet(
        "endpoint with a password, which conditions of demands would show",
        {"spec.router.acknowledgement.endpoints": ["http://me:secret@router:9901"]},
        "spec.router.acknowledgement.endpoints[0]",
        "http:",
    ),
    fleet(
        "router memory too small",
        {"spec.router.memory": "64Mi"},
        "spec.router.memory",
        "less than 256Mi",
    ),
    fleet(
        "requests too large",
        {"spec.router.maxRequestSize": "2Gi"},
        "spec.router.maxRequestSize",
        "between 1Mi and 1Gi",
    ),
    fleet(
        "gateways without any",
        {"spec.router.target": "GatewayAPI", "spec.router.gateway.parents": []},
        "spec.router.gateway.parents",
        "at least one Gateway",
    ),
    fleet("no worker", {"spec.router.workers": 0}, "spec.router.workers", "0"),
    fleet("unknown balancing", {"spec.router.balancing": "RoundRobin"}, "spec.router.balancing", "RoundRobin"),
    fleet("too many retries", {"spec.router.retries": 11}, "spec.router.retries", "11"),
    fleet("health of no time", {"spec.router.health.timeout": "1ms"}, "spec.router.health.timeout", "between 50ms"),
    fleet("unknown discovery", {"spec.poolDiscovery": "Sometimes"}, "spec.poolDiscovery", "Sometimes"),
    fleet("no history", {"spec.planHistory": 0}, "spec.planHistory", "0 is refused"),
    fleet("name too long", {"metadata.name": "a" * 41}, "metadata.name", "at most 40"),
    profile("step of no time", {"spec.points.0.milliseconds": 0}, "spec.points[0].milliseconds", "0 is refused"),
    profile("no decode step", {"spec.points.0.phase": "Prefill"}, "spec.points", "at least one Decode"),
    profile("width that nobody plans", {"spec.tp": 3}, "spec.tp", "3 given, but sglang is planned with 1, 2, 4, 8"),
    profile("unknown GPU kind", {"spec.gpuKind": "H100"}, "spec.gpuKind", "H100-80GB", admitted=True),
)
