from pathlib import Path

import pytest
import yaml

from atoll.local import chart, chartvalues
from atoll.local.chart import files, values_page

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "atoll"
SCHEMA = {"properties": {"a": {"type": "object", "properties": {"b": {"type": "integer", "minimum": 1, "maximum": 9}}}}}


@pytest.mark.parametrize("path", sorted(files()))
def test_what_the_chart_has_from_other_parts_is_current(path: str) -> None:
    assert (CHART / path).read_text() == files()[path], "run `make crds`"


def test_no_definition_is_left_of_a_kind_that_is_gone() -> None:
    assert {f"templates/crds/{path.name}" for path in (CHART / "templates" / "crds").iterdir()} <= files().keys()


def test_the_page_of_values_is_current() -> None:
    assert (ROOT / "docs" / "reference" / "chart.md").read_text() == values_page(CHART), "run `make crds`"


def test_the_charts_version_of_the_operator_is_the_packages() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]

    assert f'\nversion = "{version}"\n' in project


def test_text_that_helm_would_take_for_a_template_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart, "render", lambda _: "description: '{{ x }}'")
    with pytest.raises(ValueError, match=r"modeldemands\.atoll\.dev: contains \{\{"):
        files()


def test_a_value_has_its_type_its_default_and_its_meaning() -> None:
    text = "a:\n  # -- First | second\n  # line.\n  b: 3\n"
    (found,) = chartvalues.documented(text, yaml.safe_load(text), SCHEMA)

    assert (found.path, found.meaning, found.default) == ("a.b", "First | second line.", 3)
    page = chartvalues.page(
        {"name": "n", "version": "1", "appVersion": "2", "kubeVersion": ">=1.30.0-0"},
        text,
        yaml.safe_load(text),
        SCHEMA,
    )
    assert "Kubernetes 1.30\nor newer" in page
    assert "| `a.b` | integer, 1 to 9 | `3` | First \\| second line. |" in page


def test_a_value_that_nobody_explains_is_refused() -> None:
    text = "a:\n  b: 3\n"
    with pytest.raises(ValueError, match=r"a\.b has no line"):
        list(chartvalues.documented(text, yaml.safe_load(text), SCHEMA))
