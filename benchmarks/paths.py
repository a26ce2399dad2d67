"""The hot paths, each as pieces of work that can be measured or counted by themselves.

A path is a generator over a `Rig`: each `Work` that it yields is ready to be run, once; what
follows from it happens when the next one is asked for, where nobody measures.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from wsproto.frame_protocol import FrameProtocol

from im_proto.client import actions as client_act
from im_proto.client import events as ev
from im_proto.client import inputs as client_inp
from im_proto.machines import HEARTBEAT
from im_proto.server import actions as server_act
from im_proto.server import inputs as server_inp
from im_proto.server.commit import plan_commit, wanted

from .rig import ALICE, BOB, Rig

#: Envelopes in a full frame, messages in a full commit and in a turn of a busy sender.
FULL: Final = 64
#: Seconds after which no ack waits for another one any more.
ACK_DELAY: Final = 1.0


@dataclass(frozen=True, slots=True)
class Work:
    """Something to do once.

    Args:
        run: does it.
        count: of how many messages (or heartbeats, transitions) it consists.
        data: the bytes that come in, for who wants to do the same with them.
    """

    run: Callable[[], None]
    count: int
    data: tuple[bytes, ...] = ()


Path = Callable[[Rig], Iterator[Work]]


def client_receives(rig: Rig, per_frame: int, frames: int) -> Iterator[Work]:
    """Bytes of pushes come in, until the events that tell the application; each read in a turn of
    its own, which is ended."""
    client = rig.clients[BOB]
    end = client_inp.TurnEnded()
    while True:
        pushes = _pushes(rig, per_frame, frames)
        assert len(pushes) == frames, "a push has another number of frames"
        arrivals = [rig.arrival(BOB, data) for data in pushes]
        done: list[list[client_act.Action]] = []
        now = rig.tick()

        def run() -> None:
            # it runs before the next round
            for arrival in arrivals:  # noqa: B023
                done.append(client.step(arrival, now))  # noqa: B023
                done.append(client.step(end, now))  # noqa: B023

        yield Work(run, per_frame * frames, tuple(pushes))
        for actions in done:
            rig.client_did(BOB, actions)
        assert len(rig.received[BOB]) == per_frame * frames, "not all were received"
        rig.deliver()
        rig.handle()


def client_receives_and_acks(rig: Rig, per_frame: int, frames: int) -> Iterator[Work]:
    """Bytes of pushes come in, the application handles each message, until the bytes of the acks;
    each frame in a turn of its own."""
    client = rig.clients[BOB]
    while True:
        pushes = _pushes(rig, per_frame, frames)
        arrivals = [rig.arrival(BOB, data) for data in pushes]
        done: list[client_act.Action] = []
        now = rig.tick()

        def run() -> None:
            for arrival in arrivals:  # noqa: B023
                came = client.step(arrival, now)  # noqa: B023
                told = [one.event for one in came if isinstance(one, client_act.Notify)]
                done.extend(came)  # noqa: B023
                for event in told:
                    if isinstance(event, ev.MessageReceived):
                        taken = client_inp.MessageTaken(delivery=event.delivery)
                        done.extend(client.step(taken, now))  # noqa: B023
                        handled = client_inp.MessageHandled(delivery=event.delivery)
                        done.extend(client.step(handled, now))  # noqa: B023
                done.extend(client.step(client_inp.TurnEnded(), now))  # noqa: B023
            if client.next_deadline() is not None:  # the ack that waits for more
                done.extend(client.step(client_inp.TimePassed(), now + ACK_DELAY))  # noqa: B023

        yield Work(run, per_frame * frames, tuple(pushes))
        rig.tick(ACK_DELAY)
        assert any(isinstance(a, client_act.SendBytes) for a in done), "nothing was acknowledged"
        rig.client_did(BOB, done)
        told = rig.received[BOB]
        assert len(told) == per_frame * frames, "not all were received"
        told.clear()
        rig.deliver()


def client_handles(rig: Rig) -> Iterator[Work]:
    """An application handles what it was told in a turn, until the ack's bytes."""
    client = rig.clients[BOB]
    while True:
        for data in _pushes(rig, FULL, 1):
            rig.client_did(BOB, client.step(rig.arrival(BOB, data), rig.now))
        told = rig.received[BOB]
        taken = [client_inp.MessageTaken(delivery=one.delivery) for one in told]
        handled = [client_inp.MessageHandled(delivery=one.delivery) for one in told]
        done: list[client_act.Action] = []
        now = rig.tick(ACK_DELAY)

        def run() -> None:
            for one, other in zip(taken, handled, strict=True):  # noqa: B023
                done.extend(client.step(one, now))  # noqa: B023
                done.extend(client.step(other, now))  # noqa: B023
            done.extend(client.step(client_inp.TurnEnded(), now))  # noqa: B023

        yield Work(run, FULL)
        told.clear()
        assert any(isinstance(a, client_act.SendBytes) for a in done), "nothing was acknowledged"
        rig.client_did(BOB, done)
        rig.deliver()


