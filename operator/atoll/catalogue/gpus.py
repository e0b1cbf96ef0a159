"""GPU kinds by name and by the label that NVIDIA's feature discovery puts on nodes."""

from functools import cache

from atoll.catalogue.tables import rows
from atoll.domain.gpu import GpuKind, Interconnect
from atoll.domain.reason import Fault, InvalidObjectError, Reason


def gpu_kind(name: str, *, field: str = "") -> GpuKind:
    """Look up a GPU kind by its name.

    Args:
        name: such as ``H100-80GB``.
        field: path of the field that carries the name, for the fault.

    Raises:
        InvalidObjectError: with ``InvalidSpec``, naming all known kinds.
    """
    found = known_gpu_kinds().get(name)
    if found is None:
        message = f"'{name}' is no known GPU kind; known: {', '.join(known_gpu_kinds())}"
        raise InvalidObjectError(Fault(reason=Reason.INVALID_SPEC, field=field, message=message))
    return found


@cache
def known_gpu_kinds() -> dict[str, GpuKind]:
    """All GPU kinds by name, smallest first."""
    return {
        row["name"]: GpuKind(
            name=row["name"],
            memory_gib=float(row["memory_gib"]),
            memory_gbps=float(row["memory_gbps"]),
            tflops_bf16=float(row["tflops_bf16"]),
            tflops_fp8=float(row["tflops_fp8"]),
            interconnect=Interconnect(row["interconnect"]),
            interconnect_gbps=float(row["interconnect_gbps"]),
            compute_capability=float(row["compute_capability"]),
        )
        for row in rows("gpu_kinds.csv")
    }


def kind_of_product(product: str) -> GpuKind | None:
    """GPU kind of a node by its label ``nvidia.com/gpu.product``; None where it is not known.

    Shared and MIG products (``NVIDIA-L4-SHARED``, ``...-MIG-1g.10gb``) are slices, not a kind, and are not known.
    """
    name = _kind_names_by_product().get(product)
    return None if name is None else gpu_kind(name)


@cache
def _kind_names_by_product() -> dict[str, str]:
    return {label: row["name"] for row in rows("gpu_kinds.csv") for label in row["labels"].split()}


def product_of_kind(name: str) -> str:
    """A label ``nvidia.com/gpu.product`` that nodes of a GPU kind have; the kind's name where none is known."""
    return next((label for label, kind in _kind_names_by_product().items() if kind == name), name)
