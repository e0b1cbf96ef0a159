"""YAML is read as kubectl reads it, and hostile text ends in a line and a mend."""

from typing import Any

import pytest
import yaml

from atoll.api.yamltext import YamlTextError, documents, value_of


def read(text: str) -> Any:
    (node,) = documents(text)
    return value_of(node)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e6", 1_000_000),
        ("1E-3", 0.001),
        ("+2.5e+1", 25),
        (".5", 0.5),
        ("25.0", 25),
        ("1_000", 1000),
        ("0x10", 16),
        ("0o17", 15),
        ("017", 15),
        ("089", 89),
        ("1e30", 1e30),
        ("20:00", "20:00"),
        ("1:30", "1:30"),
        ("2026-11-21", "2026-11-21"),
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
        ("=", "="),
        ("1200ms", "1200ms"),
        ('"1e6"', "1e6"),
        ("~", None),
        ("null", None),
        ("true", True),
        ("off", False),
        ("1.2.3", "1.2.3"),
        ("e5", "e5"),
        ("-", [None]),
    ],
)
def test_a_scalar_reads_as_kubectl_reads_it(text: str, value: object) -> None:
    found = read(text)
    assert found == value
    assert type(found) is type(value)


def test_infinity_and_not_a_number_are_floats_for_the_next_to_refuse() -> None:
    assert read(".inf") == float("inf")
    assert read(".nan") != read(".nan")


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, True, "x: y", "20:00", ""]}, [[]], {}, "text"])
def test_what_pyyaml_writes_is_read_back(value: object) -> None:
    assert read(yaml.safe_dump(value)) == value


def test_merge_keys_are_merged_and_what_is_written_wins() -> None:
    assert read("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  x: 3") == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}}


def refused(text: str) -> YamlTextError:
    with pytest.raises(YamlTextError) as raised:
        list(map(value_of, documents(text)))
    return raised.value


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "key 'a' is given twice, first in line 1"),
        ("x:\n  - {b: 1, b: 1}\n", 2, "key 'b' is given twice, first in line 2"),
        ('{"a": 1,\n "a": 2}', 2, "key 'a' is given twice"),
        ("a: &a\n  - *a\n", 1, "stands within what it names"),
        ("a: [1", 1, "no valid YAML"),
        ("a:\n\tb: 1", 2, "no valid YAML"),
        ("\n\x00", 2, "U+0000 cannot stand in YAML"),
        ("? [1]\n: 2", 1, "no valid YAML"),
        ("a: 1\n---\n!!python/object:os.x {}", 3, "no valid YAML"),
        ("!!int x", 1, "what its tag"),
        ("!!bool x", 1, "what its tag"),
        ("!!timestamp x", 1, "what its tag"),
        ("1" * 5000, 1, "too long"),
        ("*nobody", 1, "no valid YAML"),
    ],
)
def test_a_fault_names_line_and_mend(text: str, line: int, says: str) -> None:
    error = refused(text)
    assert error.line == line
    assert says in error.message


@pytest.mark.parametrize("text", ["\n" + "[" * 100_000, "\n" + "{a: " * 5000, "x:\n" + "- " * 2000])
def test_deep_nesting_is_refused_before_it_exhausts_the_stack(text: str) -> None:
    error = refused(text)
    assert error.line == 2
    assert "nested deeper than 64 levels" in error.message


def test_aliases_that_multiply_are_refused_at_once() -> None:
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    assert "aliases" in refused("\n".join(["a0: &a0 [x]", *levels])).message
