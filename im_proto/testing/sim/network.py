"""Byte streams between machines: latency, cuts at any byte, full buffers, and every kind of end.

TCP as an application sees it: bytes come in order and once, or the stream ends. What is modelled
is what an end of it can notice: when bytes come and in which pieces, that writing blocks, that a
peer closed (all bytes came before), reset it (they may not have), or is silent for ever.
"""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .client import ClientNode
    from .node import Node
    from .server import ServerNode
    from .world import SimWorld

#: Bytes on their way that the reader has not read: the kernel's two buffers.
WINDOW: Final = 65_536
#: A writer's own buffer: over this it is told WriteBlocked, under a quarter of it WriteReady.
HIGH_WATER: Final = 65_536
#: The most bytes of one read.
READ: Final = 65_536

#: Seconds between two pieces of a stream that comes in small ones.
_APART: Final = 0.001

_FIN: Final = "fin"
_RST: Final = "rst"
Piece = bytes | str


class End:
    """One end of a stream: what it writes, and what has arrived for it.

    Attributes:
        node: whose it is.
        name: the node's number of it: a transport or a connection.
        other: the other end.
        open: the node takes part.
        dead: what is written here goes nowhere and nobody is told.
        reading: the node wants to read.
        trickle: (bytes, seconds): it reads so little at a time; None: all at once.
        window: bytes that may be on their way from here.
        high: bytes that may wait to be sent before the node is told WriteBlocked.
        piece: the most bytes that arrive together, 0: no such limit.
        tampered: bytes were put into the stream that the node did not write.
    """

    __slots__ = (
        "arrived",
        "blocked",
        "buffered",
        "closing",
        "dead",
        "flying",
        "high",
        "inject",
        "last_at",
        "name",
        "node",
        "open",
        "other",
        "parked",
        "piece",
        "queue",
        "reading",
        "ready",
        "tampered",
        "trickle",
        "trickling",
        "window",
    )

    other: End

    def __init__(self, node: Node[Any], name: int) -> None:
        self.node = node
        self.name = name
        self.open = True
        self.dead = False
        self.closing = False
        self.reading = True
        #: its node was told that the stream is open
        self.ready = False
        self.trickle: tuple[int, float] | None = None
        self.trickling = False
        self.tampered = False
        self.window = WINDOW
        self.high = HIGH_WATER
        self.piece = 0
        self.blocked = False
        #: written and not yet sent
        self.queue: deque[bytes] = deque()
        self.buffered = 0
        #: sent and not yet read
        self.flying = 0
        self.last_at = 0.0
        #: held up by a partition
        self.parked: list[Piece] = []
        #: here, and not yet read
        self.arrived: deque[Piece] = deque()
        #: to be put into the middle of the next write
        self.inject = b""

    @property
    def connected(self) -> bool:
        """There is another end."""
        return hasattr(self, "other")

    @property
    def tampered_with(self) -> bool:
        """Bytes that no engine wrote were put into this stream, in either direction."""
        return self.tampered or (self.connected and self.other.tampered)


