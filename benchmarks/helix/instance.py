"""Helix's published instances, read from its MILP in LP format, or from a table of node throughputs.

In Helix's MILP a node i holds k consecutive layers from ``start_i`` (``hold_i_k = 1``) and then carries at most T_i(k)
tokens/s; tokens go from node i to node j only where j starts exactly at the layer at which i ends. All nodes are linked
to each other there. Within a site every link carries more than any node; of links between sites the slowest is taken
for all, so that what is found holds for the published ones too.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.rows import FileError

MODEL = "ilp_model.lp"
SOLUTION = "ilp_solution.sol"
LOG = "trace.txt"
TABLES = "tables.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Nodes that are alike.

    Attributes:
        name: as published, or ``kind0``, ``kind1`` in LP files, which do not name it.
        nodes: how many.
        throughput: tokens/s of a node that holds 1, 2, ... layers.
        site: where they are; links within a site carry more than any node.
    """

    name: str
    nodes: int
    throughput: tuple[float, ...]
    site: int = 0

    @property
    def most_layers(self) -> int:
        """Most layers with which a node still carries anything."""
        return max((k for k, value in enumerate(self.throughput, start=1) if value > 0.0), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One placement problem.

    Attributes:
        name: of folder or table entry.
        layers: of the served model.
        kinds: of nodes, apart by site.
        link: tokens/s of the slowest link between nodes of two sites; infinity for one site.
        published: objective that Helix reached, tokens/s; None where not published beside it.
        source: of the published objective.
        seconds: that Helix's solver took for it, with the threads that the log states; None where no log is there.
    """

    name: str
    layers: int
    kinds: tuple[Kind, ...]
    link: float = math.inf
    published: float | None = None
    source: str = ""
    seconds: float | None = None

    @property
    def sites(self) -> tuple[int, ...]:
        """Sites that occur."""
        return tuple(sorted({kind.site for kind in self.kinds}))

    def at(self, site: int) -> "Instance":
        """The nodes of one site alone."""
        return replace(self, kinds=tuple(kind for kind in self.kinds if kind.site == site), link=math.inf)

    def together(self) -> "Instance":
        """As if all were at one site: whatever can be placed here can be placed there."""
        alike: dict[tuple[float, ...], list[Kind]] = {}
        for kind in self.kinds:
            alike.setdefault(kind.throughput, []).append(kind)
        kinds = tuple(replace(same[0], nodes=sum(kind.nodes for kind in same), site=0) for same in alike.values())
        return replace(self, kinds=kinds, link=math.inf)


def read_instances(path: Path) -> list[Instance]:
    """Instances of a file or folder.

    Args:
        path: ``ilp_model.lp``, a folder that holds it (or folders that do) or ``tables.json``, or a JSON table: name to
            ``{"num_layers": L, "machines": {kind: nodes}, "types": {kind: {"tput": [tokens/s of 1, 2, ... layers]}}}``,
            if known with ``"published"`` (tokens/s), ``"source"`` and ``"seconds"``.

    Raises:
        FileError: it is none of these.
    """
    if not path.exists():
        raise FileError(path, "no such file or folder", f"give a folder of Helix's with {MODEL}, or a JSON table")
    if path.is_dir():
        models = sorted(path.glob(f"**/{MODEL}"))
        tables = [path / TABLES] if (path / TABLES).exists() else []
        if not models and not tables:
            raise FileError(path, f"no {MODEL} in it", "give the folder of a published instance")
        return [*(_published(model) for model in models), *(each for table in tables for each in _table(table))]
    if path.suffix == ".json":
        return _table(path)
    return [_published(path)]


def _published(path: Path) -> Instance:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(path, f"cannot be read ({error})", "give an LP file as text") from error
    rows = dict(re.findall(r"^ (\w+): ((?:.|\n(?! \w+:|[A-Z]))*)", text, flags=re.MULTILINE))
    ends = {
        number for name, row in rows.items() if name.startswith("end_") for number in re.findall(r"<=\s*(\d+)", row)
    }
    nodes = {int(name.rsplit("_", 1)[1]): row for name, row in rows.items() if name.startswith("node_throughput_")}
    if len(ends) != 1 or not nodes:
        raise FileError(path, "not the form of Helix's MILP", "give an ilp_model.lp as published")
    throughput = {number: _throughput(row) for number, row in nodes.items()}
    pairs = {
        (int(i), int(j)): float(capacity)
        for i, j, capacity in re.findall(r"edge_flow_constr_(\d+)_(\d+): flow_\d+_\d+ - (\S+) switch", text)
    }
    sites = _sites(pairs, sorted(nodes), max(max(values) for values in throughput.values()))
    if sites is None or "_disable_constr2_" not in text:
        wrong = "nodes are not all linked to each other, within a site by links faster than themselves"
        raise FileError(path, wrong, "only such clusters can be compared (not Helix's pruned ones)")
    slow = [capacity for (i, j), capacity in pairs.items() if sites[i] != sites[j]]
    solution = path.with_name(SOLUTION)
    found = re.search(r"Objective value = (\S+)", solution.read_text(encoding="utf-8")) if solution.exists() else None
    alike = Counter((sites[number], values) for number, values in throughput.items())
    return Instance(
        name=path.parent.name if path.name == MODEL else path.stem,
        layers=int(ends.pop()),
        kinds=tuple(
            Kind(name=f"kind{number}", nodes=count, throughput=values, site=site)
            for number, ((site, values), count) in enumerate(sorted(alike.items()))
        ),
        link=min(slow, default=math.inf),
        published=float(found.group(1)) if found else None,
        source=f"{SOLUTION} beside it (Helix, ASPLOS'25, Gurobi)" if found else "",
        seconds=_seconds(path.with_name(LOG)),
    )


def _sites(pairs: Mapping[tuple[int, int], float], nodes: list[int], fastest: float) -> dict[int, int] | None:
    """Site of each node: nodes linked both ways by links that carry more than any node; None where that is no site."""
    sites: dict[int, int] = {}
    for node in nodes:
        near = [i for i in sites if min(pairs.get((i, node), 0.0), pairs.get((node, i), 0.0)) >= fastest]
        sites[node] = sites[near[0]] if near else len(set(sites.values()))
        if near != [i for i in sites if i != node and sites[i] == sites[node]]:
            return None
    linked = all((i, j) in pairs for i in nodes for j in nodes if i != j)
    return sites if linked else None


def _seconds(log: Path) -> float | None:
    """Wall-clock time in Gurobi's log."""
    found = re.findall(r"Explored .* in (\S+) seconds", log.read_text(encoding="utf-8")) if log.exists() else []
    return float(found[-1]) if found else None


def _throughput(row: str) -> tuple[float, ...]:
    of_layers = {int(k): float(value) for value, k in re.findall(r"- (\S+) hold_\d+_(\d+)", row)}
    return tuple(of_layers[k] for k in range(1, len(of_layers) + 1))


def _table(path: Path) -> list[Instance]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        found = [_entry(name, entry) for name, entry in entries.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        mend = "give name to num_layers, machines and types, as in benchmarks/data/helix/tables.json"
        raise FileError(path, f"no table of node throughputs ({type(error).__name__}: {error})", mend) from error
    if not found:
        raise FileError(path, "it is empty", "give at least one entry")
    return found


def _entry(name: str, entry: Mapping[str, object]) -> Instance:
    machines, types = entry["machines"], entry["types"]
    if not isinstance(machines, dict) or not isinstance(types, dict):
        raise TypeError(f"{name}: machines and types are objects")
    kinds = []
    for kind, nodes in machines.items():
        values = tuple(float(value) for value in types[kind]["tput"])
        if not values or not all(math.isfinite(value) and value >= 0.0 for value in values) or int(nodes) < 1:
            raise ValueError(f"{name}: {kind} needs nodes and throughputs of 0 or more")
        kinds.append(Kind(name=kind, nodes=int(nodes), throughput=values))
    layers = int(str(entry["num_layers"]))
    if layers < 1:
        raise ValueError(f"{name}: num_layers is at least 1")
    published, taken = entry.get("published"), entry.get("seconds")
    return Instance(
        name=name,
        layers=layers,
        kinds=tuple(kinds),
        published=None if published is None else float(str(published)),
        source=str(entry.get("source", "")),
        seconds=None if taken is None else float(str(taken)),
    )
