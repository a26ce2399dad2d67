"""What an input costs an engine while there is more and more: it should not matter how much.

CPU time of this process, the mean over some hundred inputs of a kind, of the best of some runs: a
run is slower only because of what else the machine does.
"""

from __future__ import annotations

import gc
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from im_proto.client import actions as client_act
from im_proto.client import inputs as client_inp
from im_proto.client.events import MessageReceived
from im_proto.server import actions as server_act
from im_proto.server import inputs as server_inp

from .harness import Curve, Options, Series, flat
from .rig import ALICE, BOB, CONTENT, Rig
from .visits import ours

#: Runs for each point of a curve.
_TIMES: Final = 3
#: Inputs of a kind, and those of one turn.
_INPUTS: Final = 512
_TURN: Final = 64
#: Seconds between two log-ins, as often as `admissions` allows.
_APART: Final = 0.003
#: To how many of those who are there Alice writes: to all, the first message to each would count.
_TOLD: Final = 8
#: The first of those who are neither Alice nor Bob.
_FIRST: Final = 1_000
#: The greatest cost is at most so many times the least: what is called flat here. More memory in
#: use means more misses of the processor's caches, whatever the engine does.
_FLAT: Final = 1.5
_MESSAGES: Final = (10, 100, 1_000, 10_000, 100_000)
_MANY: Final = (10, 100, 1_000, 10_000)


def _least(work: Callable[[], object]) -> float:
    """Microseconds for an input that takes so few that anything else would show."""
    return min(_timed(work) for _ in range(9))


def _timed(work: Callable[[], object], inputs: int = _INPUTS) -> float:
    """Microseconds for an input."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / inputs * 1e6


def _steps(engine: Any, events: Sequence[Any], now: float, done: list[Any]) -> None:
    for event in events:
        done += engine.step(event, now)


def _sends(first: int, count: int, users: Sequence[int]) -> list[client_inp.Send]:
    return [
        client_inp.Send(ref=ref, to_user=users[ref % len(users)], content=CONTENT)
        for ref in range(first, first + count)
    ]


def _written(
    rig: Rig, user: int, sends: Sequence[client_inp.Send]
) -> list[server_inp.BytesReceived]:
    """They are sent, a turn at a time; what the server is to get of it."""
    client, done = rig.clients[user], list[client_act.Action]()
    for at in range(0, len(sends), _TURN):
        for send in sends[at : at + _TURN]:
            done += client.step(send, rig.now)
        done += client.step(client_inp.TurnEnded(), rig.now)
    return [
        server_inp.BytesReceived(connection=user, data=action.data)
        for action in done
        if isinstance(action, client_act.SendBytes)
    ]


def _write(
    rig: Rig, sends: Sequence[client_inp.Send], written: list[server_inp.BytesReceived]
) -> None:
    written += _written(rig, ALICE, sends)


def _served(rig: Rig, came: Sequence[server_inp.BytesReceived]) -> None:
    for one in came:
        rig.server_did(rig.gateway.step(one, rig.now))
        rig.run()


# ---------------------------------------------------------------- a client


def _client(waiting: int, users: Sequence[int]) -> dict[str, float]:
    """What inputs cost a client with so many messages that have no answer yet.

    Args:
        waiting: messages.
        users: to whom they go, in turn.
    """
    rig = Rig(rng=random.Random(0))
    rig.keeping = True
    client, turns = rig.clients[ALICE], _INPUTS // _TURN
    came = deque(_written(rig, ALICE, _sends(1, waiting, users)))
    costs = dict.fromkeys(("Send and its answer", "push", "handled", "next_deadline"), 0.0)
    first, answered, sending, answering = waiting + 1, client.counters.accepted, 0.0, 0.0
    for _ in range(turns):
        more = _sends(first, _TURN, users)
        first += _TURN
        written: list[server_inp.BytesReceived] = []
        sending += _timed(partial(_write, rig, more, written))
        came += written
        rig.sent[ALICE].clear()
        _served(rig, [came.popleft()])
        answers = [rig.arrival(ALICE, data) for data in rig.sent[ALICE]]
        answering += _timed(partial(_steps, client, answers, rig.now, []), 1)
    # together: above the window an answer is what sends a message, below it is the Send
    answering /= client.counters.accepted - answered
    costs["Send and its answer"] = sending + answering
    rig.sent[ALICE].clear()
    costs["next_deadline"] = _least(lambda: [client.next_deadline() for _ in range(_INPUTS)])
    _served(rig, _written(rig, BOB, _sends(1, _INPUTS, [ALICE])))
    pushes = [rig.arrival(ALICE, data) for data in rig.sent[ALICE]]
    told: list[client_act.Action] = []
    costs["push"] = _timed(partial(_steps, client, pushes, rig.now, told))
    handled = [
        client_inp.MessageHandled(delivery=action.event.delivery)
        for action in told
        if isinstance(action, client_act.Notify) and isinstance(action.event, MessageReceived)
    ]
    costs["handled"] = _timed(partial(_steps, client, handled, rig.now, []), len(handled))
    return costs


# ---------------------------------------------------------------- the hub


class Town(Rig):
    """A rig in whose gateway many others are logged in, who say nothing.

    Args:
        users: how many, with Alice and Bob.
    """

    def __init__(self, users: int) -> None:
        super().__init__(rng=random.Random(0))
        self.others = range(_FIRST, _FIRST + users - 2)
        for user in self.others:
            visitor = ours("ws://chat.example/ws", user, "token")
            self.server_did(self.gateway.step(server_inp.ConnectionMade(connection=user), self.now))
            for data in (visitor.upgrade, visitor.first):
                came = server_inp.BytesReceived(connection=user, data=data)
                self.server_did(self.gateway.step(came, self.now))
                self.run()
            self.tick(_APART)
        assert sum(self.gateway.online().values()) == users, "not all are logged in"

    def server_did(self, actions: list[server_act.Action]) -> None:
        """What others are told goes nowhere."""
        super().server_did(
            [
                action
                for action in actions
                if not (isinstance(action, server_act.SendBytes) and action.connection >= _FIRST)
            ]
        )


def _hub(users: int) -> dict[str, float]:
    """What inputs cost the server with so many who are logged in; Alice writes to some of them, one
    message in a commit."""
    town = Town(users)
    gateway = town.gateway
    town.keeping = True
    costs = dict.fromkeys(("send", "committed", "ack", "next_deadline"), 0.0)
    told = town.others[:: len(town.others) // _TOLD]
    for ref in range(1, _INPUTS + 1):
        came = _written(town, ALICE, _sends(ref, 1, told))
        town.holding = True
        now, asked = town.tick(), list[server_act.Action]()
        costs["send"] += _timed(partial(_steps, gateway, came, now, asked))
        town.server_did(asked)
        while town.held:
            answer = town.store.carry_out(town.held.popleft())
            assert answer is not None
            done: list[server_act.Action] = []
            costs["committed"] += _timed(partial(_steps, gateway, [answer], now, done))
            town.server_did(done)
        town.holding = False
        town.run()
    costs["ack"] = _acks(town)
    costs["next_deadline"] = _least(lambda: [gateway.next_deadline() for _ in range(_INPUTS)])
    return costs


def _acks(town: Town) -> float:
    """Alice writes to Bob, one message at a time, and he acknowledges each."""
    town.keeping = False
    bob, acks = town.clients[BOB], 64
    spent = 0.0
    for number in range(acks):
        town.keeping = False
        came = _written(town, ALICE, _sends(1_000_000 + number, 1, [BOB]))
        town.tick()
        _served(town, came)
        received, town.received[BOB] = town.received[BOB], []
        done: list[client_act.Action] = []
        for one in received:
            done += bob.step(client_inp.MessageHandled(delivery=one.delivery), town.now)
        done += bob.step(client_inp.TurnEnded(), town.now)
        deadline = bob.next_deadline()
        if not any(isinstance(a, client_act.SendBytes) for a in done) and deadline is not None:
            town.now = max(town.now, deadline)
            done += bob.step(client_inp.TimePassed(), town.now)
        came = [
            server_inp.BytesReceived(connection=BOB, data=action.data)
            for action in done
            if isinstance(action, client_act.SendBytes)
        ]
        told: list[server_act.Action] = []
        spent += _timed(partial(_steps, town.gateway, came, town.now, told), 1)
        town.server_did(told)
        town.run()
    return spent / acks


# ---------------------------------------------------------------- the curves


def _grown(sizes: Sequence[int], times: int, costs: Callable[[int], dict[str, float]]) -> Series:
    """The least of some runs, for each size; in turns, so that a slow moment is not one size's."""
    _alone(costs, sizes[0])  # once for nothing: what is done for the first time takes longer
    rounds = [[_alone(costs, size) for size in sizes] for _ in range(times)]
    return {
        name: [
            (size, min(run[name] for run in runs))
            for size, runs in zip(sizes, zip(*rounds, strict=True), strict=True)
        ]
        for name in rounds[0][0]
    }


