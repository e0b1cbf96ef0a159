"""Whole objects of every kind with every field of spec and status set, each to something else than its default."""

from typing import Any

CONDITION = {
    "type": "Ready",
    "status": "True",
    "reason": "Serving",
    "message": "3 replicas serve 25 requests/s",
    "observedGeneration": 4,
    "lastTransitionTime": "2026-11-21T10:00:00Z",
}

TOLERATION = {
    "key": "team",
    "operator": "Equal",
    "value": "chat",
    "effect": "NoExecute",
    "tolerationSeconds": 60,
}

CONFIG = {
    "numHiddenLayers": 48,
    "hiddenSize": 2048,
    "numAttentionHeads": 32,
    "numKeyValueHeads": 4,
    "headDim": 128,
    "intermediateSize": 6144,
    "vocabSize": 151936,
    "moeIntermediateSize": 768,
    "numExperts": 128,
    "numExpertsPerTok": 8,
    "nSharedExperts": 1,
    "firstKDenseReplace": 1,
    "kvLoraRank": 512,
    "slidingWindow": 1024,
    "fullAttentionLayers": 8,
    "maxPositionEmbeddings": 40960,
    "tieWordEmbeddings": True,
    "native": "fp8",
}


def model_demand() -> dict[str, Any]:
    return {
        "apiVersion": "atoll.dev/v1alpha1",
        "kind": "ModelDemand",
        "metadata": {
            "name": "chat",
            "namespace": "team-a",
            "uid": "u-1",
            "generation": 4,
            "creationTimestamp": "2026-11-21T10:00:00Z",
        },
        "spec": {
            "fleet": "gold",
            "model": {
                "name": "Chat",
                "servedName": "team-a-chat",
                "aliases": ["chat"],
                "architecture": {"name": "Qwen/Qwen3-32B"},
                "weights": "pvc://weights/qwen3-32b",
                "quantisations": ["fp8", "bf16"],
            },
            "demand": {
                "requestsPerSecond": 25,
                "workload": {
                    "input": {"mean": 1154.7, "cv": 0.96},
                    "output": {"mean": 211.1, "cv": 0.77},
                    "prefixHitRate": 0.25,
                    "arrivalCv": 1.5,
                },
            },
            "objectives": {"ttft": "1200ms", "tpot": "60ms", "percentile": 90},
            "priority": 100,
            "placement": {
                "regions": ["us-east-2"],
                "gpuKinds": ["H100-80GB", "L40S-48GB"],
                "capacityTypes": ["spot", "on-demand"],
                "preference": ["spot"],
                "spotShare": 0.5,
                "minReplicas": 3,
                "minDomains": 2,
                "survive": {"loss": "zone", "share": 0.8},
            },
            "engine": {
                "name": "sglang",
                "image": "registry.example/sglang:1",
                "args": ["--log-level=debug"],
                "env": [
                    {"name": "A", "value": "b"},
                    {"name": "T", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token", "optional": True}}},
                ],
                "pairs": True,
                "podTemplate": {
                    "labels": {"team": "a"},
                    "annotations": {"note": "b"},
                    "cpu": "4",
                    "memory": "32Gi",
                    "volumes": [
                        {"name": "a", "persistentVolumeClaim": {"claimName": "w", "readOnly": True}},
                        {"name": "b", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
                        {"name": "c", "configMap": {"name": "c", "optional": True}},
                        {"name": "d", "secret": {"secretName": "d", "optional": True}},
                        {"name": "e", "csi": {"driver": "x.y", "readOnly": True, "volumeAttributes": {"k": "v"}}},
                    ],
                    "volumeMounts": [{"name": "a", "mountPath": "/w", "subPath": "s", "readOnly": True}],
                    "imagePullSecrets": [{"name": "pull"}],
                    "serviceAccountName": "engine",
                    "priorityClassName": "high",
                    "runtimeClassName": "nvidia",
                    "tolerations": [TOLERATION],
                },
            },
        },
        "status": {
            "observedGeneration": 4,
            "conditions": [CONDITION],
            "demandRate": 25.0,
            "corrections": [
                {
                    "gpuKind": "H100-80GB",
                    "engine": "vllm",
                    "observed": 1.12,
                    "applied": 1.1,
                    "windows": 40,
                    "until": "2026-11-21T09:50:00Z",
                }
            ],
            "servedRate": 24.0,
            "shortfall": 1.0,
            "costPerHour": 12.5,
            "costPerMillionTokens": 0.125,
            "replicas": 3,
            "readyReplicas": 2,
            "gpuKinds": "H100-80GB,L40S-48GB",
            "strategies": [{"id": "0123456789", "strategy": "2 x L4", "replicas": 3, "readyReplicas": 2, "rate": 8.5}],
            "strategiesTotal": 1,
            "lengths": {"input": 1800.5, "output": 200.0, "differ": ["input"]},
            "measured": {
                "observedRate": 20.0,
                "estimate": 24.5,
                "floor": 2.0,
                "headroomCostPerHour": 2.5,
                "measuredUntil": "2026-11-21T10:00:00Z",
            },
        },
    }


def inline_demand() -> dict[str, Any]:
    """As ``model_demand`` with the architecture inline."""
    found = model_demand()
    found["spec"]["model"]["architecture"] = {"config": dict(CONFIG)}
    return found


def scheduled_demand() -> dict[str, Any]:
    found = model_demand()
    del found["spec"]["demand"]["requestsPerSecond"]
    found["spec"]["demand"]["schedule"] = {
        "timeZone": "Europe/Berlin",
        "base": 2.0,
        "floors": [{"start": "08:00", "end": "20:00", "days": ["Sat"], "requestsPerSecond": 40.0}],
    }
    return found


def measured_demand() -> dict[str, Any]:
    found = model_demand()
    del found["spec"]["demand"]["requestsPerSecond"]
    found["spec"]["demand"]["prometheus"] = {
        "query": "sum(rate(requests[5m]))",
        "source": "Engine",
        "window": "10m",
        "quantile": 0.9,
        "headroom": 0.5,
        "minimum": 1.0,
        "maximum": 500.0,
        "staleAfter": "5m",
    }
    return found


def counted_demand() -> dict[str, Any]:
    """As ``measured_demand``, counted by the router."""
    found = model_demand()
    del found["spec"]["demand"]["requestsPerSecond"]
    found["spec"]["demand"]["router"] = {
        "window": "10m",
        "quantile": 0.9,
        "headroom": 0.5,
        "minimum": 1.0,
        "maximum": 500.0,
        "staleAfter": "5m",
    }
    return found


def gpu_node_pool() -> dict[str, Any]:
    return {
        "apiVersion": "atoll.dev/v1alpha1",
        "kind": "GPUNodePool",
        "metadata": {"name": "l4", "uid": "u-2", "generation": 2},
        "spec": {
            "fleet": "gold",
            "gpu": {"kind": "L4-24GB", "count": 1, "deviceClass": "gpu.nvidia.com"},
            "instanceType": "g6.xlarge",
            "cloud": "aws",
            "region": "us-east-2",
            "nodeSelector": {"pool": "l4"},
            "tolerations": [TOLERATION],
            "offerings": [
                {
                    "zone": "us-east-2a",
                    "capacityType": "spot",
                    "price": 0.5,
                    "maxNodes": 16,
                    "nodeSelector": {"group": "l4-spot"},
                },
                {"zone": "us-east-2a", "capacityType": "on-demand", "price": 1.0, "maxNodes": 8},
            ],
            "feed": {"url": "http://prices.test/feed.json", "interval": "2m", "staleAfter": "30m"},
            "provisioning": "Fixed",
            "startup": "5m",
            "weightsCache": {"hostPath": "/mnt/nvme/weights", "sizeLimit": "500Gi"},
            "bandwidth": {"network": "12500M", "disk": "2G"},
            "allocatable": {"cpu": "3920m", "memory": "14Gi", "ephemeralStorage": "17Gi"},
        },
        "status": {
            "observedGeneration": 2,
            "conditions": [CONDITION],
            "readyNodes": 3,
            "usedNodes": 2,
            "obtainableNodes": 16,
            "costPerHour": 1.5,
            "offerings": [
                {
                    "zone": "us-east-2a",
                    "capacityType": "spot",
                    "readyNodes": 3,
                    "usedNodes": 2,
                    "obtainableNodes": 16,
                    "pricePerHour": 0.5,
                    "priceSource": "Fixed",
                    "maskedUntil": "2026-11-21T11:00:00Z",
                    "maskedReason": "no node came",
                    "strikes": 2,
                }
            ],
        },
    }


def performance_profile() -> dict[str, Any]:
    return {
        "apiVersion": "atoll.dev/v1alpha1",
        "kind": "PerformanceProfile",
        "metadata": {"name": "qwen3-32b-h100", "uid": "u-3", "generation": 1},
        "spec": {
            "architecture": "Qwen/Qwen3-32B",
            "gpuKind": "H100-80GB",
            "tp": 4,
            "quantisation": "fp8",
            "engine": "sglang",
            "points": [
                {"phase": "Decode", "sequences": 8, "tokens": 1024, "milliseconds": 12.5},
                {"phase": "Prefill", "sequences": 1, "tokens": 2048, "milliseconds": 80.0},
            ],
            "source": "measured in the lab",
        },
        "status": {"observedGeneration": 1, "conditions": [CONDITION]},
    }


def fleet() -> dict[str, Any]:
    return {
        "apiVersion": "atoll.dev/v1alpha1",
        "kind": "Fleet",
        "metadata": {"name": "gold", "uid": "u-4", "generation": 3},
        "spec": {
            "mode": "Recommend",
            "budgetPerHour": 250.0,
            "quotas": [{"namespace": "team-a", "gpus": 16}],
            "loading": {"image": "5s", "engine": "2m", "storeBandwidth": "20G"},
            "solve": {
                "deadline": "10s",
                "workBudget": 1000,
                "savingTolerance": 0.05,
                "acceptGap": 0.01,
                "rateConfidence": 0.9,
                "corrections": "Apply",
                "horizon": "2h",
                "baseline": "OneKindPerModel",
                "explain": False,
            },
            "pace": {"maxMoves": 20, "keepWindow": "15m"},
            "pendingTimeout": "3m",
            "router": {
                "target": "Both",
                "gateway": {
                    "parents": [{"name": "public", "namespace": "gateways", "sectionName": "https"}],
                    "hostnames": ["models.example.com"],
                    "modelHeader": "X-Model",
                    "requestTimeout": "1h",
                },
                "replicas": 3,
                "image": "registry.example/envoy:1",
                "acknowledgement": {"mode": "Endpoints", "endpoints": ["http://127.0.0.1:9901"]},
                "drain": "20s",
                "grace": "10m",
                "workers": 4,
                "cpu": "2",
                "memory": "8Gi",
                "balancing": "Capacity",
                "retries": 1,
                "maxRequestSize": "64Mi",
                "maxConcurrentRequests": 500,
                "uploadTimeout": "2m",
                "silenceTimeout": "30m",
                "trustedHops": 1,
                "health": {"interval": "1s", "timeout": "800ms", "failures": 2},
                "accessLog": "Errors",
                "tokenMetrics": True,
            },
            "poolDiscovery": "Always",
            "cost": {
                "labels": ["team"],
                "budgets": [{"by": "label=team", "value": "search", "perHour": 40.0}],
            },
            "planHistory": 5,
        },
        "status": {
            "observedGeneration": 3,
            "conditions": [CONDITION],
            "costPerHour": 100.0,
            "listCostPerHour": 120.0,
            "boundPerHour": 99.0,
            "gap": 0.01,
            "conditional": True,
            "shortfall": 1.5,
            "demands": 6,
            "discoveredPools": 2,
            "discoveryNotes": ["NodePool a: tells no zones"],
            "currentPlan": "gold-0123456789",
            "account": {
                "began": "2026-11-01T10:00:00Z",
                "spent": 48000.5,
                "saved": 12000.25,
                "comparedHours": 400.0,
                "since": "2026-11-21T10:00:00Z",
                "plan": "gold-0123456789",
                "costPerHour": 100.0,
                "baselinePerHour": 130.0,
            },
            "costs": [
                {
                    "by": "label=team",
                    "value": "search",
                    "demands": 3,
                    "costPerHour": 41.5,
                    "costPerMillionTokens": 0.25,
                    "budgetPerHour": 40.0,
                }
            ],
            "inForce": {"generation": 3, "spec": {"mode": "Automatic"}},
            "lastSolve": {
                "time": "2026-11-21T10:00:00Z",
                "seconds": 2.5,
                "solver": "program",
                "trigger": "demand changed",
            },
        },
    }
