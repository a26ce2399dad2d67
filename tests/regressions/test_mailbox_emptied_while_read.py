"""A mailbox that retention empties while it is being read must not stop its reader for good.

The numbers that stood for nothing any more counted as pushes without an ack; more of them than
`unacked` left no room for anything new. Found by `im simulate` (the fault `retention_race`).
"""

from __future__ import annotations

from im_proto.client import Status
from im_proto.config import ServerConfig
from im_proto.testing import SimWorld


def test_what_comes_after_the_mailbox_was_emptied_is_delivered() -> None:
    world = SimWorld(1, ServerConfig(unacked=4))
    writer = world.client(1, device_id="a")
    reader = world.client(2, device_id="b")
    for client in (writer, reader):
        client.connect()
    assert world.run(5, lambda: writer.status is reader.status is Status.AUTHENTICATED)
    reader.disconnect()
    world.run(1)
    for n in range(20):
        writer.send(2, f"old {n}")
    world.run(2)
    server = world.server
    server.commit_time = 1.0  # reads take up to two seconds
    reader.connect()

    def is_read() -> bool:
        assert server.gateway is not None
        sessions = server.gateway.hub._roster.all()
        return any(session.user == 2 and session.reading for session in sessions)

    assert world.run(10, is_read)
    emptied = server.store.oldest(2) + len(server.store.entries(2))
    server.store.trim(2, emptied)
    world.ledger.trimmed(2, emptied)
    world.run(5)
    server.commit_time = 0.005
    writer.send(2, "new")
    world.settle()
    assert [message.content for message in reader.received] == ["new"]
