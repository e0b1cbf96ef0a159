"""How a Fleet routes requests."""

from typing import Annotated, ClassVar

from msgspec import Meta

from atoll.api.v1alpha1.base import (
    Duration,
    ObjectName,
    Quantity,
    Rule,
    Schema,
    between,
    describe,
)
from atoll.domain.fleet import AccessLog, Acknowledgement, Balancing, RouterTarget


class AcknowledgementSettings(Schema, frozen=True, kw_only=True):
    """Where the versions that routers have taken are read."""

    mode: Annotated[Acknowledgement, describe("Pods, Endpoints (those listed) or None.")] = Acknowledgement.PODS
    endpoints: Annotated[
        Annotated[tuple[Annotated[str, Meta(pattern="^http://[^/@]+/?$", max_length=256)], ...], Meta(max_length=16)],
        describe("Base URLs of Envoy's read-only listeners, for Endpoints.", list_type="set"),
    ] = ()

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.mode != 'Endpoints' || size(self.endpoints) > 0", "mode Endpoints needs at least one endpoint"),
    )


class GatewayParent(Schema, frozen=True, kw_only=True):
    """A Gateway that HTTPRoutes attach to."""

    name: Annotated[ObjectName, describe("Name of the Gateway.")]
    namespace: Annotated[
        Annotated[str, Meta(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)],
        describe("Namespace of the Gateway; its listeners must allow routes from the namespaces of the demands."),
    ]
    section_name: Annotated[
        Annotated[str, Meta(pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", max_length=253)],
        describe("One listener of it; empty: all."),
    ] = ""


class GatewaySettings(Schema, frozen=True, kw_only=True):
    """How HTTPRoutes of the Gateway API are written."""

    parents: Annotated[
        Annotated[tuple[GatewayParent, ...], Meta(max_length=8)],
        describe("Gateways that they attach to.", list_type="map", list_map_keys=["namespace", "name", "sectionName"]),
    ] = ()
    hostnames: Annotated[
        Annotated[
            tuple[
                Annotated[
                    str,
                    Meta(
                        pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
                        max_length=253,
                    ),
                ],
                ...,
            ],
            Meta(max_length=16),
        ],
        describe("Host names that they match; empty: all of the Gateway.", list_type="set"),
    ] = ()
    model_header: Annotated[
        Annotated[str, Meta(pattern="^[A-Za-z0-9-]+$", min_length=1, max_length=128)],
        describe(
            "Header that names the served model, since HTTPRoutes do not read bodies: body-based routing of the "
            "Gateway API Inference Extension, or the client, sets it."
        ),
    ] = "X-Gateway-Model-Name"
    request_timeout: Annotated[
        Annotated[str, Meta(pattern="^(([0-9]{1,5}(h|m|s|ms)){1,4})?$", max_length=32)],
        describe("Time-out of the rules; 0s: none. Empty: none is written, for Gateways that refuse the field."),
    ] = "0s"


class RouterHealthSettings(Schema, frozen=True, kw_only=True):
    """How soon a replica that does not answer is left out."""

    interval: Annotated[Duration, describe("Between two checks of one replica.", between("100ms", "1m"))] = "500ms"
    timeout: Annotated[Duration, describe("In which a check must be answered.", between("50ms", "1m"))] = "400ms"
    failures: Annotated[
        Annotated[int, Meta(ge=1, le=100)], describe("Checks failed in a row that take a replica out.")
    ] = 1


class RouterSettings(Schema, frozen=True, kw_only=True):
    """How requests reach replicas."""

    target: Annotated[
        RouterTarget,
        describe(
            "What carries requests: Atoll's own Envoy, Gateways of the cluster by HTTPRoutes (GatewayAPI), or Both, to "
            "move clients from one to the other."
        ),
    ] = RouterTarget.ENVOY
    gateway: Annotated[GatewaySettings, describe("How HTTPRoutes are written, for GatewayAPI and Both.")] = (
        GatewaySettings()
    )
    replicas: Annotated[
        Annotated[int, Meta(ge=0, le=100)] | None,
        describe("Router pods; 0 where Atoll runs none; absent: the chart's router.replicas."),
    ] = None
    image: Annotated[
        Annotated[str, Meta(min_length=1, max_length=512)] | None,
        describe("Envoy image; absent: the chart's router.image."),
    ] = None
    workers: Annotated[Annotated[int, Meta(ge=1, le=256)], describe("Threads of a router pod that carry requests.")] = 2
    cpu: Annotated[Quantity, describe("CPU that a router pod asks for.")] = "500m"
    memory: Annotated[
        Quantity,
        describe(
            "Memory that a router pod may use, at least 256Mi. Near it new requests get 503 with Retry-After.",
            Rule("quantity(string(self)).compareTo(quantity('256Mi')) >= 0", "must be at least 256Mi"),
        ),
    ] = "2Gi"
    acknowledgement: Annotated[
        AcknowledgementSettings, describe("Where the versions that routers have taken are read.")
    ] = AcknowledgementSettings()
    drain: Annotated[
        Duration,
        describe(
            "Time that routers get to learn of replicas: from Ready until others may go, and from taking one out to "
            "stopping it.",
            between("0s", "10m"),
        ),
    ] = "15s"
    grace: Annotated[
        Duration, describe("Longest generation that a stopping engine may finish.", between("0s", "2h"))
    ] = "5m"
    balancing: Annotated[
        Balancing,
        describe(
            "LeastRequest: capacity divided by requests in flight. Capacity: shares of capacity, whatever is in flight."
        ),
    ] = Balancing.LEAST_REQUEST
    retries: Annotated[
        Annotated[int, Meta(ge=0, le=10)],
        describe("Times that a request which got no answer at all, or 503, is sent to another replica."),
    ] = 2
    max_request_size: Annotated[
        Quantity,
        describe(
            "Largest body of a request, 1Mi to 1Gi, kept in memory while it is read; beyond it 413.",
            Rule(
                "quantity(string(self)).compareTo(quantity('1Mi')) >= 0"
                " && quantity(string(self)).compareTo(quantity('1Gi')) <= 0",
                "must be between 1Mi and 1Gi",
            ),
        ),
    ] = "32Mi"
    max_concurrent_requests: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)],
        describe("Requests in flight per served model and router pod; beyond it 429 with Retry-After."),
    ] = 100_000
    upload_timeout: Annotated[
        Duration, describe("In which a whole request must have come; beyond it 408.", between("1s", "1h"))
    ] = "1m"
    silence_timeout: Annotated[
        Duration,
        describe(
            "After which a request without a byte in either direction is cut. An answer that does not stream is silent "
            "for the whole generation.",
            between("1s", "24h"),
        ),
    ] = "1h"
    trusted_hops: Annotated[
        Annotated[int, Meta(ge=0, le=16)],
        describe("Proxies in front of the router whose X-Forwarded-For is believed, for the log and for engines."),
    ] = 0
    health: Annotated[RouterHealthSettings, describe("How soon a replica that does not answer is left out.")] = (
        RouterHealthSettings()
    )
    access_log: Annotated[
        AccessLog, describe("Requests that a router pod writes as JSON lines: All, Errors (400 and above) or None.")
    ] = AccessLog.ALL
    token_metrics: Annotated[
        bool,
        describe(
            "Router pods count tokens by demand, from the usage that engines tell. They then hold each JSON answer, of "
            "at most maxRequestSize, until it is whole; streams stay as they are."
        ),
    ] = False

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.target == 'Envoy' || size(self.gateway.parents) > 0", "target GatewayAPI needs gateway.parents"),
    )
