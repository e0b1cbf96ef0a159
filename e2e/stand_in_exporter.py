"""A metrics page that a test writes: what Prometheus scrapes where no real exporter has a say in what is told."""

from collections.abc import Mapping

from e2e.stand_in_server import Answer, StandInServer


class Exporter(StandInServer):
    """One page; tests set ``page`` in the text format of Prometheus."""

    def __init__(self) -> None:
        super().__init__("/metrics")
        self.page = ""

    def answer(self, asked: Mapping[str, str]) -> Answer:
        """The page, whoever asks."""
        del asked
        return 200, {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}, self.page.encode()
