"""What an HTTP request holds and how it is answered: {"code", "data", "message"}."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from im_proto.wire import codes
from im_proto.wire.types import MAX_SAFE_INTEGER

#: Bytes of a request's body.
MAX_BODY: Final = 16_384
#: Of every answer: nobody keeps it, and no browser takes it for something else than JSON.
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class RefusedError(Exception):
    """The server refuses what it was asked for.

    Attributes:
        code: of docs/protocol.md section 1, "Codes".
        reason: in words.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code = code
        self.reason = reason


class TooManyError(RefusedError):
    """… for now.

    Attributes:
        retry_after: seconds.
    """

    def __init__(self, reason: str, retry_after: float) -> None:
        super().__init__(codes.TOO_MANY, reason)
        self.retry_after = retry_after


class NotRead(Exception):
    """There was no call: what is answered instead."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


async def read_params(request: Request) -> dict[str, Any]:
    """The fields of a request's query and of its body, a JSON object; the body's win.

    Raises:
        NotRead: the body is too big, incomplete, or no JSON object.
    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise NotRead(413, f"the body has more than {MAX_BODY} bytes")
    except ClientDisconnect:
        raise NotRead(400, "the body is not complete") from None
    fields: Any = {}
    if body.strip():
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):  # its text quotes the input
            raise NotRead(400, "the body is not JSON") from None
        if not isinstance(fields, dict):
            raise NotRead(400, "the body is no JSON object")
    return {**request.query_params, **fields}


def refused(error: RefusedError | NotRead) -> Response:
    """The answer to who gets nothing."""
    if isinstance(error, NotRead):
        return answer(codes.BAD_REQUEST, None, error.reason, error.status)
    data = {"retryAfter": error.retry_after} if isinstance(error, TooManyError) else None
    return answer(error.code, data, error.reason)


def answer(code: int, data: Any, message: str, status: int = 200) -> Response:
    """An answer of section 3."""
    headers = None
    if code == codes.TOO_MANY and data is not None:
        # In whole seconds (RFC 9110 section 10.2.3); whoever doesn't wait has to connect again, at
        # the rate of its address.
        wait = str(math.ceil(data["retryAfter"]))
        status, headers = 429, {"retry-after": wait, "connection": "close"}
    return to_json({"code": code, "data": safe(data), "message": message}, status, headers)


def safe(data: Any) -> Any:
    """Numbers that JavaScript can't hold are sent as strings (section 1)."""
    if isinstance(data, dict):
        return {key: safe(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [safe(value) for value in data]
    if isinstance(data, int) and not isinstance(data, bool) and data > MAX_SAFE_INTEGER:
        return str(data)
    return data


def to_json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer as JSON, with these headers besides."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Response(
        text.encode(),
        status,
        headers={**_HEADERS, **(headers or {})},
        media_type="application/json",
    )
