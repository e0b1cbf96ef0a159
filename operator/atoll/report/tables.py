"""Tables for the terminal, by rich."""

from collections import Counter

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from atoll.domain.demand import DemandKey
from atoll.domain.plan import PlannedDemand
from atoll.report.plan import PlanReport


def plan_table(report: PlanReport) -> RenderableType:
    """One row per served model demand, then what the fleet costs and how good that is proven to be."""
    table = Table(title=None, header_style="bold", expand=False)
    table.add_column("Demand", no_wrap=True)
    table.add_column("Requests/s", justify="right")
    table.add_column("Replicas by strategy", overflow="fold")
    table.add_column("GPUs", overflow="fold")
    table.add_column("$/h", justify="right")
    for item in report.plan.demands:
        table.add_row(_name(item.key), _rate(item), _strategies(item), _gpus(item), f"{item.cost_per_hour:.2f}")
    for key in sorted(set(report.demands) - {item.key for item in report.plan.demands}):
        rate = report.demands[key].rate
        table.add_row(_name(key), Text(f"0 of {rate:g}", style="red"), Text("not served", style="red"), "", "0.00")
    return Group(table, *_summary(report))


def _summary(report: PlanReport) -> list[RenderableType]:
    plan = report.plan
    condition = " given the shortfalls" if plan.conditional else ""
    lines: list[RenderableType] = [
        Text.assemble(
            ("Fleet ", "bold"),
            (f"{plan.cost_per_hour:.2f} $/h", "bold green"),
            f"   proven lower bound {plan.bound_per_hour:.2f} $/h{condition}   gap {100 * plan.gap:.2f} %",
        )
    ]
    if report.baseline_per_hour is not None:
        lines.append(Text(_against_baseline(report)))
    if report.shortfall > 0.0:
        lines.append(Text(f"Shortfall {report.shortfall:.3g} requests/s", style="bold red"))
    lines.extend(Text(f"{name}: {fault.reason}: {fault}", style="red") for name, fault in report.faults.items())
    lines.extend(Text(f"Assumed: {line}", style="dim") for line in report.assumptions)
    return lines


def _against_baseline(report: PlanReport) -> str:
    cost = report.baseline_per_hour or 0.0
    text = f"Best with one GPU kind per served model {cost:.2f} $/h"
    if report.baseline_shortfall > 1e-6:
        return f"{text}, and {report.baseline_shortfall:.3g} requests/s short"
    ratio = cost / report.plan.cost_per_hour if report.plan.cost_per_hour else 1.0
    return f"{text}   {ratio:.2f} x"


def _name(key: DemandKey) -> str:
    return key.name if key.namespace == "default" else str(key)


def _rate(item: PlannedDemand) -> Text:
    if item.shortfall > 0.0:
        return Text(f"{item.rate - item.shortfall:.3g} of {item.rate:g}", style="red")
    return Text(f"{item.rate:g}")


def _strategies(item: PlannedDemand) -> str:
    counts: Counter[str] = Counter()
    for replicas in item.replicas:
        counts[str(replicas.group.strategy)] += replicas.group.count
    return "\n".join(f"{count} x [{strategy}]" for strategy, count in counts.items()) or "none"


def _gpus(item: PlannedDemand) -> str:
    counts: Counter[str] = Counter()
    for replicas in item.replicas:
        for kind, stages in replicas.group.strategy.need.items():
            counts[kind] += stages * replicas.group.strategy.tp * replicas.group.count
    return "\n".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
