"""Programs that only tests need, built and kept as those of the control plane are: one pinned Go module each.

`make run` builds none of them. Their modules lie under `e2e/tools`, each alone, because the versions of Kubernetes'
libraries that they want clash.
"""

from pathlib import Path

from atoll.local.binaries import Part, default_cache, ensure_parts, part_folder

_SOURCE = Path(__file__).resolve().parents[3] / "e2e" / "tools"

TOOLS = (
    Part(name="coredns", programs={"coredns": "."}),
    Part(name="helm", programs={"helm": "helm.sh/helm/v4/cmd/helm"}),
    Part(name="kube-score", programs={"kube-score": "github.com/zegl/kube-score/cmd/kube-score"}),
    Part(
        name="gateway-api",
        programs={},
        definitions=("config/crd/standard",),
        definitions_module="sigs.k8s.io/gateway-api",
    ),
    Part(
        name="kueue",
        programs={"kueue": "sigs.k8s.io/kueue/cmd/kueue"},
        definitions=("config/components/crd/bases", "config/components/webhook"),
        definitions_module="sigs.k8s.io/kueue",
    ),
    Part(
        name="prometheus",
        programs={name: f"github.com/prometheus/prometheus/cmd/{name}" for name in ("prometheus", "promtool")},
    ),
)


def ensure_tool(name: str, *, source: Path = _SOURCE, cache: Path | None = None) -> Path:
    """Build a program if it is not there yet (helm: five minutes on two cores, the first time) and say where it is."""
    part = next(part for part in TOOLS if name in part.programs)
    cache = cache or default_cache()
    ensure_parts([part], source=source, cache=cache)
    return part_folder(part, source, cache) / name


def ensure_definitions(name: str, *, source: Path = _SOURCE, cache: Path | None = None) -> Path:
    """Fetch the custom resource definitions of a tool's module if they are not there yet; their folder."""
    part = next(part for part in TOOLS if part.name == name)
    cache = cache or default_cache()
    ensure_parts([part], source=source, cache=cache)
    return part_folder(part, source, cache) / "crds"


def ensure_tools() -> None:
    """Build all tools that are not there yet."""
    ensure_parts(TOOLS, source=_SOURCE, cache=default_cache())
