"""A server at whose gate peers arrive from any address, with any headers."""

from __future__ import annotations

import random
from typing import Any

from core.server_kit import Kit, Peer
from im_proto.framing import Framing
from im_proto.limits import FrameLimits
from im_proto.server import inputs as inp
from im_proto.server import talk
from im_proto.server.hub import Hub, HubInput, HubOutput


class Gate(Kit):
    """See the module.

    Attributes:
        told: what the connections have told the hub.
    """

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.told: list[object] = []
        step = self.gateway.hub.step

        def listen(*events: HubInput, now: float) -> list[HubOutput]:
            self.told += events
            return step(*events, now=now)

        self.gateway.hub.step = listen  # type: ignore[method-assign]

    def come(
        self,
        address: str = "",
        *,
        host: str = "server",
        target: str = "/ws",
        asks: bool = True,
        messages: bool = False,
        headers: tuple[tuple[str, str], ...] = (),
        **more: str,
    ) -> Peer:
        """A new connection from `address`, that asks for its upgrade (`asks`); `more` are headers,
        with `_` for `-`."""
        peer = Peer(self, len(self.peers) + 1)
        named = tuple((name.replace("_", "-"), value) for name, value in more.items())
        peer._framing = Framing.client(
            host=host,
            target=target,
            rng=random.Random(peer.connection),
            limits=FrameLimits(message_bytes=2**24, control_burst=10**6),
            headers=(*headers, *named),
        )
        self.peers[peer.connection] = peer
        self.do(inp.ConnectionMade(connection=peer.connection, peer=address, messages=messages))
        if asks:
            peer.upgrade()
        return peer

    @property
    def hub(self) -> Hub:
        """Of the gateway."""
        return self.gateway.hub

    @property
    def addresses(self) -> list[str]:
        """From where those have come who asked for room, in order."""
        return [event.address for event in self.told if isinstance(event, talk.Arrived)]

    @property
    def inside(self) -> int:
        """How many WebSockets are counted, the same by each who counts."""
        keeper = self.hub._doorkeeper
        assert keeper.inside == keeper._doors.inside
        return keeper.inside

    @property
    def strangers(self) -> int:
        """… of which nobody has logged in on so many."""
        return self.hub._doorkeeper.strangers

    def assert_empty(self) -> None:
        """Nobody is counted anywhere."""
        keeper = self.hub._doorkeeper
        assert (self.inside, self.strangers) == (0, 0)
        assert (keeper._hall.inside, keeper._hall.places, keeper._doors.places) == (0, 0, 0)
        assert not self.gateway.engines


def status(peer: Peer) -> int:
    """Of the answer to its upgrade request."""
    return int(peer.http.split(b" ", 2)[1])


def retry_after(peer: Peer) -> int | None:
    """Seconds, as that answer says."""
    for line in peer.http.split(b"\r\n"):
        name, _, value = line.partition(b": ")
        if name.lower() == b"retry-after":
            return int(value)
    return None
