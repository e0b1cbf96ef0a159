from base64 import b64encode
from pathlib import Path

from atoll.local.kubelet import files_of, swap_in


def test_files_are_swapped_by_one_link(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    swap_in(folder, {"a.yaml": b"1", "b.yaml": b"2"})
    first = (folder / "..data").resolve()
    swap_in(folder, {"a.yaml": b"3", "c.yaml": b"4"})

    assert (folder / "a.yaml").readlink() == Path("..data/a.yaml")
    assert (folder / "a.yaml").read_bytes() == b"3"
    assert not (folder / "b.yaml").is_symlink()
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith("..")) == ["a.yaml", "c.yaml"]
    assert not first.exists()
    assert (folder / "..data").resolve().parent == folder


def test_text_and_binary_data_are_files() -> None:
    content = {"data": {"a": "ü"}, "binaryData": {"b": b64encode(b"\x00").decode()}}
    assert files_of(content) == {"a": "ü".encode(), "b": b"\x00"}
    assert files_of({"data": None}) == {}
