"""The reference pages are what the structs say."""

from pathlib import Path

import pytest

from atoll.api.crd import root_schema
from atoll.api.reference import fields, page
from atoll.api.v1alpha1.kinds import RESOURCES, Resource

FOLDER = Path(__file__).parents[2] / "docs" / "reference"

each_kind = pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind.name)


@each_kind
def test_page_is_what_the_struct_says(resource: Resource) -> None:
    text = (FOLDER / f"{resource.kind.name.lower()}.md").read_text()
    assert text == page(resource), "run `make crds` and commit the result"


@each_kind
def test_every_field_has_its_row(resource: Resource) -> None:
    text = page(resource)
    for part in ("spec", "status"):
        for path, field, _ in fields(root_schema(resource)["properties"][part], part):
            assert f"| `{path}` |" in text
            assert field["description"].replace("|", "\\|") in text