def client_sends(rig: Rig, per_turn: int, turns: int) -> Iterator[Work]:
    """Wishes to send, until the bytes; so many in each turn."""
    client = rig.clients[ALICE]
    while True:
        wishes = [rig.sends(per_turn) for _ in range(turns)]
        end = client_inp.TurnEnded()
        done: list[client_act.Action] = []
        now = rig.tick()

        def run() -> None:
            for turn in wishes:  # noqa: B023
                for wish in turn:
                    done.extend(client.step(wish, now))  # noqa: B023
                done.extend(client.step(end, now))  # noqa: B023

        yield Work(run, per_turn * turns)
        written = [a for a in done if isinstance(a, client_act.SendBytes)]
        assert len(written) == turns, "a turn has another number of writes"
        rig.client_did(ALICE, done)
        rig.run()
        rig.handle()


def client_answered(rig: Rig) -> Iterator[Work]:
    """The answers to what was sent come in, until the events that tell the application; as in
    `client_receives`."""
    client = rig.clients[ALICE]
    end = client_inp.TurnEnded()
    while True:
        rig.keeping = True
        _send(rig, FULL)
        arrivals = [rig.arrival(ALICE, data) for data in rig.sent[ALICE]]
        rig.sent[ALICE].clear()
        done: list[client_act.Action] = []
        accepted = client.counters.accepted
        now = rig.tick()

        def run() -> None:
            for arrival in arrivals:  # noqa: B023
                done.extend(client.step(arrival, now))  # noqa: B023
                done.extend(client.step(end, now))  # noqa: B023

        yield Work(run, FULL)
        assert client.counters.accepted == accepted + FULL, "not all were accepted"
        rig.client_did(ALICE, done)
        rig.deliver()
        rig.handle()


def server_takes(rig: Rig) -> Iterator[Work]:
    """Bytes of sends come in, until the store is asked for a commit."""
    while True:
        came = _came(rig)
        done: list[server_act.Action] = []
        now = rig.tick()
        rig.holding = True

        def run() -> None:
            for one in came:  # noqa: B023
                done.extend(rig.gateway.step(one, now))  # noqa: B023
            while rig.gateway.turns_wait:
                done.extend(rig.gateway.step(server_inp.TimePassed(), now))  # noqa: B023

        yield Work(run, FULL)
        assert any(isinstance(a, server_act.StoreCommit) for a in done), "no commit"
        rig.holding = False
        rig.server_did(done)
        rig.run()
        rig.handle()


def server_answers(rig: Rig) -> Iterator[Work]:
    """A commit is done, until the bytes: an answer to the sender, a push to the recipient."""
    while True:
        commit = _last_commit(rig)
        committed = rig.store.commit(commit)
        done: list[server_act.Action] = []
        now = rig.tick()

        def run() -> None:
            done.extend(rig.gateway.step(committed, now))  # noqa: B023

        yield Work(run, len(commit.submissions))
        told = {a.connection for a in done if isinstance(a, server_act.SendBytes)}
        assert told == {ALICE, BOB}, "somebody was not told"
        rig.holding = False
        rig.server_did(done)
        rig.run()
        rig.handle()


def commit_planned(rig: Rig) -> Iterator[Work]:
    """What a commit of messages needs to know, and what it means; without any store."""
    while True:
        commit = _last_commit(rig)
        asked = wanted(commit.submissions, commit.cursors, commit.reads)
        snapshot = rig.store._look_up(asked)

        def run() -> None:
            wanted(commit.submissions, commit.cursors, commit.reads)  # noqa: B023
            plan_commit(
                commit.submissions,  # noqa: B023
                commit.cursors,  # noqa: B023
                snapshot,  # noqa: B023
                commit.at,  # noqa: B023
                reads=commit.reads,  # noqa: B023
                session_lifetime=commit.session_lifetime,  # noqa: B023
            )

        yield Work(run, len(commit.submissions))
        rig.holding = False
        rig.held.append(commit)
        rig.run()
        rig.handle()


def heartbeat(rig: Rig) -> Iterator[Work]:
    """The time of a heartbeat: the client asks, the server answers, the client is content."""
    client = rig.clients[ALICE]
    while True:
        for other in (c for user, c in rig.clients.items() if user != ALICE):
            _let_pass(rig, BOB, other)
        deadline = client.next_deadline()
        assert deadline is not None, "a client that waits for nothing"
        rig.now = now = max(rig.now, deadline)
        answered: list[Any] = []

        def run() -> None:
            for asked in _bytes(client.step(client_inp.TimePassed(), now)):  # noqa: B023
                came = server_inp.BytesReceived(connection=ALICE, data=asked)
                answers = _bytes(rig.gateway.step(came, now))  # noqa: B023
                answered.extend(  # noqa: B023
                    [client.step(rig.arrival(ALICE, one), now) for one in answers]  # noqa: B023
                )

        yield Work(run, 1)
        assert len(answered) == 1, "no heartbeat was due"
        rig.run()


