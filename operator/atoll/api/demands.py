"""ModelDemand to the domain's Demand."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time
from math import isfinite
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from atoll.api.decode import check_label_keys, decode, invalid, metadata, shown
from atoll.api.quantities import seconds
from atoll.api.schema import sparse
from atoll.api.v1alpha1.demandsource import (
    DemandSource,
    MeasuredDemand,
    PrometheusDemand,
    ScheduledDemand,
    WorkloadShape,
)
from atoll.api.v1alpha1.engine import EngineChoice, PodOverlay
from atoll.api.v1alpha1.modeldemand import ModelDemandSpec, PlacementLimits
from atoll.api.v1alpha1.servedmodel import ArchitectureConfig, ServedModel
from atoll.catalogue.architectures import architecture
from atoll.catalogue.gpus import gpu_kind
from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.demand import QUEUE_LABEL, Demand, DemandKey, Engine, Placement
from atoll.domain.gpu import CapacityType
from atoll.domain.objects import MODEL_DEMAND
from atoll.domain.reason import InvalidObjectError, Reason
from atoll.domain.signal import DemandSignal, Floor, Schedule
from atoll.domain.strategy import EngineName
from atoll.domain.workload import Lengths, Objectives, Workload

MOST_REQUESTS_PER_SECOND = 1e6
"""As the schema bounds fixed demand; a signal beyond it is a broken signal."""

MOST_HEAD_RATIO = 8
"""All heads together may be so many times wider or narrower than hiddenSize; published models stay within 3."""

_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""Of a Kubernetes object, and so of a LocalQueue (RFC 1123 subdomain); values of labels may be more."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def parse_model_demand(
    obj: object, *, signals: Mapping[DemandKey, float] | None = None, now: datetime | None = None
) -> Demand:
    """Understand one ModelDemand.

    Args:
        obj: any JSON that claims to be one.
        signals: estimates of measured demand, requests/s before head-room and limits, by demand.
        now: the moment that a schedule is read for, with time zone.

    Raises:
        InvalidObjectError: and nothing else; ``InvalidSignal`` where the rate cannot be known now.
    """
    found = metadata(obj, MODEL_DEMAND, longest=40)
    spec = decode(_spec(obj), ModelDemandSpec, "spec")
    key = DemandKey(namespace=found.namespace, name=found.name)
    chosen = _architecture(spec.model)
    workload = _workload(spec.demand.workload)
    _check_context(workload, chosen)
    return Demand(
        key=key,
        uid=found.uid,
        generation=found.generation,
        created=found.created,
        fleet=spec.fleet,
        served_name=spec.model.served_name,
        aliases=spec.model.aliases,
        architecture=chosen,
        weights=spec.model.weights or f"hf://{chosen.name}",
        quantisations=spec.model.quantisations or (chosen.native,),
        rate=_rate(spec.demand, key, {} if signals is None else signals, now),
        signal=_signal(spec.demand),
        workload=workload,
        objectives=Objectives(
            ttft_seconds=seconds(spec.objectives.ttft),
            tpot_seconds=seconds(spec.objectives.tpot),
            percentile=spec.objectives.percentile,
        ),
        priority=spec.priority,
        placement=_placement(spec.placement),
        engine=_engine(spec.engine),
        queue=_queue(obj),
    )


def parse_demand_signal(obj: object) -> DemandSignal | None:
    """How a ModelDemand is measured; None where it is not, or where no other part of it matters: it is at fault."""
    try:
        return _signal(decode(_spec(obj), ModelDemandSpec, "spec").demand)
    except InvalidObjectError:
        return None


def _queue(obj: object) -> str:
    """The LocalQueue that the object's label names, as on everything that Kueue queues."""
    labels = obj["metadata"].get("labels") if isinstance(obj, Mapping) else None
    queue = labels.get(QUEUE_LABEL, "") if isinstance(labels, Mapping) else ""
    if not isinstance(queue, str) or not queue:
        return ""
    if not _OBJECT_NAME.fullmatch(queue):
        raise invalid(
            f"metadata.labels.{QUEUE_LABEL}",
            f"{shown(queue)} given, but no LocalQueue can be called so: lower-case letters, digits, - and ., first and"
            " last a letter or digit",
        )
    return queue


