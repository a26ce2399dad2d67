"""Envelopes into frames (protocol.md section 2, `batch`)."""

from __future__ import annotations


def pack(envelopes: list[str], *, batch: int, frame_bytes: int) -> list[list[str]]:
    """Cut a list of written envelopes into batches of at most `batch` and `frame_bytes` bytes.

    An envelope that is too large alone gets a frame of its own.
    """
    count = len(envelopes)
    if batch <= 1 or count <= 1:
        return [[envelope] for envelope in envelopes]
    if (  # as they mostly do, all fit into one frame; measured as below
        count <= batch
        and 2 + sum(map(len, envelopes)) + count <= frame_bytes
        and all(map(str.isascii, envelopes))
    ):
        return [envelopes]
    frames: list[list[str]] = []
    size = 0
    for envelope in envelopes:
        length = len(envelope) if envelope.isascii() else len(envelope.encode())
        # the brackets of the array, and the comma before this one
        if not frames or len(frames[-1]) >= batch or size + length + 1 > frame_bytes:
            frames.append([])
            size = 2
        frames[-1].append(envelope)
        size += length + 1
    return frames
