"""A msgId that is taken (40900) must not change the order of a conversation.

Two devices of one user draw the same msgIds when they send at the same microsecond, or while one
of them runs ahead of its clock in a burst. The message that met the conflict was sent again behind
those that had followed it. Found by `im simulate` (then seed 4, 2 minutes).
"""

from __future__ import annotations

import pytest

from im_proto.client import Status
from im_proto.server.commit import _Desk
from im_proto.testing import SimulationFailure, SimWorld
from im_proto.testing.sim.client import ClientNode


def burst(seed: int) -> tuple[int, list[ClientNode]]:
    """Both devices of user 1 send at the same moments; how many ids were taken."""
    world = SimWorld(seed)
    senders = [world.client(1, device_id=name) for name in ("a", "b")]
    reader = world.client(2, device_id="c")
    clients = [*senders, reader]
    for client in clients:
        client.connect()
    assert world.run(5, lambda: all(c.status is Status.AUTHENTICATED for c in clients))
    for n in range(30):
        for client in senders:
            client.send(2, f"{client.name} {n}")
        if n % 10 == 9:
            world.run(0.003)
    world.settle()
    for client in senders:
        mine = [m.content for m in reader.received if m.content.startswith(client.name)]
        assert mine == [f"{client.name} {n}" for n in range(30)]
    accepted = [event for client in senders for event in client.accepted]
    assert len({event.msg_id for event in accepted}) == 60
    return sum(event.sends > 1 for event in accepted), clients


@pytest.mark.parametrize("seed", range(8))
def test_two_devices_that_draw_the_same_ids_keep_their_order(seed: int) -> None:
    taken, _ = burst(seed)
    assert taken > 0


def test_the_world_notices_when_what_follows_a_conflict_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decide = _Desk.decide

    def careless(desk: _Desk, new: object) -> object:
        desk._held.clear()
        return decide(desk, new)  # type: ignore[arg-type]

    monkeypatch.setattr(_Desk, "decide", careless)
    with pytest.raises(SimulationFailure, match="was overtaken"):
        for seed in range(8):
            burst(seed)
