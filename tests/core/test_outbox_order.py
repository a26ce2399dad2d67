"""Which conversation goes first does not depend on how a process hashes names."""

from __future__ import annotations

from core.process_kit import said_in_a_process

SCRIPT = """
from im_proto.client.inputs import Send
from im_proto.client.message import Outgoing
from im_proto.client.outgoing import Outbox

outbox = Outbox()
names = [f"user {n}" for n in range(40)]
outbox.hold(set(names))
for ref, name in enumerate(names, 1):
    outbox.add(Outgoing(Send(ref=ref, to_user=name, content="x"), name, None))
outbox.hold(set())
print([message.ref for message in outbox.take(window=40)])
"""


def test_conversations_that_were_held_go_on_in_their_order() -> None:
    assert (
        said_in_a_process(SCRIPT, "1")
        == said_in_a_process(SCRIPT, "2")
        == f"{list(range(1, 41))}\n"
    )
