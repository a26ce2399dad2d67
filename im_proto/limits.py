"""What one peer may make us hold or do before it is refused, byte level."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["FrameLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLimits:
    """Caps of one WebSocket connection, the same for both roles. Every one is above zero.

    Attributes:
        handshake_bytes: the whole opening handshake of the peer, interim answers included.
        handshake_headers: its header lines; h11 counts neither.
        message_bytes: one message, summed over its frames as they are announced; after inflation.
        message_frames: the frames of one message.
        control_burst: Ping and Pong frames taken at once ...
        control_rate: ... and how many more each second allows.
        fragment_burst: the same of frames that end no message; None: any number ...
        fragment_rate: ... and each second.
    """

    #: What common HTTP servers take for all headers: room for a long token, not for a flood.
    handshake_bytes: int = 8192
    #: A browser sends about 15, a chain of proxies adds as many again.
    handshake_headers: int = 64
    #: 1000 UTF-16 units of content are 6 KB when escaped; the rest is room for batches.
    message_bytes: int = 65536
    #: Nobody cuts 64 KiB smaller than 1 KiB; a frame costs us about 15 us, however empty.
    message_frames: int = 64
    #: Pings that heaped up behind a stalled link arrive together.
    control_burst: int = 50
    #: Far above any keepalive, and 0.3 ms of work a second.
    control_rate: float = 20.0
    #: Whoever counts messages does not see them, and one costs as much as a short message.
    fragment_burst: int | None = None
    fragment_rate: float = 100.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value > 0:
                raise ValueError(f"FrameLimits.{field.name} must be above zero")
