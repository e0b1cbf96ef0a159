"""Logs as one JSON object per line: what comes from outside is data in it and cannot forge another line."""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

_LONGEST = 2048
_FIELDS = ("reason", "object", "fleet", "action", "plan")
"""Passed as ``extra``; everything else that a record carries is left out."""


class JsonFormatter(logging.Formatter):
    """One line per record; control characters and line separators are escaped by JSON, long texts are cut."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a JSON object."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(record.getMessage()),
        }
        line |= {key: _cut(str(value)) for key in _FIELDS if (value := getattr(record, key, None)) is not None}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)[-2 * _LONGEST :]
        return json.dumps(line, ensure_ascii=True)


_RETRY = re.compile(r"Request attempt #(\d+)")
_EXPECTED = "OS signals are ignored"
"""kopf runs in a thread on purpose."""


def tell_once(record: logging.LogRecord) -> bool:
    """Whether a record is news: kopf says of each stream and each retry that it failed; the first time is enough."""
    if not record.name.startswith("kopf"):
        return True
    message = record.getMessage()
    retry = _RETRY.match(message)
    return not message.startswith(_EXPECTED) and (retry is None or retry.group(1) == "1")


def configure_logging(*, level: str = "INFO", json_lines: bool = True) -> None:
    """Send all logs to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if json_lines else logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    handler.addFilter(tell_once)
    for chatty in ("kopf", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
