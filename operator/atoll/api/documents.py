"""Objects as they lie in files, folders, pipes and standard input, each with the place it was found at."""

import errno
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from atoll.api.yamltext import YamlTextError, documents, value_of
from atoll.domain.objects import MODEL_DEMAND
from atoll.domain.reason import Fault, Reason

STANDARD_INPUT = Path("-")
"""The path that means standard input, as for kubectl."""

MOST_BYTES = 64 * 2**20
"""Of one file: a device such as /dev/zero never ends."""

_ENDINGS = frozenset({".yaml", ".yml", ".json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFault:
    """What is wrong with one object of a file.

    Attributes:
        origin: file and line, such as ``pools.yaml:12``.
        target: such as ``ModelDemand default/qwen3-32b``; empty where the file cannot be read as YAML.
        fault: what is wrong.
    """

    origin: str
    target: str
    fault: Fault

    def __str__(self) -> str:
        """Read as ``origin: target: field: message``."""
        return ": ".join(part for part in (self.origin, self.target, str(self.fault)) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One object.

    Attributes:
        origin: file and line.
        value: any JSON.
    """

    origin: str
    value: Any

    @property
    def target(self) -> str:
        """What it is called, such as ``ModelDemand default/qwen3-32b``."""
        kind, found = member(self.value, "kind"), member(self.value, "metadata")
        namespace = member(found, "namespace") or ("default" if kind == MODEL_DEMAND.name else "")
        name = member(found, "name") or "(without a name)"
        return f"{kind or 'object'} {namespace}/{name}" if namespace else f"{kind or 'object'} {name}"

    def faulty(self, fault: Fault) -> ManifestFault:
        """A fault of this object."""
        return ManifestFault(origin=self.origin, target=self.target, fault=fault)


def read_documents(paths: Iterable[Path], faults: list[ManifestFault]) -> Iterator[Document]:
    """Objects of all files in order, items of lists on their own; what cannot be read is added to the faults.

    Raises:
        FileNotFoundError: a path does not exist.
    """
    for file in files_of(paths):
        name = "standard input" if file == STANDARD_INPUT else str(file)
        try:
            text = _text(file)
        except YamlTextError as error:
            faults.append(_broken(f"{name}:{error.line}", error.message))
            continue
        except OSError as error:
            faults.append(_broken(name, f"cannot be read: {error.strerror or error}"))
            continue
        try:
            for node in documents(text):
                origin = f"{name}:{node.start_mark.line + 1}"
                try:
                    value = value_of(node)
                except YamlTextError as error:
                    faults.append(_broken(f"{name}:{error.line}", f"{error.message}; this document is not read"))
                    continue
                if value is not None:
                    yield from _unlisted(Document(origin=origin, value=value))
        except YamlTextError as error:
            message = f"{error.message}; what follows in this file is not read"
            faults.append(_broken(f"{name}:{error.line}", message))


def member(value: object, name: str) -> Any:
    """A member of a map; None where there is no such member or no map."""
    return value.get(name) if isinstance(value, Mapping) else None


def labels_of(value: object) -> dict[str, str]:
    """The ``metadata.labels`` of an object; what the API server would not take as a label is left out."""
    labels = member(member(value, "metadata"), "labels")
    items = labels.items() if isinstance(labels, Mapping) else ()
    return {key: text for key, text in items if isinstance(key, str) and isinstance(text, str)}


def _broken(origin: str, message: str) -> ManifestFault:
    return ManifestFault(origin=origin, target="", fault=Fault(reason=Reason.INVALID_SPEC, message=message))


def _text(file: Path) -> str:
    if file == STANDARD_INPUT:
        if sys.stdin is None:
            raise OSError("standard input is closed")
        data = _read(sys.stdin.buffer)
    else:
        with file.open("rb") as stream:
            data = _read(stream)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8: is it text? Save it as UTF-8, or leave it out"
        raise YamlTextError(line, message) from error


def _read(stream: BinaryIO) -> bytes:
    data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise OSError(f"more than {MOST_BYTES // 2**20} MiB, which no manifest is")
    return data


def _unlisted(document: Document) -> Iterator[Document]:
    """The items of a ``List``, or the object itself."""
    items = member(document.value, "items")
    kind = member(document.value, "kind")
    if not (isinstance(items, list) and isinstance(kind, str) and kind.endswith("List")):
        yield document
        return
    for index, item in enumerate(items):
        value = item
        if isinstance(item, dict) and kind != "List":  # items of a typed list carry no kind of their own
            value = {"apiVersion": document.value.get("apiVersion"), "kind": kind.removesuffix("List"), **item}
        yield Document(origin=f"{document.origin} item {index}", value=value)


def files_of(paths: Iterable[Path]) -> Iterator[Path]:
    """The files that paths name, those in folders in order."""
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix in _ENDINGS and file.is_file())
        elif path == STANDARD_INPUT or path.exists():  # a pipe is no file, but can be read
            yield path
        else:
            raise FileNotFoundError(errno.ENOENT, "No such file or folder", str(path))
