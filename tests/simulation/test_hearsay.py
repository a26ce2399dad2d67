"""Receipts, own copies, who is here: each promise broken once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from im_proto.client import events as ev
from im_proto.client.receiving import Receiving
from im_proto.server.peers import Peers
from im_proto.server.presence import Presence
from im_proto.server.receipts import Receipts
from im_proto.testing import SimWorld
from im_proto.testing.sim.client import ClientNode
from simulation.sim_kit import broken, log_in

Patch = pytest.MonkeyPatch


def three(seed: int = 1) -> tuple[SimWorld, list[ClientNode]]:
    """Two devices of user 1, and one of user 2."""
    world = SimWorld(seed)
    clients = [world.client(user, device_id=name) for user, name in ((1, "a"), (1, "b"), (2, "c"))]
    log_in(world)
    return world, clients


def told(client: ClientNode, kind: type) -> list[Any]:
    return [event for event in client.events if isinstance(event, kind)]


def talk() -> tuple[SimWorld, list[ClientNode]]:
    """Messages both ways, and what was read."""
    world, (a, b, c) = three()
    for n in range(4):
        a.send(2, f"a{n}")
        c.send(1, f"c{n}")
    world.run(2)
    for client in (a, c):
        assert client.last is not None
        client.mark_read(*client.last)
    world.settle(60)
    return world, [a, b, c]


def test_receipts_copies_and_presence_are_told() -> None:
    world, (a, b, c) = talk()
    for client in (a, b, c):
        receipts = {event.status for event in told(client, ev.ReceiptReceived)}
        assert receipts == {"delivered", "read"}
    assert [event.content for event in told(b, ev.OwnMessage)] == ["a0", "a1", "a2", "a3"]
    assert told(a, ev.OwnMessage) == []
    assert told(b, ev.ReadElsewhere)
    assert world.hearsay.unaware() == []
    assert told(c, ev.PresenceChanged)[-1].online


def client_forgets(patch: Patch, kind: type) -> None:
    """A client that keeps such events to itself."""
    event = Receiving._other
    patch.setattr(
        Receiving,
        "_other",
        lambda r, push: None if isinstance(found := event(r, push), kind) else found,
    )


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (ev.ReceiptReceived, r"\('receipt', .* was not told to device"),
        (ev.OwnMessage, r"\('own', 2, 'a0'\) was not told to device b of user 1"),
        (ev.ReadElsewhere, r"\('read', 2, .* was not told to device"),
    ],
)
def test_what_stands_in_the_mailbox_and_is_not_told(
    kind: type, words: str, monkeypatch: Patch
) -> None:
    client_forgets(monkeypatch, kind)
    broken(words, talk)


def test_a_receipt_that_is_never_made(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Receipts, "_tell", lambda *_: None)
    broken(r"\('come', \d+\) was not told to device", talk)


def test_a_receipt_for_what_has_not_come(monkeypatch: Patch) -> None:
    world, (a, _, c) = three()
    c.disconnect()
    a.send(2, "unseen")
    world.run(1)
    (message,) = world.server.store.messages
    receipt = ev.ReceiptReceived(
        msg_ids=(message.msg_id,), user=2, status="delivered", session_id=None, timestamp=None
    )
    broken("c1 was told that 'unseen' was delivered", lambda: world.hearsay.heard(a, receipt))
    read = replace(receipt, status="read")
    broken("c1 was told that 'unseen' was read", lambda: world.hearsay.heard(a, read))
    other = replace(receipt, msg_ids=(7,))
    broken("c1 has a receipt for 7, not sent to 2", lambda: world.hearsay.heard(a, other))
    stranger = replace(receipt, user=3)
    broken("has a receipt for .*, not sent to 3", lambda: world.hearsay.heard(a, stranger))


def test_read_too_much(monkeypatch: Patch) -> None:
    def all_of_it(receipts: Receipts, *how: Any) -> Any:
        for found in receipts._unread.values():
            for identity, message in found.items():
                found[identity] = message._replace(seq=1)
        return mark(receipts, *how)

    mark = Receipts.mark
    monkeypatch.setattr(Receipts, "mark", all_of_it)

    def live() -> None:
        world, (a, _, c) = three()
        for n in range(4):
            a.send(2, f"a{n}")
        world.run(2)
        first = c.received[0]
        assert first.from_user is not None
        assert first.msg_id is not None
        # the store looks up no more than what was read, so it has to be asked for too much
        patched = world.server.store._unread
        last = c.received[-1].msg_id
        assert last is not None
        monkeypatch.setattr(
            world.server.store, "_unread", lambda reader, sender, _: patched(reader, sender, last)
        )
        c.mark_read(first.from_user, first.msg_id)
        world.settle(60)

    broken("was told that 'a1' was read", live)


@pytest.mark.parametrize("how", ["nobody is looked up", "nobody is told"])
def test_somebody_does_not_know_who_is_here(how: str, monkeypatch: Patch) -> None:
    if how == "nobody is looked up":
        monkeypatch.setattr(Peers, "met", lambda *_: [])
    else:
        monkeypatch.setattr(Presence, "_tell", lambda *_, **__: None)
    broken("c1 does not know that user 2 is here", talk)


def test_a_copy_that_is_not_made(monkeypatch: Patch) -> None:
    from im_proto.server.planning import Draft

    monkeypatch.setattr(Draft, "has_others", lambda *_: False)
    broken(r"\('own', 2, 'a0'\) was not told to device b of user 1", talk)
