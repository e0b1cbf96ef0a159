"""Requests and answers of OpenAI's chat completions as vLLM reads and writes them."""

from dataclasses import dataclass
from typing import Any

import msgspec

_WORD = "so "
_DEFAULT_TOKENS = 16
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of a request matters here.

    Attributes:
        served_name: field ``model``.
        prompt_tokens: words of all messages, or of the prompt.
        max_tokens: of the answer; it is always made that long, as with ``ignore_eos``.
        stream: as server-sent events.
        usage: tell the tokens at the end of a stream.
        chat: chat completions, not completions.
    """

    served_name: str
    prompt_tokens: int
    max_tokens: int
    stream: bool
    usage: bool
    chat: bool


def parse(body: bytes) -> Asked:
    """Read a request; ValueError where it is none."""
    content = msgspec.json.decode(body, type=dict[str, Any])
    served_name = str(content.get("model", ""))
    tokens = content.get("max_completion_tokens", content.get("max_tokens", _DEFAULT_TOKENS))
    if not isinstance(tokens, int) or tokens < 1:
        raise ValueError(f"max_tokens: {tokens!r} is not a positive number")
    said = content.get("messages")
    texts = [content.get("prompt", "")] if said is None else [str(each.get("content", "")) for each in said]
    return Asked(
        served_name=served_name,
        prompt_tokens=sum(len(str(text).split()) for text in texts),
        max_tokens=tokens,
        stream=content.get("stream") is True,
        usage=bool((content.get("stream_options") or {}).get("include_usage")),
        chat=said is not None,
    )


def error(message: str, status: int) -> dict[str, Any]:
    """An error as vLLM tells it."""
    kind = "NotFoundError" if status == 404 else "BadRequestError"
    return {"error": {"message": message, "type": kind, "param": None, "code": status}}


def models(served_names: tuple[str, ...], max_context: int) -> dict[str, Any]:
    """The list of models."""
    data = [{"id": name, "object": "model", "owned_by": "vllm", "max_model_len": max_context} for name in served_names]
    return {"object": "list", "data": data}


class Answer:
    """One answer, whole or in events."""

    def __init__(self, asked: Asked, *, identity: str, created: int) -> None:
        self.asked = asked
        self._kind = "chat.completion" if asked.chat else "text_completion"
        self._head = {"id": identity, "created": created, "model": asked.served_name}

    def whole(self) -> dict[str, Any]:
        """The answer that is not streamed."""
        text = _WORD * self.asked.max_tokens
        said = {"message": {"role": "assistant", "content": text}} if self.asked.chat else {"text": text}
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": "length"}
        return {**self._head, "object": self._kind, "choices": [choice], "usage": self._usage()}

    def first_event(self) -> bytes:
        """The event that says who speaks; completions have none."""
        return self._event({"role": "assistant", "content": ""}, None) if self.asked.chat else b""

    def event(self, tokens: int) -> bytes:
        """So many tokens."""
        return self._event({"content": _WORD * tokens}, None)

    def last_events(self) -> bytes:
        """The end, the tokens if asked for, and the mark that nothing follows."""
        end = self._event({}, "length")
        usage = {**self._head, "object": self._chunk_kind, "choices": [], "usage": self._usage()}
        return end + (_data(usage) if self.asked.usage else b"") + DONE

    @property
    def _chunk_kind(self) -> str:
        return f"{self._kind}.chunk" if self.asked.chat else self._kind

    def _event(self, delta: dict[str, str], reason: str | None) -> bytes:
        said: dict[str, Any] = {"delta": delta} if self.asked.chat else {"text": delta.get("content", "")}
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": reason}
        return _data({**self._head, "object": self._chunk_kind, "choices": [choice]})

    def _usage(self) -> dict[str, int]:
        prompt, made = self.asked.prompt_tokens, self.asked.max_tokens
        return {"prompt_tokens": prompt, "total_tokens": prompt + made, "completion_tokens": made}


def _data(content: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(content) + b"\n\n"