def _spec(obj: object) -> object:
    return obj.get("spec", {}) if isinstance(obj, Mapping) else {}


def _architecture(model: ServedModel) -> Architecture:
    name, config = model.architecture.name, model.architecture.config
    field = "spec.model.architecture"
    if (name is None) == (config is None):
        raise invalid(field, "give exactly one of name and config")
    if name is not None:
        return _as_published(model, architecture(name, field=f"{field}.name"))
    if not model.weights:
        raise invalid("spec.model.weights", "must be set where the architecture is given inline")
    assert config is not None  # noqa: S101  # for the type checker
    _check_config(config, f"{field}.config")
    return Architecture(
        name=model.served_name,
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads or config.num_attention_heads,
        head_dim=config.head_dim or config.hidden_size // config.num_attention_heads,
        ffn=config.intermediate_size,
        vocabulary=config.vocab_size,
        moe_ffn=config.moe_intermediate_size,
        experts=config.num_experts,
        experts_per_token=config.num_experts_per_tok,
        shared_experts=config.n_shared_experts,
        dense_layers=config.first_k_dense_replace,
        kv_lora_rank=config.kv_lora_rank,
        sliding_window=config.sliding_window,
        full_attention_layers=config.full_attention_layers,
        native=config.native,
        max_context=config.max_position_embeddings,
        tied_embedding=config.tie_word_embeddings,
    )


def _as_published(model: ServedModel, known: Architecture) -> Architecture:
    """The architecture as the weights of the URI hold it: int4 alone can only mean that they are published so."""
    packed = model.weights and model.quantisations == (Quantisation.INT4,)
    return replace(known, native=Quantisation.INT4) if packed else known


def _check_config(config: ArchitectureConfig, field: str) -> None:
    """The rules of ArchitectureConfig, for objects that have met no API server."""
    if config.num_experts and not (config.num_experts_per_tok and config.moe_intermediate_size):
        raise invalid(
            f"{field}.numExperts", "a mixture of experts needs numExpertsPerTok and moeIntermediateSize above 0"
        )
    for small, large in (
        ("num_experts_per_tok", "num_experts"),
        ("full_attention_layers", "num_hidden_layers"),
        ("first_k_dense_replace", "num_hidden_layers"),
    ):
        if getattr(config, small) > getattr(config, large):
            names = {item.name: item.encode_name for item in msgspec.structs.fields(config)}
            raise invalid(
                f"{field}.{names[small]}",
                f"{getattr(config, small)} is more than {names[large]}, {getattr(config, large)}",
            )
    for part, whole in (
        ("moe_intermediate_size", "num_experts"),
        ("n_shared_experts", "num_experts"),
        ("first_k_dense_replace", "num_experts"),
        ("full_attention_layers", "sliding_window"),
    ):
        if getattr(config, part) and not getattr(config, whole):
            names = {item.name: item.encode_name for item in msgspec.structs.fields(config)}
            raise invalid(
                f"{field}.{names[part]}",
                f"{getattr(config, part)} is given without {names[whole]}: give {names[whole]}, or leave it out",
            )
    _check_heads(config, field)


