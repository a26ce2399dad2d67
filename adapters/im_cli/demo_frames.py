"""As much of WebSocket (RFC 6455 section 5.2) as it takes to find the borders of frames."""

from __future__ import annotations


class Splitter:
    """Cuts one direction of a connection into its HTTP head and whole WebSocket frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head = True
        self._raw = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return what is complete. After a refused upgrade all is passed as it is."""
        self._buffer += data
        units: list[bytes] = []
        while length := self._unit():
            units.append(bytes(self._buffer[:length]))
            del self._buffer[:length]
        return units

    def _unit(self) -> int:
        buffer = self._buffer
        if self._raw:
            return len(buffer)
        if self._head:
            end = buffer.find(b"\r\n\r\n") + 4
            if end < 4:
                return 0
            self._head = False
            self._raw = buffer.startswith(b"HTTP/") and b" 101 " not in buffer[:16]
            return end
        place = _payload_at(buffer)
        if place is None:
            return 0
        start, length = place
        return start + length if len(buffer) >= start + length else 0


def _payload_at(frame: bytes | bytearray) -> tuple[int, int] | None:
    """Where the payload of a frame begins, and its length; None: too few bytes to tell."""
    if len(frame) < 2:
        return None
    length = frame[1] & 0x7F
    more = {126: 2, 127: 8}.get(length, 0)
    if len(frame) < 2 + more:
        return None
    if more:
        length = int.from_bytes(frame[2 : 2 + more])
    return 2 + more + (4 if frame[1] & 0x80 else 0), length


def payload(frame: bytes) -> bytes:
    """What is in a whole frame, unmasked."""
    place = _payload_at(frame)
    assert place is not None
    start, length = place
    body = frame[start : start + length]
    if not frame[1] & 0x80:
        return body
    mask = (frame[start - 4 : start] * (length // 4 + 1))[:length]
    return (int.from_bytes(body) ^ int.from_bytes(mask)).to_bytes(length)
