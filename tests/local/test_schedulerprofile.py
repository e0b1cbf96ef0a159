from pathlib import Path

import yaml

from atoll.local.schedulerprofile import scheduler_configuration
from golden import assert_golden

GOLDEN = Path(__file__).parent / "golden"


def test_both_profiles() -> None:
    content = scheduler_configuration(kubeconfig=Path("/state/scheduler.kubeconfig"), requests_per_second=300)
    assert_golden(GOLDEN / "scheduler.yaml", yaml.safe_dump(content, sort_keys=False))
