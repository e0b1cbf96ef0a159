"""YAML as kubectl reads it: numbers as in YAML 1.2, no key twice, and nothing that grows without bounds.

PyYAML follows YAML 1.1, where ``1e6`` is text and ``20:00`` is the number 1200. kubectl (go-yaml, then JSON) reads the
first as a million and the second as text.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

DEEPEST = 64
"""Levels of nesting that are read; our deepest kind in a list has eleven."""

MOST_VALUES = 1_000_000
"""Values of one document once its aliases are written out."""

_LARGEST_PLAIN = 1e21
"""From here on Go's JSON writes a number with an exponent, which is no integer any more."""


class YamlTextError(ValueError):
    """Text is no YAML that can be read; carries the line, counted from 1, and the mend."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line
        self.message = message


class _Loader(yaml.SafeLoader):
    """Safe, with YAML 1.2's numbers and bounded nesting."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As PyYAML does, which would end in a RecursionError where nesting is deep."""
        if self._depth >= DEEPEST:
            raise YamlTextError(self.line + 1, f"nested deeper than {DEEPEST} levels: no manifest is")
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def _float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    """A number; a whole one as an integer, which it becomes on its way through JSON."""
    value = float(loader.construct_yaml_float(node))
    return int(value) if math.isfinite(value) and value.is_integer() and abs(value) < _LARGEST_PLAIN else value


_RESOLVERS = (
    ("bool", r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO"),
    ("int", r"[-+]?(0b[01_]+|0o?[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("merge", r"<<", "<"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
)
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in _RESOLVERS:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), [c if c != "\0" else "" for c in _first]
    )
_Loader.add_constructor("tag:yaml.org,2002:float", _float)

_MERGE = "tag:yaml.org,2002:merge"


def documents(text: str) -> Iterator[yaml.Node]:
    """The documents of a text, not yet values; YamlTextError where the text ends to be YAML."""
    try:
        loader = _Loader(text)
        try:
            while loader.check_node():
                node = loader.get_node()
                if node is not None:
                    yield node
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlTextError(line, f"character U+{error.character:04X} cannot stand in YAML: is it text?") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlTextError(mark.line + 1 if mark else 1, f"no valid YAML: {error.problem or error.context}") from error


def value_of(node: yaml.Node) -> Any:
    """The value of one document.

    Raises:
        YamlTextError: a key is given twice, aliases explode or go in a circle, or a value is not what its tag says.
    """
    if _weigh(node, {}, set()) > MOST_VALUES:
        raise YamlTextError(_line(node), f"its aliases (*name) make more than {MOST_VALUES:,} values: write fewer")
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or node.start_mark
        raise YamlTextError(mark.line + 1, f"no valid YAML: {error.problem}") from error
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        # PyYAML converts what an explicit tag promises without a look; numbers of thousands of digits fail likewise.
        raise YamlTextError(_line(node), "a value is not what its tag (!!…) says, or a number is too long") from error
    finally:
        loader.dispose()


def _weigh(node: yaml.Node, done: dict[int, int], above: set[int]) -> int:
    """Values below a node with its aliases written out; refuses keys given twice and circles on the way."""
    if id(node) in above:
        raise YamlTextError(_line(node), "an alias (*name) stands within what it names: write it out")
    if id(node) in done:
        return done[id(node)]
    above.add(id(node))
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        _refuse_duplicates(node)
        children = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    total = 1 + sum(_weigh(child, done, above) for child in children)
    above.remove(id(node))
    done[id(node)] = total
    return total


def _refuse_duplicates(node: yaml.MappingNode) -> None:
    first: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        name = (key.tag, key.value)
        if name in first:
            message = f"key {key.value[:80]!r} is given twice, first in line {first[name]}: remove one"
            raise YamlTextError(_line(key), message)
        first[name] = _line(key)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
