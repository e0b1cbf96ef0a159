"""Request lengths of published traces, by mean and coefficient of variation."""

from functools import cache

from atoll.catalogue.tables import rows
from atoll.domain.workload import Lengths, Workload


@cache
def azure_workloads() -> dict[str, Workload]:
    """``azure-conversation`` and ``azure-code``: the Azure LLM inference traces of 2023 (CC-BY-4.0, Splitwise)."""
    return {
        row["name"]: Workload(
            input=Lengths(mean=float(row["input_mean"]), cv=float(row["input_cv"])),
            output=Lengths(mean=float(row["output_mean"]), cv=float(row["output_cv"])),
        )
        for row in rows("azure_lengths.csv")
    }
