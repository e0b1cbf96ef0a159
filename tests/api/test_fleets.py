"""What a Fleet comes to mean."""

from atoll.api.parse import parse_fleet
from atoll.domain.fleet import Fleet


def test_an_empty_fleet_is_the_built_in_default() -> None:
    assert parse_fleet({"metadata": {"name": "gold"}}) == Fleet(name="gold")
    assert parse_fleet({"metadata": {"name": "gold"}, "spec": {"solve": {}, "router": {}}}) == Fleet(name="gold")
