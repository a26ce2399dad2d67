"""Static files, kept in memory: there is no way from a request to a file system.

Their names have no hash in them, so each answer has an ETag and is asked for again (`no-cache`):
a 304 costs one round trip, and whoever updates the package updates the page.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

#: What Vite makes: the folders `page`, `lab` and `lib`.
BUILT: Final = Path(__file__).parent / "built"
#: By the end of the name; not by `mimetypes`, which asks the machine.
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".ts": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
#: What is packed already.
_PACKED: Final = (".png", ".ico", ".woff2")
#: Bytes that are handed to the ASGI server at a time: it holds so much for who doesn't read.
_PIECE: Final = 16_384


class NotBuiltError(Exception):
    """The files that are to be served are not there. Says which, and what makes them."""


@dataclass(frozen=True, slots=True)
class File:
    """A file, and how it is sent.

    Attributes:
        content: its bytes.
        packed: the same by gzip; None: that would not make it smaller.
        media_type: with its character set.
        etag: of the content, without quotes.
    """

    content: bytes = field(repr=False)
    packed: bytes | None = field(repr=False)
    media_type: str
    etag: str


def read(folder: Path) -> dict[str, File]:
    """All files below a folder, by their path in it, with `/`.

    Raises:
        NotBuiltError: it has none.
    """
    found = {
        path.relative_to(folder).as_posix(): _file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    if not found:
        raise NotBuiltError(f"{folder} is empty: `npm run build` in adapters/im_web fills it")
    return found


def _file(path: Path) -> File:
    content = path.read_bytes()
    # packed once, so that asking for it costs an attacker as much as it costs us
    packed = None if path.suffix in _PACKED else gzip.compress(content, 6, mtime=0)
    return File(
        content=content,
        packed=packed if packed is not None and len(packed) < len(content) else None,
        media_type=_TYPES.get(path.suffix, "application/octet-stream"),
        etag=hashlib.sha256(content).hexdigest()[:32],
    )


def answer(file: File, request: Request, headers: Mapping[str, str]) -> Response:
    """A file as whoever asks wants it: packed or not, or 304 if it is known there.

    Args:
        file: which.
        request: GET or HEAD.
        headers: more of the answer's.
    """
    packed = file.packed is not None and _takes_gzip(request.headers.get("accept-encoding", ""))
    # two representations have two strong tags (RFC 9110 section 8.8.3.3)
    etag = f'"{file.etag}-gzip"' if packed else f'"{file.etag}"'
    headers = {**headers, "etag": etag, "cache-control": "no-cache", "vary": "Accept-Encoding"}
    if _is_known(etag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    if packed and file.packed is not None:
        headers["content-encoding"] = "gzip"
        return _InPieces(file.packed, headers=headers, media_type=file.media_type)
    return _InPieces(file.content, headers=headers, media_type=file.media_type)


class _InPieces(Response):
    """Handed over piece by piece, each when the one before was taken: as a whole, each who asks
    and doesn't read would hold a copy."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        for start in range(0, len(self.body), _PIECE):
            piece = bytes(self.body[start : start + _PIECE])
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _takes_gzip(accepted: str) -> bool:
    """Accept-Encoding (RFC 9110 section 12.5.3); who names no gzip gets none."""
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() == "gzip":
            weight = weight.strip().removeprefix("q=")
            return not weight or bool(weight.strip("0."))
    return False


def _is_known(etag: str, tags: str) -> bool:
    """If-None-Match (RFC 9110 section 13.1.2): compared weakly."""
    return tags.strip() == "*" or etag in (
        tag.strip().removeprefix("W/") for tag in tags.split(",")
    )
