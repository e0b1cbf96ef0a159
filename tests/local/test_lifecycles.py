from pathlib import Path

from atoll.local.kwok import Pace, stages, stages_text, stop_time
from golden import assert_golden

GOLDEN = Path(__file__).parent / "golden"
PACE = Pace(pod_start_seconds=2.5, pod_stop_seconds=3, node_start_seconds=4)


def test_stages_are_kwoks_file_format() -> None:
    assert_golden(GOLDEN / "stages.yaml", stages_text(PACE))


def test_a_pod_starts_after_the_pace() -> None:
    (ready,) = (each for each in stages(PACE) if each["metadata"]["name"] == "pod-ready")
    assert ready["spec"]["delay"]["durationMilliseconds"] == 2500


def test_a_pod_stops_within_its_grace_period() -> None:
    assert stop_time(PACE).endswith("| [$limit, $asked + $sleep + 3] | min | todateiso8601")
