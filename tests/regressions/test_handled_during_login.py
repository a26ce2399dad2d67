"""What is handled while a log-in is on its way must be acknowledged once the link is up.

The client took it for acknowledged, since the log-in had asked to resume from somewhere; but from
lower down. The server pushed it again, all of it repeats, and waited for their ack: with `unacked`
of them for ever. Found by `im simulate`.
"""

from __future__ import annotations

from im_proto.client import Status
from im_proto.config import ServerConfig
from im_proto.testing import Handles, SimWorld


def test_a_mailbox_goes_on_behind_what_was_handled_during_the_log_in() -> None:
    world = SimWorld(1, ServerConfig(unacked=4))
    writer = world.client(1, device_id="a")
    reader = world.client(2, device_id="b", handles=Handles.ASKED)
    clients = (writer, reader)

    def online() -> bool:
        return all(client.status is Status.AUTHENTICATED for client in clients)

    for client in clients:
        client.connect()
    assert world.run(5, online)
    for n in range(4):
        writer.send(2, f"old {n}")
    assert world.run(5, lambda: len(reader.received) == 4)
    assert reader.end is not None
    world.server.auth_time = 3.0
    world.network.cut(reader.end)
    assert world.run(10, lambda: reader.status is Status.CONNECTED)
    for message in reader.received:
        reader.handle(message)
    assert reader.status is Status.CONNECTED
    assert world.run(10, online)
    writer.send(2, "new")
    assert world.run(5, lambda: len(reader.received) == 5)
    reader.handle(reader.received[4])
    world.settle()
    assert [m.content for m in reader.received] == [*(f"old {n}" for n in range(4)), "new"]
