"""A client that crashes, a journal that fails, a network that loses, and a server that dedupes by
(device, msgId): what the applications of all its processes may expect, checked at every step.
"""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from typing import Any

from core.client_kit import START, WALL, make_config
from core.outbox_kit import GRANTED
from im_proto.client import ClientCore
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.journal import JournalState
from im_proto.errors import IMError, IMErrorCode, LocalProtocolError

#: Jobs are sends with a key, which every process tries again until it hears that they are done.
JOBS = 6


class Server:
    """Stores each (device, msgId) once, in the order of arrival; refuses what begins with "bad"."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, int], tuple[Any, str]] = {}

    def hears(self, device: str, kind: str, message: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """What it answers."""
        if kind == "MESSAGE_STATUS_REQUEST":
            items = [
                {
                    "msgId": msg_id,
                    "status": "accepted" if (device, int(msg_id)) in self.stored else "never",
                }
                for msg_id in message["msgIds"]
            ]
            return "MESSAGE_STATUS_RESPONSE", {"items": items}
        assert kind == "CHAT_SEND_TO_ONE_REQUEST", kind
        msg_id, said = int(message["msgId"]), (message["toUser"], message["content"])
        if message["content"].startswith("bad"):
            return "CHAT_SEND_RESPONSE", {"msgId": msg_id, "code": 403}
        stored = self.stored.setdefault((device, msg_id), said)
        assert stored == said, "one msgId for two messages"
        return "CHAT_SEND_RESPONSE", {"msgId": msg_id, "code": 0}


class World:
    """One user's client in all its processes."""

    def __init__(self, seed: int, **config: Any) -> None:
        self.rng = random.Random(seed)
        self.config = make_config(**({"reconnect": {"initial_delay": 0.1}} | config))
        self.server = Server()
        self.disk = JournalState()
        self.seen: Counter[str] = Counter()
        self.now = START
        self.last_ref = 0
        #: by content, what the application was told last; "sent" before it was told anything
        self.told: dict[str, str] = {}
        #: by ref, the content; of this process
        self.contents: dict[int, str] = {}
        #: in the order of the sends: recipient and content
        self.order: list[tuple[int, str]] = []
        self._begin()

    def _begin(self) -> None:
        self.core = ClientCore(
            self.config,
            now=self.now,
            wall=WALL + self.now - START - self.rng.choice([0, 0, 3600]),
            rng=random.Random(self.rng.random()),
            journal=copy.deepcopy(self.disk),
        )
        self.asked: act.WriteJournal | None = None
        self.to_server: list[tuple[str, dict[str, Any]]] = []
        self.to_client: list[tuple[str, dict[str, Any]]] = []
        self.contents = {record.ref: record.content for record in self.core.restored()}
        self.ended: set[int] = set()
        for record in self.core.restored():
            if record.end is not None:  # the application finds it by its key
                end = "accepted" if record.end == "accepted" else "failed"
                assert self.told[record.content] in (end, "sent", "queued")
                self.told[record.content] = end
        for content, told in self.told.items():
            if content not in self.contents.values() and content not in self.where():
                # it had its end, or the application was never told that it is safe
                assert told != "queued", f"{content!r} was lost"

    def where(self) -> list[str]:
        """The contents that the server has."""
        return [content for _, content in self.server.stored.values()]

    # ------------------------------------------------------------ one step

    def do(self, event: inp.CoreInput) -> None:
        """One input, and what comes of it."""
        for action in self.core.step(event, self.now):
            if isinstance(action, act.WriteJournal):
                assert self.asked is None, "a second write before the answer to the first"
                self.asked = action
            elif isinstance(action, act.SendText):
                frame = json.loads(action.text)
                for envelope in frame if isinstance(frame, list) else [frame]:
                    self._said(envelope["type"], json.loads(envelope["message"]))
            elif isinstance(action, act.AbortTransport):
                self._cut()
            elif isinstance(action, act.Notify):
                self._hears(action.event)

    def _said(self, kind: str, message: dict[str, Any]) -> None:
        if kind == "CHAT_SEND_TO_ONE_REQUEST":
            on_disk = [r.msg_id for r in self.disk.outgoing.values() if r.handed_at is not None]
            assert int(message["msgId"]) in on_disk, "sent before it was on disk"
        if kind not in ("AUTH_REQUEST", "HEARTBEAT_REQUEST"):
            self.to_server.append((kind, message))

    def _hears(self, event: ev.Event) -> None:
        if isinstance(event, ev.MessageQueued):
            assert event.ref in self.disk.outgoing, "told to be safe, and is not on disk"
            self._tell(event.ref, "queued")
        elif isinstance(event, ev.MessageAccepted):
            self._tell(event.ref, "accepted")
            assert self.where().count(event.content) == 1
        elif isinstance(event, ev.MessageFailed):
            assert event.error.code is not IMErrorCode.IN_DOUBT, "the server knows, and was asked"
            self._tell(event.ref, "failed")
            self.seen[str(event.error.code)] += 1

    def _tell(self, ref: int, what: str) -> None:
        content, before = self.contents[ref], self.told[self.contents[ref]]
        assert ref not in self.ended, f"{content!r} has two ends in one process"
        if before in ("failed", "accepted"):  # the next process may tell it again
            assert what == before, f"{content!r} {before}, and then {what}"
        if what != "queued":
            self.ended.add(ref)
        self.told[content] = what

    # ------------------------------------------------------------ what may happen

    def send(self, *, bad: bool = False, **more: Any) -> None:
        """The application sends something new."""
        self.last_ref += 1
        to = 2 + self.rng.randrange(3)
        content = f"{'bad ' if bad else ''}{self.last_ref}"
        self._send(to, content, **more)

    def job(self, number: int) -> None:
        """The application, in any of its processes, wants a job done."""
        self.last_ref += 1
        content = f"job {number}"
        if self.told.get(content) == "failed":
            if self.core.ref_of_key(content) is not None:
                return  # that is its end
            del self.told[content]  # it tries again
        self._send(2 + number % 3, content, key=content)

    def _send(self, to: int, content: str, **more: Any) -> None:
        self.contents[self.last_ref] = content
        self.told.setdefault(content, "sent")
        try:
            self.do(inp.Send(ref=self.last_ref, to_user=to, content=content, **more))
        except IMError as error:
            assert error.code is IMErrorCode.QUEUE_FULL
            self.told[content] = "failed" if self.told[content] == "sent" else self.told[content]
            return
        if not content.startswith("job"):
            self.order.append((to, content))

    def cancel(self) -> None:
        """The application withdraws something."""
        try:
            self.do(inp.Cancel(ref=max(1, self.last_ref - self.rng.randrange(4))))
        except LocalProtocolError:
            return

    def journal(self, *, good: bool) -> None:
        """What is to be written is, or can't be."""
        asked, self.asked = self.asked, None
        if asked is None:
            return
        self.seen["writes" if good else "failed writes"] += 1
        if good:
            self.disk.apply(asked.changes)
            self.do(inp.JournalWritten(request=asked.request))
        else:
            self.do(inp.JournalFailed(request=asked.request, reason="disk full"))

    def server_works(self, most: int) -> None:
        """Some of what is on its way to the server arrives, and is answered."""
        device = self.core.device_id
        for _ in range(min(most, len(self.to_server))):
            self.to_client.append(self.server.hears(device, *self.to_server.pop(0)))

    def client_reads(self, most: int) -> None:
        """Some of its answers arrive."""
        for _ in range(min(most, len(self.to_client))):
            kind, message = self.to_client.pop(0)
            self._frame(kind, **message)

    def _frame(self, kind: str, **message: Any) -> None:
        text = json.dumps({"type": kind, "message": json.dumps(message)})
        self.do(inp.TextReceived(transport=self.core.transport, text=text))

    def _cut(self) -> None:
        """The link is gone: of what was on its way, a part has arrived."""
        self.server_works(self.rng.randrange(len(self.to_server) + 1))
        self.to_server, self.to_client = [], []

    def lose(self) -> None:
        """The link breaks."""
        if self.core.connection == "open":
            self.seen["links lost"] += 1
            self._cut()
            self.do(inp.TransportLost(transport=self.core.transport))

    def crash(self) -> None:
        """The process dies, and another one begins; a write under way is on disk, or not."""
        outbox = self.core.sending.outbox
        self.seen["crashes in flight"] += outbox.in_flight > 0
        self.seen["crashes while it is marked"] += bool(outbox.to_hand_over())
        self.seen["crashes"] += 1
        self._cut()
        if self.asked is not None and self.rng.random() < 0.5:
            self.disk.apply(self.asked.changes)
        self.now += 1
        self._begin()

    def log_in(self) -> None:
        """One step on the way to a log-in."""
        core = self.core
        if core.reconnect in ("idle", "halted", "exhausted"):
            self.do(inp.Connect())
        elif core.reconnect == "waiting":
            self.wake()
        elif core.connection == "opening":
            self.do(inp.TransportOpened(transport=core.transport))
        elif core.connection == "handshaking":
            self.do(inp.LinkOpened(transport=core.transport, capable=True))
        elif core.login.state == "authenticating":
            data = {"deviceId": core.device_id, "capabilities": GRANTED, "epoch": "e", "seq": 0}
            self._frame("AUTH_RESPONSE", code=0, data=data | {"resume": "recovered"})
            self.seen["log-ins"] += 1
            self.seen["questions"] += bool(core.sending.status.users)

    def wake(self) -> None:
        """The next deadline comes."""
        at = self.core.next_deadline()
        if at is not None:
            self.now = max(self.now, at)
            self.do(inp.TimePassed())

    def anything(self) -> None:
        """One of all that may happen."""
        rng = self.rng
        wants = rng.choice(self._KINDS)
        if wants == "send":
            self.send(
                bad=rng.random() < 0.05,
                wait=rng.random() < 0.2,
                ttl=rng.choice([None, None, None, 0.5]),
                priority=rng.choice(["high", "normal", "low"]),
            )
        elif wants == "job":
            self.job(rng.randrange(JOBS))
        elif wants == "log_in":
            for _ in range(4):
                self.log_in()
        elif wants == "good":
            self.journal(good=True)
        elif wants == "bad":
            self.journal(good=False)
        elif wants == "talk":
            self.server_works(rng.randrange(4))
            self.client_reads(rng.randrange(4))
        else:
            getattr(self, wants)()
        self.check()

    _KINDS = (
        ["send"] * 6
        + ["job", "cancel", "lose", "crash", "bad", "wake"]
        + ["good"] * 5
        + ["log_in"] * 4
        + ["talk"] * 4
    )

    # ------------------------------------------------------------ what must hold

    def check(self) -> None:
        """Nothing twice, nothing that failed, and in order."""
        stored = self.where()
        assert len(stored) == len(set(stored)), "something is there twice"
        for content in stored:
            assert self.told[content] != "failed", f"{content!r} failed, and is there"
        for user in (2, 3, 4):
            sent = [content for to, content in self.order if to == user]
            there = [c for to, c in self.server.stored.values() if to == user and c[:3] != "job"]
            assert there == [content for content in sent if content in set(there)], "out of order"

    def settle(self) -> None:
        """All is well from here on: everything comes to its end."""
        for round_ in range(400):
            for number in range(JOBS) if round_ < 200 else ():
                if self.told.get(f"job {number}") != "accepted":
                    self.job(number)
            self.log_in()
            self.journal(good=True)
            self.server_works(100)
            self.client_reads(100)
            if self.core.login.state == "authenticated" and self.core.journaling.retry_at:
                self.wake()
            self.check()
        assert len(self.core.sending.outbox) == 0
        stored = self.where()
        for content, told in self.told.items():
            if told in ("queued", "accepted"):
                assert content in stored, f"{content!r} was lost: {told}"
        for number in range(JOBS):
            assert self.told[f"job {number}"] in ("accepted", "failed")