def transition(_: Rig) -> Iterator[Work]:
    """One life of a heartbeat's machine, by its table."""

    def run() -> None:
        state = HEARTBEAT.initial
        for event in LIFE:
            state = HEARTBEAT.next(state, event)

    while True:
        yield Work(run, len(LIFE))


#: The events of a heartbeat's life, from its first state and back to it.
LIFE: Final = ("started", "probe_sent", "missed", "life_seen", "probe_sent", "stopped_probing")

PATHS: Final[dict[str, Path]] = {
    "client receives one": lambda rig: client_receives(rig, 1, 16),
    "client receives 64 in a frame": lambda rig: client_receives(rig, FULL, 1),
    "client receives and acks one": lambda rig: client_receives_and_acks(rig, 1, 16),
    "client receives 16 in a frame": lambda rig: client_receives(rig, 16, 4),
    "client handles 64 in a turn": client_handles,
    "client sends one": lambda rig: client_sends(rig, 1, 16),
    "client sends 64 in a turn": lambda rig: client_sends(rig, FULL, 1),
    "client gets 64 answers": client_answered,
    "server takes 64 sends": server_takes,
    "server answers and pushes": server_answers,
    "commit is planned": commit_planned,
    "heartbeat": heartbeat,
    "state transition": transition,
}


def pieces(name: str, rng: random.Random) -> Iterator[Work]:
    """The work of a path, without end.

    Args:
        name: in PATHS.
        rng: where masks come from.
    """
    rig = Rig(rng=rng)
    _send(rig, 1)  # the first message also tells each that the other is online
    rig.handle()
    return PATHS[name](rig)


# ---------------------------------------------------------------- on the way to a piece of work


def _came(rig: Rig, count: int = FULL) -> list[server_inp.BytesReceived]:
    """What of a turn of Alice comes to the gateway."""
    written = rig.written(rig.sends(count))
    return [server_inp.BytesReceived(connection=ALICE, data=data) for data in written]


def _send(rig: Rig, count: int) -> None:
    """Alice writes so much in one turn, and the store has it."""
    for data in rig.written(rig.sends(count)):
        came = server_inp.BytesReceived(connection=ALICE, data=data)
        rig.server_did(rig.gateway.step(came, rig.now))
    rig.run()


def _pushes(rig: Rig, per_frame: int, frames: int) -> list[bytes]:
    """What Bob's transport brings of messages that were stored, in so many frames; all else waits
    for `deliver`."""
    rig.keeping = True
    missing = per_frame * frames
    while missing:
        rig.tick()
        _send(rig, min(FULL, missing))
        missing -= min(FULL, missing)
    envelopes = [one for text in texts(b"".join(rig.sent[BOB])) for one in _envelopes(text)]
    rig.sent[BOB].clear()
    assert len(envelopes) == per_frame * frames, "Bob is sent something else, too"
    return [
        text_frame(_joined(envelopes[at : at + per_frame]))
        for at in range(0, len(envelopes), per_frame)
    ]


def _envelopes(text: str) -> list[str]:
    """Of a frame, as they stand in it."""
    found = json.loads(text)
    every = found if isinstance(found, list) else [found]
    return [json.dumps(one, separators=(",", ":"), ensure_ascii=False) for one in every]


def _joined(envelopes: list[str]) -> str:
    return envelopes[0] if len(envelopes) == 1 else f"[{','.join(envelopes)}]"


def texts(data: bytes) -> list[str]:
    """What whole text frames of a server say."""
    protocol = FrameProtocol(client=True, extensions=[])
    protocol.receive_bytes(data)
    return [str(frame.payload) for frame in protocol.received_frames()]


def text_frame(text: str) -> bytes:
    """A text frame of a server."""
    return bytes(FrameProtocol(client=False, extensions=[]).send_data(text, fin=True))


def _last_commit(rig: Rig) -> server_act.StoreCommit:
    """Of a full turn of Alice, what the gateway wants committed; what it wants before is done.

    It comes while a commit is under way: else the store would be given it in two halves.
    """
    rig.holding = True
    for one in (*_came(rig, 1), *_came(rig)):
        rig.server_did(rig.gateway.step(one, rig.tick()))
    rig.run()
    while True:
        commit = rig.held.popleft()
        assert isinstance(commit, server_act.StoreCommit), f"{commit} is no commit"
        if len(commit.submissions) > FULL // 2:
            return commit
        rig.server_did(rig.gateway.step(rig.store.commit(commit), rig.now))
        rig.run()


def _let_pass(rig: Rig, user: int, client: Any) -> None:
    """What is due at a client is done."""
    deadline = client.next_deadline()
    if deadline is not None and deadline <= rig.now:
        rig.client_did(user, client.step(client_inp.TimePassed(), rig.now))
        rig.run()


def _bytes(actions: list[Any]) -> list[bytes]:
    sends = client_act.SendBytes, server_act.SendBytes
    return [action.data for action in actions if isinstance(action, sends)]
