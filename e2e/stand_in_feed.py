"""A price feed that a test writes: a JSON document with an entity tag, or whatever else a server may answer."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from e2e.stand_in_server import Answer, StandInServer


class Feed(StandInServer):
    """One document.

    Attributes:
        content: of the document; another one has another tag.
        status: of every answer, where it is not 200.
        answers: how often each status was answered.
    """

    def __init__(self) -> None:
        super().__init__("/prices.json")
        self.content = b""
        self.status = 200
        self.answers: Counter[int] = Counter()

    def answer(self, asked: Mapping[str, str]) -> Answer:
        """The document, or that it is the one which the asker has."""
        content, status, tag = self.content, self.status, f'"{hash(self.content)}"'
        if status == 200 and asked.get("If-None-Match") == tag:
            content, status = b"", 304
        self.answers[status] += 1
        return status, {"ETag": tag}, content

    def offer(self, *offerings: dict[str, Any]) -> None:
        """A good document."""
        self.content = json.dumps({"schemaVersion": 1, "offerings": offerings}).encode()
