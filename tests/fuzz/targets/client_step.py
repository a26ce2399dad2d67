"""A client with a peer, a network, an application and a disk that do what the bytes say."""

from __future__ import annotations

import json
from typing import Any, Final

from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.server.login import CAPABILITIES
from im_proto.testing.peers import FarServer
from im_proto.wire.session import SessionOp
from tests.fuzz.feed import Feed
from tests.fuzz.judge import SECRET
from tests.fuzz.targets.client_world import World
from tests.fuzz.targets.dialects import KINDS

CODES: Final = (0, 200, 400, 403, 40100, 40101, 40400, 40900, 42900, 50000)
CLOSES: Final = (1000, 1001, 1002, 1008, 1011, 1012, 1013, 4001, 4003, 4008, 4009, 4999)
STEPS: Final = (0.0, 0.001, 0.3, 1.5, 6.0, 31.0, 400.0, -3.0)
LATE: Final = (0.0, 0.0, 0.0, 0.4, 2.0, 90.0)
SLEPT: Final = (None, 0.0, 5.0, 3600.0, -60.0)
STATUSES: Final = (101, 101, 301, 401, 404, 429, 503)
WELCOMES: Final[tuple[dict[str, Any], ...]] = (
    {"code": 200, "message": "hello"},
    {
        "code": 0,
        "data": {
            "capabilities": list(CAPABILITIES),
            "epoch": "e0", "seq": 0, "expiresIn": 60.0, "lastMsgId": 5,
            "limits": {"batch": 3, "inFlight": 2, "frameBytes": 4096},
            "heartbeat": {"interval": 7.0, "timeout": 2.0},
        },
    },
    {"code": 0, "data": {"capabilities": ["seq"], "epoch": "e1", "seq": 3, "resume": "reset",
                         "oldest": 4}},
    {"code": 40101, "message": "no"},
)  # fmt: skip
CALLS: Final[tuple[dict[str, Any], ...]] = (
    {"op": SessionOp.GET_CURRENT},
    {"op": SessionOp.GET, "session_id": 7},
    {"op": SessionOp.HISTORY, "peer_id": 2},
    {"op": SessionOp.CREATE, "book_id": 1, "buyer_id": 1, "seller_id": 2},
    {"op": SessionOp.GET},
)
SENDS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"key": "k1"},
    {"ttl": 0.2},
    {"wait": True},
    {"priority": "high"},
    {"session_id": 7, "message_type": "image"},
)


