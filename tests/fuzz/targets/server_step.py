"""A server with several clients, a store, a site and a clock that do what the bytes say."""

from __future__ import annotations

import json
from typing import Any, Final

from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_proto.server.login import CAPABILITIES
from im_proto.testing.peers import FarClient
from tests.fuzz.feed import Feed, as_text
from tests.fuzz.judge import SECRET
from tests.fuzz.targets.dialects import KINDS
from tests.fuzz.targets.server_world import WALL, World

ADDRESSES: Final = ("192.0.2.1", "192.0.2.2", "", "2001:db8::1")
CLOSES: Final = (1000, 1001, 1002, 3000, 4000)
STEPS: Final = (0.0, 0.001, 0.05, 0.3, 1.5, 31.0, 400.0, -3.0)
CALLS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("startChat", {"bookId": 7, "buyerId": 1, "sellerId": 2}),
    ("getCurrent", {"userId": 1}),
    ("history", {"peerId": 2}),
    ("get", {"sessionId": 1}),
    ("nonsense", {}),
)
#: connections that one episode opens at most
MANY: Final = 12


class Server(World):
    """What can happen to a server, one method each."""

    # ------------------------------------------------------------ what can happen: a client

    def op_comes(self) -> None:
        """Somebody connects."""
        if len(self.peers) < MANY:
            self._come(self.feed.pick(ADDRESSES))

    def op_logs_in(self) -> None:
        """Somebody connects and goes all the way."""
        user, how = 1 + self.feed.byte() % 3, self.feed.byte()
        if len(self.peers) == MANY:
            return
        peer = self._come("192.0.2.1")
        self._bytes(peer, peer.request())
        body: dict[str, Any] = {"accessToken": f"{user}", "userId": user}
        if how % 4:
            body |= {"capabilities": list(CAPABILITIES), "deviceId": f"d{how % 2}"}
            body["limits"] = {"batch": 3, "frameBytes": 4096}
        if how % 4 == 3:
            body["resume"] = {"epoch": "e0", "seq": how // 64}
        self._envelope(peer, "AUTH_REQUEST", body)
        self._verify()
        self._stored(len(self.asked))

    def op_upgrades(self) -> None:
        """A request as it should be, or with more headers, or with other bytes in place of it."""
        peer, other = self._some(), self.feed.chunk()
        if peer is None or peer.asked:
            return
        request = peer.request()
        if other[:1] == b"+":
            request = request[:-2] + other[1:] + b"\r\n\r\n"
        elif other:
            request = other
        self._bytes(peer, request)

    def op_asks_in(self) -> None:
        """AUTH_REQUEST with any fields."""
        peer, body = self._some(), self.feed.text()
        if peer is not None:
            body = body or json.dumps({"accessToken": SECRET, "userId": 1})
            self._text(peer, json.dumps({"type": "AUTH_REQUEST", "message": body}))

    def op_bytes(self) -> None:
        """Any bytes."""
        peer, data = self._some(), self.feed.chunk()
        if peer is not None:
            self._bytes(peer, data)

    def op_says(self) -> None:
        """Any fields of a known message."""
        peer, kind, body = self._some(), self.feed.pick(KINDS), self.feed.text()
        if peer is not None:
            self._text(peer, json.dumps({"type": kind, "message": body}))

    def op_text(self) -> None:
        """Any text frame."""
        peer, text = self._some(), self.feed.text()
        if peer is not None:
            self._text(peer, text)

    def op_chats(self) -> None:
        """Messages, one or many."""
        peer, first, user = self._some(), self.feed.byte(), 1 + self.feed.byte() % 4
        for msg_id in range(first + 1, first + 2 + self.feed.byte() % 8):
            if peer is not None:
                body = {"msgId": msg_id, "toUser": user, "content": f"m{msg_id}"}
                self._envelope(peer, "CHAT_SEND_TO_ONE_REQUEST", body)

    def op_acks(self) -> None:
        """How far it is, rightly or not; or that it has a hole."""
        peer, seq = self._some(), self.feed.byte()
        if peer is not None:
            kind, key = self.feed.pick((("CHAT_ACK_REQUEST", "seq"), ("SYNC_REQUEST", "after")))
            self._envelope(peer, kind, {key: seq})

    def op_extends(self) -> None:
        """Receipts, questions, typing, calls."""
        peer, n = self._some(), self.feed.byte()
        what = self.feed.byte() % (3 + len(CALLS))
        if peer is None:
            return
        if what == 0:
            self._envelope(peer, "CHAT_READ_RECEIPT_REQUEST", {"msgId": n + 1, "fromUser": 1})
        elif what == 1:
            self._envelope(peer, "MESSAGE_STATUS_REQUEST", {"msgIds": [n + 1, n + 2]})
        elif what == 2:
            self._envelope(peer, "TYPING", {"toUser": n % 4, "active": n > 99})
        else:
            op, params = CALLS[what - 3]
            self._envelope(peer, "SESSION_REQUEST", {"id": f"c{n}", "op": op, "params": params})

    def op_closes(self) -> None:
        """A close frame, a ping, a pong."""
        peer, what = self._some(), self.feed.pick(("ping", "pong", *CLOSES))
        if peer is None or not peer.framing.open:
            return
        if isinstance(what, int):
            self._bytes(peer, peer.framing.send_close(what))
        elif what == "ping":
            self._bytes(peer, peer.framing.send_ping(b"?"))
        else:
            self._bytes(peer, peer.framing.send_pong(self.feed.chunk()[:125]))

    def op_lost(self) -> None:
        """A connection ends."""
        peer = self._some()
        if peer is not None:
            peer.ended = True
            self.do(inp.ConnectionLost(connection=peer.connection))

    def op_write(self) -> None:
        """A client takes nothing for now, or takes again."""
        peer, blocks = self._some(), self.feed.flag()
        if peer is None:
            return
        kind = inp.WriteBlocked if blocks else inp.WriteReady
        self.do(kind(connection=peer.connection))
        if blocks:
            self.is_blocked.add(peer.connection)
        else:
            self.is_blocked.discard(peer.connection)
            self.blocked.pop(peer.connection, None)

    def _come(self, address: str) -> FarClient:
        connection = len(self.peers) + 1
        peer = FarClient(connection, path="/ws", message_bytes=self.config.message_bytes)
        self.peers[connection] = peer
        self.do(inp.ConnectionMade(connection=connection, peer=address))
        return peer

    def _some(self) -> FarClient | None:
        here = [peer for n, peer in self.peers.items() if n not in self.gone]
        return here[self.feed.byte() % len(here)] if here else None

    def _envelope(self, peer: FarClient, kind: str, message: dict[str, Any]) -> None:
        self._text(peer, json.dumps({"type": kind, "message": message}))

    def _text(self, peer: FarClient, text: str) -> None:
        if peer.framing.open and not any("\ud800" <= c <= "\udfff" for c in text):
            self._bytes(peer, peer.framing.send_text(text))

    def _bytes(self, peer: FarClient, data: bytes) -> None:
        """They arrive when the server reads; what it does not read waits."""
        peer.unread += data
        if peer.unread and peer.connection not in self.paused | self.gone:
            data, peer.unread = peer.unread, b""
            self.do(inp.BytesReceived(connection=peer.connection, data=data))

    # ------------------------------------------------------------ authenticator, store, site

    def op_token(self) -> None:
        """A token is known, or not."""
        verdict = self.feed.byte() % 4
        if verdict == 3 and self.tokens:
            asked = self.tokens.popleft()
            self.do(inp.TokenRefused(connection=asked.connection, code=40101, reason="no"))
        elif self.tokens:
            self._verify()

    def _verify(self) -> None:
        while self.tokens:
            asked = self.tokens.popleft()
            user = int(asked.token) if asked.token in ("1", "2", "3") else 1
            roles = frozenset({"broadcast"}) if user == 3 else frozenset[str]()
            self.do(
                inp.TokenVerified(
                    connection=asked.connection, user=user, roles=roles, expires_in=90.0
                )
            )

    def op_store(self) -> None:
        """The store has done what it was asked first, and more of it."""
        self._stored(1 + self.feed.byte() % 8)

    def op_store_fails(self) -> None:
        """At what it was asked first."""
        if self.asked and not isinstance(self.asked[0], act.StoreSeen):
            self.do(inp.StoreFailed(request=self.asked.popleft().request, reason="full"))

    def _stored(self, count: int) -> None:
        for _ in range(min(count, len(self.asked))):
            answer = self.store.carry_out(self.asked.popleft())
            if answer is not None:
                self.do(answer)

    def op_authorized(self) -> None:
        """The site says who may write to whom."""
        allowed = self.feed.pick((True, True, False, None))
        if self.authorizing:
            request = self.authorizing.popleft().request
            self.do(inp.Authorized(request=request, allowed=allowed))

    def op_site(self) -> None:
        """The site sends, calls, kicks, revokes."""
        what, user, n = self.feed.byte() % 4, 1 + self.feed.byte() % 3, self.feed.byte()
        if what == 0:
            self.do(inp.KickAsked(user=user, reconnect=n % 2 == 0, retry_after=n or None))
            return
        self.requests += 1
        self.waiting.add(self.requests)
        if what == 1:
            self.do(
                inp.SendAsked(
                    request=self.requests,
                    from_user=user,
                    to_user=1 + n % 4,
                    content=as_text(self.feed.chunk()),
                    msg_id=n or None,
                )
            )
        elif what == 2:
            op, params = CALLS[n % len(CALLS)]
            self.do(
                inp.CallAsked(
                    request=self.requests, user=user, op=op, params=params, trusted=n > 99
                )
            )
        else:
            self.do(inp.RevokeAsked(request=self.requests, user=user))

    def op_stale(self) -> None:
        """What nobody waits for any more."""
        n = 10**6 + self.feed.byte()
        stale: tuple[inp.Input, ...] = (
            inp.StoreFailed(request=n, reason="of another life"),
            inp.ReadDone(request=n, entries=(), head=9),
            inp.Committed(request=n, results=()),
            inp.TokenVerified(connection=n, user=1),
            inp.BytesReceived(connection=n, data=b"\x81\x00"),
            inp.ConnectionLost(connection=n),
            inp.WriteReady(connection=n),
            inp.Authorized(request=n, allowed=True),
        )
        event = self.feed.pick(stale)
        assert self.gateway.step(event, self.now) == [], f"{event} is stale"

    # ------------------------------------------------------------ time, and the end

    def op_deadline(self) -> None:
        """The gateway is woken when it wanted to be."""
        at = self.gateway.next_deadline()
        if at is not None:
            self.now = max(self.now, self.latest, at)
            self._wake()

    def op_time(self) -> None:
        """A clock that jumps, stands still or goes back."""
        self.now += self.feed.pick(STEPS)
        self._wake()

    def _wake(self) -> None:
        for _ in range(50):
            self.do(inp.TimePassed())
            at = self.gateway.next_deadline()
            if at is None or at > self.now:
                break
        else:
            raise AssertionError("no time would pass: a livelock")
        for peer in list(self.peers.values()):
            self._bytes(peer, b"")  # what was not read is, where reading goes on

    def op_wall(self) -> None:
        """The wall clock is set."""
        self.do(inp.WallClock(wall=WALL + 60.0 * (self.feed.byte() - 128)))

    def op_down(self) -> None:
        """The server goes down, if it is late in the day."""
        if self.feed.byte() > 200:
            self.do(inp.Shutdown(retry_after=self.feed.pick((None, 1.0))))

    def ends(self) -> None:
        """Everybody leaves, the store does its work, time goes on: nothing is kept."""
        for connection in list(self.gateway.engines):
            self.do(inp.ConnectionLost(connection=connection))
        for _ in range(100):
            while self.authorizing:
                request = self.authorizing.popleft().request
                self.do(inp.Authorized(request=request, allowed=True))
            self._stored(len(self.asked))
            if not self.asked and not self.authorizing and not self.waiting:
                break
            self.op_deadline()
        assert not self.gateway.engines and self.gateway.online() == {}
        assert not self.waiting, "the site waits for ever"
        if self.drained:
            return
        self.do(inp.Shutdown())
        for _ in range(100):
            if self.drained:
                return
            self._stored(len(self.asked))
            self.op_deadline()
        raise AssertionError("it never goes down")


#: their order is what the bytes of the corpus mean
OPS: Final = tuple(name for name in vars(Server) if name.startswith("op_"))


def fuzz(data: bytes) -> None:
    """See the module."""
    feed = Feed(data)
    server = Server(feed)
    for _ in range(200):
        if feed.done:
            break
        getattr(server, feed.pick(OPS))()
    server.ends()
