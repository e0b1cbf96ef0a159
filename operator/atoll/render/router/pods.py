"""What the router's pods and Service are to be in this cluster, beside what a Fleet says of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from atoll.render.overlay import prune


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterPods:
    """Settings of the router's workload; the chart's values ``router`` and ``global``. Kubernetes' own objects as JSON.

    Attributes:
        image: of Envoy, where the Fleet names none.
        replicas: where the Fleet names none; 0 for no router.
        autoscaled: a HorizontalPodAutoscaler sets the number of pods: that of the live Deployment is left as it is.
        image_pull_secrets: LocalObjectReferences.
        pod_annotations: more annotations of the pods.
        pod_labels: more labels of the pods; ours win.
        node_selector: labels that nodes must have.
        tolerations: of taints.
        affinity: of the pods; empty for none.
        priority_class_name: of the pods; empty for the cluster's default.
        service_type: of the Service.
        service_annotations: of the Service.
    """

    image: str = "envoyproxy/envoy:v1.40.0"
    replicas: int = 2
    autoscaled: bool = False
    image_pull_secrets: tuple[Mapping[str, str], ...] = ()
    pod_annotations: Mapping[str, str] = field(default_factory=dict)
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    affinity: Mapping[str, Any] = field(default_factory=dict)
    priority_class_name: str = ""
    service_type: str = "ClusterIP"
    service_annotations: Mapping[str, str] = field(default_factory=dict)

    def placement(self) -> dict[str, Any]:
        """Those fields of a PodSpec that are set, and nothing for the others."""
        return prune(
            {
                "imagePullSecrets": list(self.image_pull_secrets),
                "nodeSelector": dict(self.node_selector),
                "tolerations": list(self.tolerations),
                "affinity": self.affinity,
                "priorityClassName": self.priority_class_name,
            }
        )