class Client(World):
    """What can happen to a client, one method each."""

    # ------------------------------------------------------------ what can happen: the way in

    def op_gets_on(self) -> None:
        """What would come next if all went well."""
        link = self.link
        if self.engine.state(self.now).status is ev.Status.DISCONNECTED:
            self.do(inp.Connect())
        elif self.token is not None:
            self.do(inp.TokenReady(request=self.token, token=SECRET))
        elif link is None:
            self.now = max(self.now, self.latest, self.engine.next_deadline() or 0.0)
            self.do(inp.TimePassed())
        elif link.closed or link.leaving:
            self.do(inp.TransportLost(transport=link.transport))
        elif not link.opened:
            self.do(inp.TransportOpened(transport=link.transport))
        elif link.tunnel == "asked":
            self._arrive(link, b"HTTP/1.1 200 Go on\r\n\r\n")
        elif link.tunnel == "tls":
            self.do(inp.TlsStarted(transport=link.transport))
        elif link.asks:
            self._arrive(link, link.answer(capable=True))
        elif link.framing.open:
            self._say("AUTH_RESPONSE", WELCOMES[1])

    def op_logs_in(self) -> None:
        """All of it, up to the log-in."""
        for _ in range(8):
            if self.engine.core.login.state == "authenticated":
                break
            self.op_gets_on()

    def op_upgraded(self) -> None:
        """The upgrade request is answered, one way or the other."""
        if self.link is not None and self.link.asks:
            self._arrive(self.link, self.link.answer(status=self.feed.pick(STATUSES), capable=True))

    def op_welcomed(self) -> None:
        """The log-in is answered, asked or not."""
        welcome = self.feed.pick(WELCOMES)
        if self.config.dialect == "typed":
            self._say("auth_response", {"success": welcome["code"] in (0, 200)})
        else:
            self._say("AUTH_RESPONSE", welcome)

    # ------------------------------------------------------------ the server's side

    def op_bytes(self) -> None:
        """Any bytes."""
        data = self.feed.chunk()
        if self.link is not None and self.link.opened and data:
            self._arrive(self.link, data)

    def op_says(self) -> None:
        """Any fields of a known message."""
        kind, body = self.feed.pick(KINDS), self.feed.text()
        self._text(json.dumps({"type": kind, "message": body}))

    def op_text(self) -> None:
        """Any text frame."""
        self._text(self.feed.text())

    def op_answers(self) -> None:
        """What was sent is answered."""
        if self.flying:
            msg_id = self.flying[self.feed.byte() % len(self.flying)]
            code = self.feed.pick(CODES)
            if self.config.dialect == "typed":
                self._text(json.dumps({"type": "chat_response", "id": f"m{msg_id}", "code": code}))
            else:
                self._say("CHAT_SEND_RESPONSE", {"msgId": msg_id, "code": code})

    def op_pushes(self) -> None:
        """Some messages of a mailbox, in one frame or several."""
        seq, count, batch = self.feed.byte(), self.feed.byte() % 6, self.feed.flag()
        pushes = [
            {"type": "CHAT_REDIRECT_TO_USER_REQUEST", "message": json.dumps(
                {"content": f"m{n}", "fromUser": 2, "msgId": n + 1, "seq": n or None})}
            for n in range(seq, seq + count)
        ]  # fmt: skip
        if batch and pushes:
            self._text(json.dumps(pushes))
            return
        for push in pushes:
            self._text(json.dumps(push))

    def op_closes(self) -> None:
        """A close frame, or a ping."""
        code = self.feed.pick((0, *CLOSES))
        if self.link is not None and self.link.framing.open:
            framing = self.link.framing
            self._arrive(self.link, framing.send_close(code) if code else framing.send_ping(b"?"))

    def op_partly(self) -> None:
        """What the server has said arrives but for its end, which comes with what is next."""
        link = self.link
        if link is not None and link.framing.open:
            data = link.framing.send_text('{"type":"HEARTBEAT_RESPONSE"}')
            link.unread += data[: -1 - self.feed.byte() % len(data)]
            self._arrive(link, b"")

    def _say(self, kind: str, body: dict[str, Any]) -> None:
        self._text(json.dumps({"type": kind, "message": json.dumps(body), "data": body}))

    def _text(self, text: str) -> None:
        link = self.link
        if link is None or not link.framing.open:
            return
        if text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text):
            self._arrive(link, link.framing.send_text(text))

    def _arrive(self, link: FarServer, data: bytes) -> None:
        link.unread += data
        if link.unread and not self.paused and link.opened:
            data, link.unread = link.unread, b""
            self.do(inp.BytesReceived(transport=link.transport, data=data))

    # ------------------------------------------------------------ the network

    def op_opened(self) -> None:
        """A transport is there, or can't be had."""
        if self.link is not None:
            transport = self.link.transport
            if self.feed.flag():
                self.do(inp.TransportFailed(transport=transport, reason=self.feed.text()))
            else:
                self.do(inp.TransportOpened(transport=transport))

    def op_lost(self) -> None:
        """The transport ends, before it was there or after."""
        if self.link is not None:
            self.do(inp.TransportLost(transport=self.link.transport, reason=self.feed.text()))

    def op_write(self) -> None:
        """The write buffer is full, or empty again."""
        kind = inp.WriteBlocked if self.feed.flag() else inp.WriteReady
        if self.link is not None and self.link.opened:
            self.do(kind(transport=self.link.transport))

    def op_network(self) -> None:
        """Another network."""
        self.do(inp.NetworkChanged())

    def op_stale(self) -> None:
        """What nobody waits for any more."""
        n = 10**6 + self.feed.byte()
        stale: tuple[inp.Input, ...] = (
            inp.BytesReceived(transport=n, data=b"\x81\x00"),
            inp.TransportLost(transport=n),
            inp.TransportOpened(transport=n),
            inp.TlsStarted(transport=n),
            inp.TokenReady(request=n, token="x"),
            inp.HttpAnswered(request=n, status=200, body=b"{}"),
            inp.JournalWritten(request=n),
            inp.JournalFailed(request=n, reason="full"),
            inp.MessageHandled(delivery=n),
            inp.MessageTaken(delivery=n),
            inp.Cancel(ref=n),
        )
        event = self.feed.pick(stale)
        self.do(inp.TimePassed())  # what a new life has to tell first
        self.changes_nothing(event)

    # ------------------------------------------------------------ time

    def op_deadline(self) -> None:
        """The engine is woken when it wanted to be, or later."""
        at = self.engine.next_deadline()
        late = self.feed.pick(LATE)
        if at is not None:
            self.now = max(self.now, at + late)
            self.do(inp.TimePassed())

    def op_time(self) -> None:
        """Clocks that jump, stand still or go back."""
        self.now += self.feed.pick(STEPS)
        slept = self.feed.pick(SLEPT)
        self.do(inp.TimePassed(wall=None if slept is None else self._wall() + slept))

    def op_wall(self) -> None:
        """The wall clock is set."""
        self.do(inp.WallClock(wall=self._wall() + 60.0 * (self.feed.byte() - 128)))

    # ------------------------------------------------------------ the application

    def op_connection(self) -> None:
        """connect, disconnect, a new token."""
        token = self.feed.pick((SECRET, "", "x" * 9000, "\ud800"))
        self.do(
            self.feed.pick(
                (inp.Connect(), inp.Disconnect(), inp.UpdateToken(token=token), inp.Connect())
            )
        )

    def op_sends(self) -> None:
        """One message, or several."""
        how, to_user = self.feed.pick(SENDS), self.feed.pick((2, 3, "bravo", 0, ""))
        content = self.feed.text()
        for _ in range(1 + self.feed.byte() % 4):
            self.refs.append(len(self.refs) + 1)
            self.do(inp.Send(ref=self.refs[-1], to_user=to_user, content=content, **how))

    def op_cancels(self) -> None:
        """One of the messages."""
        if self.refs:
            self.do(inp.Cancel(ref=self.refs[self.feed.byte() % len(self.refs)]))

    def op_handles(self) -> None:
        """It handles a message, fails on it, or begins."""
        if not self.deliveries:
            return
        delivery = self.deliveries[self.feed.byte() % len(self.deliveries)]
        self.do(
            self.feed.pick(
                (
                    inp.MessageHandled(delivery=delivery),
                    inp.MessageHandled(delivery=delivery, ok=False),
                    inp.MessageTaken(delivery=delivery),
                )
            )
        )

    def op_asks(self) -> None:
        """Sessions, typing, a read mark."""
        what = self.feed.byte() % (len(CALLS) + 2)
        if what < len(CALLS):
            self.refs.append(len(self.refs) + 1)
            self.do(inp.SessionCall(ref=self.refs[-1], **CALLS[what]))
        elif what == len(CALLS):
            self.do(inp.SetTyping(to_user=2, active=self.feed.flag()))
        else:
            self.do(inp.MarkRead(from_user=2, msg_id=self.feed.byte()))

    def op_token(self) -> None:
        """The token function answers."""
        if self.token is not None:
            token = self.feed.text()
            if token:
                self.do(inp.TokenReady(request=self.token, token=token))
            else:
                self.do(inp.TokenFailed(request=self.token, reason="no"))

    def op_http(self) -> None:
        """An HTTP call is answered."""
        if self.https:
            request, status = min(self.https), self.feed.pick((200, 401, 302, 500, 0))
            body = self.feed.chunk()
            if status == 0:
                self.do(inp.HttpFailed(request=request, reason="no"))
            else:
                self.do(inp.HttpAnswered(request=request, status=status, body=body))

    # ------------------------------------------------------------ the disk

    def op_disk(self) -> None:
        """The write is done, or can't be."""
        if self.writing is not None and self.disk is not None:
            request = self.writing.request
            if self.feed.byte() % 4 == 3:
                self.do(inp.JournalFailed(request=request, reason="full"))
            else:
                self.disk.apply(self.writing.changes)
                self.do(inp.JournalWritten(request=request))

    def op_dies(self) -> None:
        """The process dies, and another one begins with what is on the disk."""
        if self.disk is None:
            return
        if self.writing is not None and self.feed.flag():
            self.disk.apply(self.writing.changes)
        self.link = self.token = self.writing = None
        self.https.clear()
        self.deliveries.clear()
        self.ended.clear()
        self.offered = 0
        self.paused = False
        self.engine = self._begin()

    # ------------------------------------------------------------ the end

    def ends(self) -> None:
        """After Disconnect and the time that a goodbye takes nothing is left behind."""
        self.do(inp.Disconnect())
        for _ in range(20):
            if self.writing is not None:
                self.do(inp.JournalWritten(request=self.writing.request))
            at = self.engine.next_deadline()
            if at is None:
                break
            self.now = max(self.now, self.latest, at)
            self.do(inp.TimePassed())
        assert self.link is None and self.token is None, "left behind: a link or a token"


#: their order is what the bytes of the corpus mean
OPS: Final = tuple(name for name in vars(Client) if name.startswith("op_"))


def fuzz(data: bytes) -> None:
    """See the module."""
    feed = Feed(data)
    client = Client(feed)
    for _ in range(300):
        if feed.done:
            break
        getattr(client, feed.pick(OPS))()
        client.reads_well()
    client.ends()
