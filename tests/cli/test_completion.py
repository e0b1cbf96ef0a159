"""Completion of `kubectl atoll` by kubectl: candidates and, last, what the shell is to do with them."""

import pytest

from atoll.cli.completion import completions


@pytest.mark.parametrize(
    ("words", "found", "directive"),
    [
        (["roll"], ["rollback"], ":4"),
        (["local", "lo"], ["lose-node"], ":4"),
        (["what-if", "--without-s"], ["--without-spot"], ":4"),
        (["what-if", "--fleet", "x", "--lose"], ["--lose-zone"], ":4"),
        (["plan", "-f", ""], [], ":0"),
        (["nonsense", ""], [], ":4"),
    ],
)
def test_the_last_word_is_completed(words: list[str], found: list[str], directive: str) -> None:
    *lines, last = completions(words)

    assert [line.partition("\t")[0] for line in lines] == found
    assert last == directive


def test_every_command_is_offered_with_what_it_does() -> None:
    *lines, _ = completions([""])

    assert {"plan", "explain", "rollback", "what-if"} <= {line.partition("\t")[0] for line in lines}
    assert all(line.partition("\t")[2] for line in lines)