def _alone(costs: Callable[[int], dict[str, float]], size: int) -> dict[str, float]:
    """Without collections: what they cost grows with all that the process has."""
    gc.collect()
    gc.disable()
    try:
        return costs(size)
    finally:
        gc.enable()


def curves(options: Options) -> Sequence[Curve]:
    """Three curves."""
    most = 1_000 if options.quick else 1_000_000
    times = 1 if options.quick else _TIMES

    def sizes(all_of_them: Sequence[int]) -> list[int]:
        return [size for size in all_of_them if size <= most]

    goal = "flat"
    notes = [f"flat: the greatest cost is at most {_FLAT:g} × the least"]
    return [
        Curve(
            key="growth-messages",
            title="Client: the cost of an input while messages wait for their answer",
            x_label="messages",
            y_label="µs an input",
            series=lambda: _grown(sizes(_MESSAGES), times, lambda n: _client(n, [BOB])),
            goal=goal,
            reached=partial(flat, most=_FLAT),
            notes=notes,
        ),
        Curve(
            key="growth-conversations",
            title="Client: the cost of an input while one message waits in each conversation",
            x_label="conversations",
            y_label="µs an input",
            series=lambda: _grown(
                sizes(_MANY), times, lambda n: _client(n, range(_FIRST, _FIRST + n))
            ),
            goal=goal,
            reached=partial(flat, most=_FLAT),
            notes=notes,
        ),
        Curve(
            key="growth-users",
            title="Server: the cost of an input while users are logged in",
            x_label="users",
            y_label="µs an input",
            series=lambda: _grown(sizes(_MANY), times, _hub),
            goal=goal,
            reached=partial(flat, most=_FLAT),
            notes=[*notes, f"Alice writes to {_TOLD} of them, one message in a commit"],
        ),
    ]
