from atoll.local.envoy import parse_versions


def test_versions_by_statistic() -> None:
    text = 'cluster_manager.cds.version_text: "abc"\nhttp.ingress.rds.atoll.version_text: ""\nother.version: 5\n'
    assert parse_versions(text) == {"cluster_manager.cds": "abc", "http.ingress.rds.atoll": ""}
