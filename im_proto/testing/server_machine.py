"""`ServerEngineMachine`: whatever can happen to a server, in any order, held to `ServerModel`."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from ..server import inputs as inp
from ..server.actions import StoreLogin
from ..server.engine import frame_limits
from ..server.login import CAPABILITIES
from ..wire import (
    AuthRequest,
    ChatAck,
    ChatReadReceipt,
    ChatSendToAll,
    ChatSendToOne,
    ClientLimits,
    HeartbeatRequest,
    MessageStatusRequest,
    ResumeFrom,
    SessionRequest,
    SyncRequest,
    Typing,
    UserId,
)
from .peers import FarClient
from .server_harness import PEER_BATCH, ServerHarness, Store
from .strategies import client_messages, frames, garbage_bytes, garbage_frames, server_inputs

__all__ = ["ServerEngineMachine", "Store"]


_peer: Final = st.integers(0, 7)
_users: Final = st.sampled_from([1, 1, 1, 2, 3])
_CALLS: Final[list[tuple[str, dict[str, Any]]]] = [
    ("startChat", {"bookId": 7, "buyerId": 1, "sellerId": 2}),
    ("create", {"bookId": 7, "buyerId": 1, "sellerId": 2}),
    ("getCurrent", {"userId": 1}),
    ("history", {"peerId": 2}),
    ("get", {"sessionId": 1}),
    ("nonsense", {}),
]
_under_way: Final = st.sampled_from([0, 0, 0, 0, 1, 7])


class ServerEngineMachine(ServerHarness):
    """Gives a `Gateway`, with all the `ServerEngine`s in it, any input at any time, and checks
    after each that it keeps a server's promises (`im_proto.testing.server_model.ServerModel`).

    Subclass it to test what you build around the server: your store, your limits, your adapter.

        class MyStoreMachine(ServerEngineMachine):
            def make_store(self):
                return MyStore()                 # carry_out(): see `Store`

        TestMyStore = MyStoreMachine.TestCase    # for pytest and unittest

    Hooks: `make_config`, `make_store`, `on_action`, `on_message`. For your rules: `do` (also from
    inside a hook: it waits for the step to end), `say` for a client, `peers`, `gateway`, `model`,
    `now`. Users are 1, 2 and 3, devices "d0" and "d1".

    What is checked of every step: nothing raises; what is of another connection, or of a request
    that is over, changes nothing; nothing is written to a connection after its end; no deadline
    in the past, and always one while there is a connection; one commit at a time, in the order of
    arrival; what is accepted was committed, and is answered once; what was committed is pushed,
    without holes, in order, never far beyond the ack; a device that comes back misses nothing;
    one connection per device, and none of which it is known that its device logged in elsewhere. At
    the end, when everybody has left, nothing is kept of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._msg_ids = 0
        #: by sender, what it sent last
        self._last: dict[UserId | None, ChatSendToOne] = {}

    # ------------------------------------------------------------ rules: coming

    @precondition(lambda self: sum(not peer.ended for peer in self.peers.values()) < 6)
    @rule(
        user=_users,
        device=st.sampled_from([None, "d0", "d0", "d1"]),
        resume=st.none() | st.integers(0, 3),
        far=st.sampled_from(["made", "upgraded", "asked", "in", "in", "in", "in", "in"]),
        numbered=st.sampled_from([True, True, True, False]),
    )
    def a_client_comes(
        self, user: int, device: str | None, resume: int | None, far: str, numbered: bool
    ) -> None:
        """And gets so far: connected, upgraded, its token with the authenticator, logged in."""
        self._come(user, device, resume, far, numbered=numbered)

    def _come(
        self, user: int, device: str | None, resume: int | None, far: str, *, numbered: bool
    ) -> None:
        connection = len(self.peers) + 1
        peer = self.peers[connection] = FarClient(
            connection,
            path=self.config.path,
            message_bytes=self.config.message_bytes,
            limits=frame_limits(self.config, self.config.message_bytes),
        )
        self.do(inp.ConnectionMade(connection=connection, peer="192.0.2.1"))
        if far == "made":
            return
        self._arrive(peer, peer.request())
        if far == "upgraded":
            return
        more: dict[str, Any] = {}
        if device is not None:
            more = {"device_id": device, "capabilities": list(CAPABILITIES) if numbered else []}
            more["limits"] = ClientLimits(batch=PEER_BATCH, frame_bytes=4096)
            if resume is not None:
                more["resume"] = ResumeFrom(epoch="e0", seq=resume)
        self.say(peer, AuthRequest(access_token=f"{user}", user_id=user, **more))
        if far == "in" and self.tokens:
            self.the_authenticator_answers_well()
            self._answer_store(len(self.requests))

    @precondition(lambda self: self.tokens)
    @rule(code=st.sampled_from([0, 0, 0, 40101, 50000]))
    def the_authenticator_answers(self, code: int) -> None:
        """A token that waits; 0: it is good."""
        if code == 0:
            self.the_authenticator_answers_well()
        else:
            asked = self.tokens.popleft()
            self.do(inp.TokenRefused(connection=asked.connection, code=code, reason="no"))

    # ------------------------------------------------------------ rules: the store

    @precondition(lambda self: self.requests)
    @rule(count=st.sampled_from([1, 3, 10, 10]))
    def the_store_answers(self, count: int) -> None:
        """What it was asked first."""
        self._answer_store(count)

    @precondition(lambda self: self.peers)
    @rule(acks=st.booleans())
    def all_goes_well(self, acks: bool) -> None:
        """Whoever was asked answers well, and (`acks`) what was pushed is acknowledged."""
        while self.tokens:
            self.the_authenticator_answers_well()
        for _ in range(50):
            self._answer_store(len(self.requests))
        for session in list(self.model.sessions.values()):
            if acks and session.online and session.numbered and session.sent is not None:
                self.say(self.peers[session.connection], ChatAck(seq=session.sent))

    @precondition(lambda self: self.requests)
    @rule()
    def the_store_fails(self) -> None:
        """At what it was asked first."""
        request = self.requests.popleft().request
        self.do(inp.StoreFailed(request=request, reason="the disk is full"))

    # else where a device begins that is new to both gateways is for the other one to say
    @precondition(lambda self: self.peers and self.config.first_login == "oldest")
    @rule(which=_peer)
    def a_device_logs_in_elsewhere(self, which: int) -> None:
        """At another gateway on the same store."""
        peer = self.some(which)
        if peer is None:
            return
        session = self.model.session(peer.connection)
        if session.user is not None:
            user, device = session.user, session.device
            self.store.carry_out(StoreLogin(request=0, user=user, device=device, resume_seq=None))

    # ------------------------------------------------------------ rules: messages

    @rule(
        which=_peer,
        to_user=_users,
        contents=st.lists(
            st.sampled_from(["a", "b", "cc", " ", "long one"]), min_size=1, max_size=4
        ),
        again=st.sampled_from([0, 0, 0, 0, 1, 2]),
        to_all=st.sampled_from([False] * 5 + [True]),
        under_way=_under_way,
        prompt=st.booleans(),
    )
    def a_client_sends(
        self,
        which: int,
        to_user: UserId,
        contents: list[str],
        again: int,
        to_all: bool,
        under_way: int,
        prompt: bool,
    ) -> None:
        """Messages; the first may be sent again, or be another one under a msgId that was used.
        `prompt`: the store is quick."""
        if not any(session.online for session in self.model.sessions.values()):
            self._come(1, "d0", None, "in", numbered=True)
        peer = self.some(which)
        if peer is None:
            return
        for content in contents:
            self._msg_ids += 1
            if to_all:
                broadcast = ChatSendToAll(msg_id=self._msg_ids, content=content)
                self.say(peer, broadcast, under_way=under_way)
                continue
            message = ChatSendToOne(msg_id=self._msg_ids, to_user=to_user, content=content)
            user = self.model.session(peer.connection).user
            last = self._last.get(user)
            if again and last is not None:
                message = last if again == 1 else last.model_copy(update={"content": content})
                again = 0
            self._last[user] = message
            self.say(peer, message, under_way=under_way)
        for _ in range(prompt * 20):
            self._answer_store(len(self.requests))

    @precondition(lambda self: self.peers)
    @rule(
        which=_peer,
        what=st.sampled_from(["ack"] * 3 + ["ahead", "sync", "sync", "heartbeat", "pong", "auth"]),
        back=st.integers(0, 2),
    )
    def a_client_says(self, which: int, what: str, back: int) -> None:
        """How far it is (too far: that ends it), that it has a hole, that it lives."""
        peer = self.some(which)
        if peer is None:
            return
        session = self.model.session(peer.connection)
        at = max(session.acked, (session.sent or 0) - back)
        if what == "pong":
            for payload in peer.pings:
                if peer.framing.open:
                    self._arrive(peer, peer.framing.send_pong(payload))
            peer.pings.clear()
        elif what == "ack":
            self.say(peer, ChatAck(seq=at))
        elif what == "ahead":
            self.say(peer, ChatAck(seq=at + 1 + back))
        elif what == "sync":
            self.say(peer, SyncRequest(after=at))
        elif what == "auth":
            self.say(peer, AuthRequest(access_token=str(session.user or 1)))
        else:
            self.say(peer, HeartbeatRequest())

    @precondition(lambda self: self.peers)
    @rule(
        which=_peer,
        what=st.sampled_from(["read", "read", "status", "typing", "call"]),
        user=_users,
        back=st.integers(0, 5),
    )
    def a_client_uses_an_extension(self, which: int, what: str, user: UserId, back: int) -> None:
        """It has read something, asks what became of a message, types, makes a call."""
        peer = self.some(which)
        if peer is None:
            return
        msg_id = max(1, self._msg_ids - back)
        if what == "read":
            self.say(peer, ChatReadReceipt(msg_id=msg_id, from_user=user))
        elif what == "status":
            self.say(peer, MessageStatusRequest(msg_ids=[msg_id]))
        elif what == "typing":
            self.say(peer, Typing(to_user=user, active=back > 2))
        else:
            op, params = _CALLS[back]
            self.say(peer, SessionRequest(id=f"c{back}", op=op, params=params))

    @precondition(lambda self: self.peers)
    @rule(which=_peer, text=frames(client_messages, batch=3) | garbage_frames)
    def a_client_says_anything(self, which: int, text: str) -> None:
        """Any message, or nonsense."""
        peer = self.some(which)
        if (
            peer is not None
            and peer.framing.open
            and not any("\ud800" <= c < "\ue000" for c in text)
        ):
            self._arrive(peer, peer.framing.send_text(text))

    # ------------------------------------------------------------ rules: the network

    @precondition(lambda self: self.peers)
    @rule(which=_peer, how=garbage_bytes | st.sampled_from([1000, 4000, "lost", "lost"]))
    def a_link_suffers(self, which: int, how: bytes | int | str) -> None:
        """A client closes or is lost, or garbage comes in."""
        peer = self.some(which)
        if peer is None:
            return
        if isinstance(how, bytes):
            self._arrive(peer, how)
        elif isinstance(how, int):
            if peer.framing.open:
                self._arrive(peer, peer.framing.send_close(how))
        else:
            self.do(inp.ConnectionLost(connection=peer.connection))

    @precondition(lambda self: any(peer.unread for peer in self.peers.values()))
    @rule()
    def the_rest_arrives(self) -> None:
        """What was under way."""
        for peer in self.peers.values():
            if not peer.ended:
                self._arrive(peer, b"")

    @precondition(lambda self: self.peers)
    @rule(which=_peer, blocked=st.booleans())
    def a_write_buffer_fills(self, which: int, blocked: bool) -> None:
        """Or is empty again."""
        peer = self.some(which)
        if peer is not None:
            kind = inp.WriteBlocked if blocked else inp.WriteReady
            self.do(kind(connection=peer.connection))

    # ------------------------------------------------------------ rules: time, and anything

    @rule(late=st.sampled_from([0.0, 0.0, 0.0, 0.4, 2.0, 90.0]))
    def a_deadline_comes(self, late: float) -> None:
        """The gateway is woken when it wanted, or too late."""
        at = self.gateway.next_deadline()
        if at is not None:
            self.now = max(self.now, at + late)
            self.do(inp.TimePassed())

    @rule(step=st.sampled_from([0.0, 0.001, 0.3, 1.5, 31.0, -3.0]))
    def time_passes(self, step: float) -> None:
        """A clock that jumps, stands still or goes back."""
        self.now += step
        self.do(inp.TimePassed())

    @precondition(lambda self: len(self.peers) > 4)
    @rule()
    def the_server_goes_down(self) -> None:
        """In good order."""
        self.do(inp.Shutdown(retry_after=1.0))

    @rule(event=server_inputs())
    def anything_stale_happens(self, event: inp.Input) -> None:
        """Any input at all, of a connection that is long gone or a request that nobody made."""
        connection: int | None = getattr(event, "connection", None)
        if isinstance(event, inp.ConnectionMade | inp.Shutdown | inp.SiteInput):
            return
        if connection in self.peers and not self.peers[connection].ended:
            return
        self.do(event)