def _check_heads(config: ArchitectureConfig, field: str) -> None:
    heads, kv_heads, hidden = config.num_attention_heads, config.num_key_value_heads, config.hidden_size
    if kv_heads and heads % kv_heads:
        raise invalid(
            f"{field}.numKeyValueHeads",
            f"{kv_heads} does not divide numAttentionHeads, {heads}: give num_key_value_heads of the config.json, "
            "or 0 for as many as query heads",
        )
    if not config.head_dim and hidden % heads:
        raise invalid(
            f"{field}.headDim",
            f"set it: hiddenSize, {hidden}, is not a multiple of numAttentionHeads, {heads}",
        )
    width = heads * (config.head_dim or hidden // heads)
    if not hidden <= width * MOST_HEAD_RATIO or not width <= hidden * MOST_HEAD_RATIO:
        raise invalid(
            f"{field}.headDim",
            f"{heads} heads of {config.head_dim} are {width} wide, more than {MOST_HEAD_RATIO} times away from "
            f"hiddenSize, {hidden}: mend numAttentionHeads, headDim or hiddenSize",
        )


def _check_context(workload: Workload, chosen: Architecture) -> None:
    """What most requests need must fit the served model's context."""
    prompt, answer = workload.input.mean, workload.output.mean
    if prompt + answer > chosen.max_context:
        raise invalid(
            "spec.demand.workload",
            f"mean input {prompt:,.0f} and output {answer:,.0f} are {prompt + answer:,.0f} tokens, more than the "
            f"{chosen.max_context:,} that {chosen.name} takes: shorten them, or serve a model of longer context",
        )


def _rate(source: DemandSource, key: DemandKey, signals: Mapping[DemandKey, float], now: datetime | None) -> float:
    given = [
        name
        for name, value in (
            ("requestsPerSecond", source.requests_per_second),
            ("prometheus", source.prometheus),
            ("router", source.router),
            ("schedule", source.schedule),
        )
        if value is not None
    ]
    if len(given) != 1 and given not in (["prometheus", "schedule"], ["router", "schedule"]):
        seen = f"{' and '.join(given)} given" if given else "none given"
        raise invalid(
            "spec.demand",
            f"{seen}: give requestsPerSecond, or prometheus, or router, or schedule; only schedule goes beside "
            "prometheus or router",
        )
    if source.requests_per_second is not None:
        return source.requests_per_second
    schedule, signal = _schedule(source.schedule), _signal(source)
    if source.schedule is not None and (now is None or now.tzinfo is None):
        raise invalid("spec.demand.schedule", "cannot be read without the time of day", Reason.INVALID_SIGNAL)
    if signal is None:
        assert now is not None  # noqa: S101  # for the type checker
        return schedule.rate(now)
    field = f"spec.demand.{'router' if signal.counted else 'prometheus'}"
    if signal.minimum > signal.maximum:
        raise invalid(f"{field}.minimum", f"{signal.minimum:g} is more than maximum, {signal.maximum:g}: mend one")
    estimate = signals.get(key)
    if estimate is None:
        raise invalid(
            field, "nothing is known of this demand yet: see condition Measured for why", Reason.INVALID_SIGNAL
        )
    if not (isfinite(estimate) and 0.0 <= estimate <= MOST_REQUESTS_PER_SECOND):
        raise invalid(
            field,
            f"gave {estimate!r}: expected 0 to {MOST_REQUESTS_PER_SECOND:,.0f} requests/s",
            Reason.INVALID_SIGNAL,
        )
    return signal.planned(estimate, now) if now is not None else signal.unscheduled(estimate)


def _signal(source: DemandSource) -> DemandSignal | None:
    asked: MeasuredDemand | None = source.prometheus or source.router
    if asked is None:
        return None
    query = asked if isinstance(asked, PrometheusDemand) else PrometheusDemand()
    return DemandSignal(
        query=query.query,
        source=query.source,
        counted=source.router is not None,
        window_seconds=seconds(asked.window),
        quantile=asked.quantile,
        headroom=asked.headroom,
        minimum=asked.minimum,
        maximum=asked.maximum,
        stale_seconds=seconds(asked.stale_after),
        schedule=_schedule(source.schedule),
    )


def _schedule(declared: ScheduledDemand | None) -> Schedule:
    if declared is None:
        return Schedule()
    field = "spec.demand.schedule"
    if not declared.floors and declared.base <= 0.0:
        raise invalid(field, "asks for nothing at any time: give floors, or a base above 0")
    try:
        # The default must not hang on a time zone database, which small images lack.
        zone = UTC if declared.time_zone == "UTC" else ZoneInfo(declared.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise invalid(
            f"{field}.timeZone",
            f"{shown(declared.time_zone)} is no name of the IANA time zone database: try Europe/Berlin or UTC",
        ) from error
    return Schedule(
        base=declared.base,
        zone=zone,
        floors=tuple(
            Floor(
                start=time.fromisoformat(floor.start),
                end=time.fromisoformat(floor.end),
                days=frozenset(_DAYS.index(day) for day in floor.days),
                rate=floor.requests_per_second,
            )
            for floor in declared.floors
        ),
    )


def _workload(shape: WorkloadShape) -> Workload:
    return Workload(
        input=Lengths(mean=shape.input.mean, cv=shape.input.cv),
        output=Lengths(mean=shape.output.mean, cv=shape.output.cv),
        prefix_hit_rate=shape.prefix_hit_rate,
        arrival_cv=shape.arrival_cv,
    )


def _placement(limits: PlacementLimits) -> Placement:
    allowed, field = frozenset(limits.capacity_types), "spec.placement"
    stray = [term.value for term in limits.preference if allowed and term not in allowed]
    if stray:
        raise invalid(
            f"{field}.preference",
            f"{', '.join(stray)} is preferred, but capacityTypes allows {', '.join(sorted(allowed))} only",
            Reason.CONTRADICTORY_PLACEMENT,
        )
    if limits.spot_share < 1.0 and allowed == {CapacityType.SPOT}:
        raise invalid(
            f"{field}.spotShare",
            f"{limits.spot_share} asks for other capacity, but capacityTypes allows spot only",
            Reason.CONTRADICTORY_PLACEMENT,
        )
    if 0 < limits.min_replicas < limits.min_domains:
        raise invalid(
            f"{field}.minDomains",
            f"{limits.min_domains} is more than minReplicas, {limits.min_replicas}, and a replica is in one zone",
            Reason.CONTRADICTORY_PLACEMENT,
        )
    for index, name in enumerate(limits.gpu_kinds):
        gpu_kind(name, field=f"{field}.gpuKinds[{index}]")
    return Placement(
        regions=frozenset(limits.regions),
        gpu_kinds=frozenset(limits.gpu_kinds),
        capacity_types=allowed,
        preference=limits.preference,
        spot_share=limits.spot_share,
        min_replicas=limits.min_replicas,
        min_domains=limits.min_domains,
        survive=limits.survive.loss,
        survive_share=limits.survive.share,
    )


def _engine(choice: EngineChoice) -> Engine:
    if choice.name is not EngineName.VLLM and not choice.image:
        raise invalid("spec.engine.image", f"must be set for {choice.name}: Atoll tests no release of it")
    for index, variable in enumerate(choice.env):
        if variable.value is not None and variable.value_from is not None:
            raise invalid(f"spec.engine.env[{index}]", "give one of value and valueFrom, not both")
    _check_overlay(choice.pod_template)
    return Engine(
        name=choice.name,
        image=choice.image or Engine().image,
        args=choice.args,
        env=tuple(sparse(variable) for variable in choice.env),
        pairs=choice.pairs,
        pod_template=sparse(choice.pod_template),
    )


def _check_overlay(overlay: PodOverlay) -> None:
    field = "spec.engine.podTemplate"
    check_label_keys(overlay.labels, f"{field}.labels")
    for index, volume in enumerate(overlay.volumes):
        kinds = (volume.persistent_volume_claim, volume.empty_dir, volume.config_map, volume.secret, volume.csi)
        if sum(kind is not None for kind in kinds) != 1:
            raise invalid(
                f"{field}.volumes[{index}]",
                f"give exactly one of persistentVolumeClaim, emptyDir, configMap, secret and csi for "
                f"{shown(volume.name)}",
            )
