import kubernetes_validate
import yaml

from atoll.local.chart import files
from atoll.local.grants import grants


def test_a_local_operator_may_do_what_the_charts_may() -> None:
    rules = yaml.safe_load(files()["files/rbac.yaml"])
    given = grants(namespace="atoll-system", user="atoll-operator")

    assert [obj["kind"] for obj in given] == ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]
    assert [obj["rules"] for obj in given if "rules" in obj] == [rules["cluster"], rules["namespace"]]


def test_the_api_server_understands_roles_and_bindings() -> None:
    for obj in grants(namespace="atoll-system", user="atoll-operator"):
        kubernetes_validate.validate(obj, "1.36", strict=True)
