"""PerformanceProfile to the domain's PerformanceProfile."""

from collections.abc import Mapping

from atoll.api.decode import decode, invalid, metadata
from atoll.api.v1alpha1.performanceprofile import PerformanceProfileSpec
from atoll.catalogue.gpus import gpu_kind
from atoll.domain.engineterms import TERMS
from atoll.domain.objects import PERFORMANCE_PROFILE
from atoll.domain.profile import PerformanceProfile, Phase, ProfilePoint


def parse_performance_profile(obj: object) -> PerformanceProfile:
    """Understand one PerformanceProfile.

    Args:
        obj: any JSON that claims to be one.

    Raises:
        InvalidObjectError: and nothing else.
    """
    found = metadata(obj, PERFORMANCE_PROFILE, longest=253, dns_1035=False)
    spec = decode(obj.get("spec", {}) if isinstance(obj, Mapping) else {}, PerformanceProfileSpec, "spec")
    if not any(point.phase is Phase.DECODE for point in spec.points):
        raise invalid("spec.points", "must hold at least one Decode step")
    widths = TERMS[spec.engine].widths
    if spec.tp not in widths:
        known = ", ".join(map(str, widths))
        raise invalid("spec.tp", f"{spec.tp} given, but {spec.engine} is planned with {known}: measure one of them")
    return PerformanceProfile(
        name=found.name,
        architecture=spec.architecture,
        gpu_kind=gpu_kind(spec.gpu_kind, field="spec.gpuKind").name,
        tp=spec.tp,
        quantisation=spec.quantisation,
        engine=spec.engine,
        points=tuple(
            ProfilePoint(
                phase=point.phase,
                sequences=point.sequences,
                tokens=point.tokens,
                seconds=point.milliseconds / 1000.0,
            )
            for point in spec.points
        ),
    )
