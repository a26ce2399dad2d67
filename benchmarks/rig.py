"""A gateway, its store in dictionaries and clients, all in one process and without a network.

For what measures or counts the engines alone. Everything goes through the doors that an adapter
uses; who measures calls `step` itself, and hands on what came of it with `client_did` and
`server_did`. Nothing is random but for what `rng` gives, and time passes when `tick` says so.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any, Final

from im_proto.client import ClientEngine
from im_proto.client import actions as client_act
from im_proto.client import events as ev
from im_proto.client import inputs as client_inp
from im_proto.client.receiving import ACK_PACE
from im_proto.config import ClientConfig, ServerConfig
from im_proto.server import Gateway
from im_proto.server import actions as server_act
from im_proto.server import inputs as server_inp
from im_proto.testing.memory import MemoryStore

START: Final = 1_000.0
WALL: Final = 1_700_000_000.0
#: What the sender and the recipient are called, and their connections at the gateway.
ALICE: Final = 1
BOB: Final = 2
#: More than any run takes, so that no limit is measured.
MANY: Final = 1_000_000
#: Windows as large as the wire allows, or a run would have to wait for answers.
WINDOW: Final = 65_536
CONTENT: Final = "x" * 80


class Rig:
    """See the module. Alice and Bob are logged in, and were granted all that the server has.

    Args:
        turns: the clients' adapter says when a turn of its loop is over.
        rng: where masks come from; `random.SystemRandom()` is what adapters give.
        sleep_watch: of the clients; see ClientConfig.

    Attributes:
        holding: what the gateway wants of its store waits in `held`.
        sent: what the gateway has sent to whom, while `keeping`; else it has arrived.
    """

    def __init__(
        self, *, turns: bool = True, rng: random.Random, sleep_watch: float | None = None
    ) -> None:
        self.now = START
        self.store = MemoryStore()
        self.gateway = Gateway(_server_config(), now=START, wall=WALL, strict=True)
        self.clients = {
            user: ClientEngine(
                _client_config(user, sleep_watch), now=START, wall=WALL, rng=rng, turns=turns
            )
            for user in (ALICE, BOB)
        }
        #: what each was told and has not handled
        self.received: dict[int, list[ev.MessageReceived]] = {ALICE: [], BOB: []}
        self.holding = False
        self.keeping = False
        self.held: deque[server_act.StoreAction] = deque()
        self.sent: dict[int, list[bytes]] = {ALICE: [], BOB: []}
        self.transports: dict[int, int] = {}
        self._refs = 0
        self._work: deque[tuple[str, int, Any]] = deque()
        for user, client in self.clients.items():
            self.client_did(user, client.step(client_inp.Connect(), self.now))
            self.run()
            assert client.state().status is ev.Status.AUTHENTICATED, client.explain()

    def tick(self, seconds: float = 0.001) -> float:
        """Let time pass; returns the time."""
        self.now += seconds
        return self.now

    # ------------------------------------------------------------ what an adapter does

    def client_did(self, user: int, actions: list[client_act.Action]) -> None:
        """Carry out what a client's engine wants."""
        for action in actions:
            if isinstance(action, client_act.Notify):
                if isinstance(action.event, ev.MessageReceived):
                    self.received[user].append(action.event)
            elif isinstance(action, client_act.SendBytes):
                came = server_inp.BytesReceived(connection=user, data=action.data)
                self._work.append(("server", 0, came))
            elif isinstance(action, client_act.OpenTransport):
                self.transports[user] = action.transport
                self._work.append(("server", 0, server_inp.ConnectionMade(connection=user)))
                opened = client_inp.TransportOpened(transport=action.transport)
                self._work.append(("client", user, opened))
            else:
                raise AssertionError(f"nobody here does {action}")

    def server_did(self, actions: list[server_act.Action]) -> None:
        """Carry out what the gateway wants."""
        for action in actions:
            if isinstance(action, server_act.SendBytes):
                if self.keeping:
                    self.sent[action.connection].append(action.data)
                else:
                    self._work.append(self._arrival(action.connection, action.data))
            elif isinstance(action, server_act.StoreAction):
                self.held.append(action)
            elif isinstance(action, server_act.Authenticate):
                verified = server_inp.TokenVerified(
                    connection=action.connection, user=action.connection
                )
                self._work.append(("server", 0, verified))
            elif not isinstance(action, server_act.PauseReading | server_act.ResumeReading):
                raise AssertionError(f"nobody here does {action}")

    def run(self) -> None:
        """Until nobody has anything to do."""
        while True:
            if self._work:
                side, user, event = self._work.popleft()
                if side == "client":
                    self.client_did(user, self.clients[user].step(event, self.now))
                else:
                    self.server_did(self.gateway.step(event, self.now))
            elif self.held and not self.holding:
                answer = self.store.carry_out(self.held.popleft())
                if answer is not None:
                    self.server_did(self.gateway.step(answer, self.now))
            elif self.gateway.turns_wait:
                self.server_did(self.gateway.step(server_inp.TimePassed(), self.now))
            elif not self._end_turns():
                return

    def _end_turns(self) -> bool:
        """Was anybody's turn of the loop still to be ended?"""
        ended = False
        for user, client in self.clients.items():
            if client.unsettled:
                self.client_did(user, client.step(client_inp.TurnEnded(), self.now))
                ended = True
        return ended

    def _arrival(self, user: int, data: bytes) -> tuple[str, int, Any]:
        return "client", user, self.arrival(user, data)

    # ------------------------------------------------------------ for those who measure

    def arrival(self, user: int, data: bytes) -> client_inp.BytesReceived:
        """Bytes of the server come to a client."""
        return client_inp.BytesReceived(transport=self.transports[user], data=data)

    def deliver(self) -> None:
        """Let arrive what was kept, and all that follows from it happen."""
        self.keeping = False
        for user, sent in self.sent.items():
            self._work.extend(self._arrival(user, data) for data in sent)
            sent.clear()
        self.run()

    def sends(self, count: int) -> list[client_inp.Send]:
        """So many wishes of Alice to write to Bob."""
        first = self._refs + 1
        self._refs += count
        return [
            client_inp.Send(ref=ref, to_user=BOB, content=CONTENT)
            for ref in range(first, first + count)
        ]

    def written(self, sends: list[client_inp.Send]) -> list[bytes]:
        """What Alice's transport gets of them, if all are of one turn. The server has not."""
        client = self.clients[ALICE]
        actions = [action for send in sends for action in client.step(send, self.now)]
        actions += client.step(client_inp.TurnEnded(), self.now)
        return [a.data for a in actions if isinstance(a, client_act.SendBytes)]

    def handle(self) -> None:
        """Bob handles what he was told, and says so at once."""
        self.tick(ACK_PACE)
        client, received = self.clients[BOB], self.received[BOB]
        for told in received:
            delivery = told.delivery
            self.client_did(BOB, client.step(client_inp.MessageTaken(delivery=delivery), self.now))
            handled = client_inp.MessageHandled(delivery=delivery)
            self.client_did(BOB, client.step(handled, self.now))
        received.clear()
        self.run()


def _server_config() -> ServerConfig:
    return ServerConfig(
        messages_per_second=MANY,
        message_burst=MANY,
        envelopes_per_second=MANY,
        envelope_burst=MANY,
        in_flight=WINDOW,
        unacked=WINDOW,
        commit_batch=64,
        retention_count=None,
    )


def _client_config(user: int, sleep_watch: float | None) -> ClientConfig:
    return ClientConfig(
        ws_url="ws://chat.example/ws",
        token="token",
        user_id=user,
        device_id=f"device-{user}",
        in_flight=WINDOW,
        max_queue=MANY,
        max_unhandled=MANY,
        sleep_watch=sleep_watch,
    )
