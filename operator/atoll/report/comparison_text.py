"""Two plans side by side as Markdown, for a comment on a pull request, from the documented JSON."""

from collections.abc import Iterator, Mapping
from typing import Any

from atoll.report.comparison_table import demand_name, signed
from atoll.report.numbers import amount, counted, money

Json = Mapping[str, Any]

_SIGNS = {"Added": "added ", "Removed": "removed "}


def comparison_markdown(report: Json) -> str:
    """A heading with the verdict, the sums, one row per demand that changes, and what is at fault."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Json) -> Iterator[str]:
    before, after = report["before"], report["after"]
    yield f"### Fleet plan: {_verdict(report)}"
    yield ""
    yield f"| | {_cell(before['title'])} | {_cell(after['title'])} | change |"
    yield "| --- | ---: | ---: | ---: |"
    yield _row(
        "cost, $/h", money(before["costPerHour"]), money(after["costPerHour"]), signed(report["moreCostPerHour"])
    )
    bounds = [_bound(side["lowerBoundPerHour"]) for side in (before, after)]
    yield _row("proven lower bound, $/h", *bounds, "")
    more = after["shortfall"] - before["shortfall"]
    change = "0" if abs(more) < 1e-6 else f"{'+' if more > 0 else '-'}{amount(abs(more))}"
    yield _row("shortfall, requests/s", amount(before["shortfall"]), amount(after["shortfall"]), change)
    yield _row("nodes", before["nodes"], after["nodes"], f"{after['nodes'] - before['nodes']:+d}")
    moves = f"+{report['replicasStarted']} -{report['replicasStopped']}"
    yield _row("replicas", before["replicas"], after["replicas"], moves)
    if report["budgetPerHour"] is not None:
        yield _row("budget, $/h", "", money(report["budgetPerHour"]), "")
    yield ""
    yield from _demands(report)
    yield from _troubles(report)
    if report["notes"]:
        yield "<details><summary>What this rests on</summary>"
        yield ""
        yield from (f"- {_cell(note)}" for note in report["notes"])
        yield ""
        yield "</details>"


def _verdict(report: Json) -> str:
    after, parts = report["after"], []
    if after["faults"]:
        parts.append(f"❌ {counted(len(after['faults']), 'object')} at fault")
    if after["shortfall"] > 0.0:
        parts.append(f"❌ {amount(after['shortfall'])} requests/s short")
    if report["overBudget"]:
        parts.append("❌ over budget")
    more = report["moreCostPerHour"]
    cost = "costs the same" if signed(more) == money(0.0) else f"{signed(more)} $/h"
    return ", ".join([*parts, cost] if parts else [f"✅ {cost}"])


def _demands(report: Json) -> Iterator[str]:
    changed = [item for item in report["demands"] if item["change"] != "Same"]
    same = len(report["demands"]) - len(changed)
    if changed:
        yield "| demand | requests/s | $/h before | $/h after | replicas after |"
        yield "| --- | ---: | ---: | ---: | --- |"
        for item in changed:
            yield _row(
                f"{_SIGNS.get(item['change'], '')}`{demand_name(item)}`",
                _rates(item),
                money(item["before"]["costPerHour"]) if item["before"] else "-",
                money(item["after"]["costPerHour"]) if item["after"] else "-",
                _strategies(item["after"]),
            )
        yield ""
    if same:
        yield f"{counted(same, 'demand')} unchanged."
        yield ""


def _troubles(report: Json) -> Iterator[str]:
    lines = [
        f"- `{demand_name(item)}`: {amount(item['after']['shortfall'])} short: {_cell(item['shortfallReason'])}"
        for item in report["demands"]
        if item["shortfallReason"]
    ]
    if report["overBudget"]:
        lines.append(
            f"- over budget: {money(report['after']['costPerHour'])} of {money(report['budgetPerHour'])} $/h: "
            "raise the Fleet's `spec.budgetPerHour` or lower a demand"
        )
    for fault in report["after"]["faults"]:
        where = f"`{fault['field']}`: " if fault["field"] else ""
        lines.append(f"- `{fault['object']}`: {fault['reason']}: {where}{_cell(fault['message'])}")
    if lines:
        yield from lines
        yield ""


def _rates(item: Json) -> str:
    before, after = item["before"], item["after"]
    old = "-" if before is None else amount(before["rate"])
    new = "-" if after is None else amount(after["rate"])
    return old if old == new else f"{old} → {new}"


def _strategies(side: Json | None) -> str:
    rows = [f"{row['replicas']} x {_cell(row['strategy'])}" for row in (side or {}).get("strategies", ())]
    return "<br>".join(rows) or "none"


def _bound(value: float | None) -> str:
    return "-" if value is None else money(value)


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _cell(text: str) -> str:
    """Text that ends no cell and begins no markup."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