class Network:
    """All streams of a world.

    Attributes:
        latency: the mean time of a byte's way, in seconds.
        cutting: how often a write arrives in pieces.
        slow_lines: how often a client has a line that hardly brings anything.
    """

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self._rng: random.Random = world.rng
        self.latency = 0.01
        self.cutting = 0.3
        self.slow_lines = 0.0
        #: the clients' ends of the streams that are not over, the oldest first
        self.ends: dict[End, None] = {}
        self._parked: list[End] = []
        self._waiting: list[tuple[ClientNode, End, ServerNode]] = []

    # ------------------------------------------------------------ opening

    def open(self, client: ClientNode, transport: int, server: ServerNode) -> End:
        """A client wants a stream; it is told by TransportOpened or TransportFailed."""
        end = End(client, transport)
        world = self._world
        if client.no_names:
            world.later(self._rng.uniform(0.0, 0.5), self._unnamed, client, end)
        else:
            world.later(self._way(), self._knock, client, end, server)
        return end

    def _unnamed(self, client: ClientNode, end: End) -> None:
        if end.open:
            end.open = False
            client.failed_to_open(end, "dns")

    def _knock(self, client: ClientNode, end: End, server: ServerNode) -> None:
        if not end.open:
            return
        if client.machine.island != server.machine.island or server.machine.asleep is not None:
            self._waiting.append((client, end, server))
        elif not server.listening:
            self._world.later(self._way(), self._refused, client, end)
        else:
            self._meet(end, server)
            self._world.later(self._way(), self._opened, client, end)

    def _meet(self, end: End, server: ServerNode) -> None:
        host = server.imposter or server
        other = End(host, server.new_name())
        end.other, other.other = other, end
        if self._rng.random() < 0.05:
            end.piece = other.piece = self._rng.choice((7, 50, 1000))
        elif self._rng.random() < self.slow_lines:
            end.trickle = self._rng.choice(((200, 0.05), (50, 1.0)))
            other.window, other.high = 256, 100
        self.ends[end] = None
        other.ready = True
        host.made(other)

    def meet(self, node: Node[Any]) -> End | None:
        """Connect a node without an engine at once; None if nobody listens."""
        server = self._world.server
        if not server.listening or server.frozen:
            return None
        end = End(node, 1)
        end.ready = True
        self._meet(end, server)
        return end

    def _refused(self, client: ClientNode, end: End) -> None:
        if end.open:
            end.open = False
            client.failed_to_open(end, "refused")

    def _opened(self, client: ClientNode, end: End) -> None:
        if end.open:
            end.ready = True
            client.opened(end)
            self.read(end)

    # ------------------------------------------------------------ writing

    def write(self, end: End, data: bytes) -> None:
        """Write, after what was written before."""
        if not end.open or end.closing:
            return
        if end.arrived and end.arrived[-1] is _RST:  # noticed now, though nobody reads
            self._broken(end)
            return
        if end.inject:
            at = self._rng.randrange(len(data) + 1)
            data = data[:at] + end.inject + data[at:]
            end.inject = b""
        end.queue.append(data)
        end.buffered += len(data)
        self._send(end)
        if not end.blocked and end.buffered > end.high:
            end.blocked = True
            end.node.write_blocked(end)

    def _send(self, end: End) -> None:
        """Put on the way what the window allows."""
        queue, rng = end.queue, self._rng
        while queue and end.flying < end.window:
            data = queue[0]
            length = size = len(data)
            room = end.window - end.flying
            if size > room:
                size = room
            if end.piece:
                size = min(size, end.piece)
            elif size > 1 and rng.random() < self.cutting:
                size = rng.randrange(1, size)
            if size == length:
                queue.popleft()
            else:
                queue[0] = data[size:]
                data = data[:size]
            end.buffered -= size
            end.flying += size
            self._travel(end, data)
        if end.closing and not queue:
            self._finish(end)
        elif end.blocked and end.buffered <= end.high // 4:
            end.blocked = False
            end.node.write_ready(end)

    def _travel(self, end: End, piece: Piece) -> None:
        # bytes of a stream don't overtake one another, and small pieces come one after the other
        earliest = end.last_at + _APART if end.piece else end.last_at
        at = self._world.now + self._way()
        end.last_at = at = max(earliest, at)
        self._world.at(at, self._arrive, end, piece)

    def _way(self) -> float:
        return (0.5 + self._rng.random()) * self.latency

    # ------------------------------------------------------------ arriving

    def _arrive(self, end: End, piece: Piece) -> None:
        """What `end` has sent comes to the other."""
        other = end.other
        if end.dead:
            return
        if end.parked or end.node.machine.island != other.node.machine.island:
            if piece is not _RST:  # TCP sends everything again but a reset
                self._park(end, piece)
            return
        if not other.open:
            if isinstance(piece, bytes) and not other.dead:
                self._reset(other)
            return
        other.arrived.append(piece)
        if piece is _RST and self._rng.random() < 0.5:
            other.arrived.clear()  # a reset throws away what was not read
            other.arrived.append(piece)
        self.read(other)

    def read(self, end: End) -> None:
        """The node reads what is there, if it reads at all."""
        while end.arrived and end.open and end.ready and not end.node.frozen:
            if end.arrived[0] is _RST or (end.arrived[-1] is _RST and end.queue):
                self._over(end, "connection reset by peer")
                return
            if not end.reading:
                return
            if end.trickle is not None:
                self._trickle(end)
                return
            self._take(end, READ)

    def _trickle(self, end: End) -> None:
        if not end.trickling:
            assert end.trickle is not None
            end.trickling = True
            self._world.later(end.trickle[1], self._trickled, end)

    def _trickled(self, end: End) -> None:
        end.trickling = False
        readable = end.arrived and end.arrived[0] is not _RST  # a reset is `read`'s affair
        if readable and end.open and not end.node.frozen and end.reading:
            self._take(end, end.trickle[0] if end.trickle is not None else READ)
        self.read(end)

    def _take(self, end: End, most: int) -> None:
        arrived = end.arrived
        first = arrived.popleft()
        if first is _FIN:
            self._over(end, "")
            return
        assert isinstance(first, bytes)
        data = first
        while arrived and len(data) < most and isinstance(arrived[0], bytes):
            data += arrived.popleft()  # type: ignore[operator]
        if len(data) > most:
            arrived.appendleft(data[most:])
            data = data[:most]
        end.other.flying -= len(data)
        if end.other.open or end.other.queue:
            self._send(end.other)
        end.node.bytes_in(end, data)

    def _over(self, end: End, reason: str) -> None:
        """The stream has ended for this end, which is told."""
        self._forget(end)
        end.node.lost(end, reason)

    def _forget(self, end: End) -> None:
        end.open = False
        end.queue.clear()
        end.arrived.clear()
        end.buffered = 0
        if not end.other.open:
            self.ends.pop(end, None)
            self.ends.pop(end.other, None)

    # ------------------------------------------------------------ ends

    def close(self, end: End) -> None:
        """Send what is still buffered, then close; the node is told when that is done."""
        if not end.open or end.closing:
            return
        end.closing = True
        end.reading = False
        if not end.queue:
            self._finish(end)

    def _finish(self, end: End) -> None:
        end.closing = False
        # a close with unread bytes resets (RFC 1122 section 4.2.2.13)
        self._travel(end, _RST if end.arrived else _FIN)
        self._forget(end)
        self._world.later(0.0, end.node.lost, end, "")

    def abort(self, end: End) -> None:
        """Drop it at once: the other end is reset, this one hears no more of it."""
        if not end.open:
            return
        if not end.connected:
            end.open = False  # it was still being opened
            return
        self._travel(end, _RST)
        self._forget(end)

    def vanish(self, end: End) -> None:
        """Gone without a word: the other end hears nothing, now or ever."""
        if end.open and end.connected:
            end.dead = end.other.dead = True
            self._forget(end)
        end.open = False

    def _reset(self, end: End) -> None:
        """`end` is gone and bytes came for it: its machine answers with a reset."""
        self._travel(end, _RST)

    def cut(self, end: End, *, tell: bool = True, tell_other: bool = True) -> None:
        """The stream breaks in the net: both ends are reset, or not told."""
        for one, told in ((end, tell), (end.other, tell_other)):
            one.dead = True
            one.queue.clear()
            one.buffered = 0
            if told and one.open:
                self._world.later(self._way(), self._broken, one)

    def _broken(self, end: End) -> None:
        if end.open:
            end.arrived.clear()
            end.arrived.append(_RST)
            self._world.later(0.0, self.read, end)

    def drop(self, end: End) -> None:
        """The stream breaks for this end alone; what it wrote before still arrives."""
        if end.open:
            self._broken(end)

    def truncate(self, end: End) -> None:
        """The other end sees a clean end of file where `end` had more to say."""
        self._travel(end, _FIN)
        self._forget(end)
        self._world.later(self._way(), end.node.lost, end, "connection reset by peer")

    # ------------------------------------------------------------ partitions

    def _park(self, end: End, piece: Piece) -> None:
        if not end.parked:
            self._parked.append(end)
        end.parked.append(piece)

    def heal(self) -> None:
        """Islands have changed: what TCP has kept on sending gets through."""
        parked, self._parked = self._parked, []
        for end in parked:
            pieces, end.parked = end.parked, []
            for piece in pieces:  # at once: what was sent later is on its way already
                self._arrive(end, piece)
        waiting, self._waiting = self._waiting, []
        for client, end, server in waiting:
            self._world.later(self._way(), self._knock, client, end, server)
