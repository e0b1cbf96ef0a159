from itertools import islice

import pytest
from benchmarks.traffic.trace import arrivals


@pytest.mark.parametrize(("kind", "output"), [("conv", 252.5), ("code", 27.2)])
def test_a_trace_has_gaps_of_one_on_average_and_its_lengths(kind: str, output: float) -> None:
    rows = list(islice(arrivals(kind), 6000))
    assert sum(row.gap for row in rows) / 6000 == pytest.approx(1.0)
    assert sum(row.output_tokens for row in rows) / 6000 == pytest.approx(output, abs=0.1)
    assert min(row.gap for row in rows) >= 0.0


def test_a_trace_does_not_end() -> None:
    rows = list(islice(arrivals("code"), 6001))
    assert rows[0] == rows[6000]
