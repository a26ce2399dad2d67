"""What comes together is worked on together: one commit, one write, one look at each limit."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.server_kit import DETERMINISTIC, FULL, Kit, Peer
from im_proto.server import actions as act

#: what a client says, and how long it is quiet then
_Round = tuple[list[str], float]
_ROUNDS = st.lists(
    st.tuples(
        st.lists(
            st.sampled_from(["chat", "chat", "chat", "beat", "bad", "odd", "ack"]),
            min_size=1,
            max_size=9,
        ),
        st.sampled_from([0.0, 0.3, 2.0, 9.0]),
    ),
    min_size=1,
    max_size=8,
)


class Talker:
    """A client that says the same in batches or one by one, and somebody who writes to it."""

    def __init__(self, *, envelopes: int, messages: int) -> None:
        self.kit = Kit(
            envelopes_per_second=2.0,
            envelope_burst=envelopes,
            messages_per_second=1.0,
            message_burst=messages,
        )
        self.peer = self.kit.user(1)
        writer = self.kit.user(2)
        for msg_id in range(1, 9):
            self.kit.wait(5)
            writer.chat(msg_id, 1, "something to acknowledge")
        self.kit.wait(30)
        self.peer.forget()
        self.said = 0
        self.acked = 0

    def envelope(self, what: str) -> str:
        peer = self.peer
        self.said += 1
        if what == "chat":
            kind, body = "CHAT_SEND_TO_ONE_REQUEST", {"msgId": self.said, "toUser": 2}
            return peer.envelope(kind, **body, content=f"m{self.said}")
        if what == "ack":
            self.acked += self.said % 2  # every other one moves
            return peer.envelope("CHAT_ACK_REQUEST", seq=self.acked)
        if what == "bad":
            return peer.envelope("CHAT_SEND_TO_ONE_REQUEST", msgId=self.said, toUser=2, content="")
        return peer.envelope("HEARTBEAT_REQUEST" if what == "beat" else "NOBODY_KNOWS")

    def levels(self) -> list[float]:
        gateway = self.kit.gateway
        engine = gateway.engines.get(self.peer.connection)
        live = engine is not None and engine.core.state == "online"
        own = [engine.core._budget.level(self.kit.now)] if live else []
        return [*own, gateway.hub._rates._bucket(1).level(self.kit.now)]


def heard(peer: Peer) -> list[object]:
    answers = sorted(peer.answers, key=lambda answer: answer["msgId"])  # bad ones come first
    return [peer.close, peer.paused, answers, len(peer.of("HEARTBEAT_RESPONSE"))]


@DETERMINISTIC
@given(_ROUNDS, st.integers(1, 40), st.integers(2, 20))
def test_a_batch_costs_and_does_what_its_messages_do_one_by_one(
    rounds: Sequence[_Round], envelopes: int, messages: int
) -> None:
    one = Talker(envelopes=envelopes, messages=messages)
    other = Talker(envelopes=envelopes, messages=messages)
    other.kit.gateway.hub._rates.afford = lambda *_: False  # type: ignore[method-assign]
    for words, quiet in rounds:
        if one.peer.close is not None:
            break
        one.peer.batch(*[one.envelope(word) for word in words])
        other.peer.raw(b"".join(other.peer.bytes_of(other.envelope(word)) for word in words))
        assert one.levels() == pytest.approx(other.levels(), abs=1e-6)
        assert heard(one.peer) == heard(other.peer)
        assert one.kit.stored == other.kit.stored
        one.kit.wait(quiet)
        other.kit.wait(quiet)
    assert heard(one.peer) == heard(other.peer)


def test_what_one_read_brings_is_one_commit_answered_with_one_write() -> None:
    kit = Kit()
    one, two = kit.user(1), kit.user(2)
    kit.said.clear()
    one.raw(
        b"".join(
            one.bytes_of(
                one.envelope("CHAT_SEND_TO_ONE_REQUEST", msgId=n, toUser=2, content=f"m{n}")
            )
            for n in range(1, 6)
        )
    )
    (commit,) = kit.commits
    assert [submission.msg_id for submission in commit.submissions] == [1, 2, 3, 4, 5]
    writes = [action.connection for action in kit.said if isinstance(action, act.SendBytes)]
    assert writes == [one.connection, two.connection]
    assert [answer["msgId"] for answer in one.answers] == [1, 2, 3, 4, 5]
    assert two.contents == ["m1", "m2", "m3", "m4", "m5"]


def test_sends_and_what_is_said_between_them_reach_the_store_in_order() -> None:
    kit = Kit()
    one, two = kit.user(1, **FULL), kit.user(2)
    two.chat(1, 1, "read this")
    kit.holding = True
    kit.said.clear()
    one.batch(
        one.envelope("CHAT_SEND_TO_ONE_REQUEST", msgId=1, toUser=2, content="a"),
        one.envelope("CHAT_READ_RECEIPT_REQUEST", msgId=1, fromUser=2),
        one.envelope("CHAT_SEND_TO_ONE_REQUEST", msgId=2, toUser=2, content="b"),
    )
    (commit,) = kit.commits
    keys = [commit.submissions[0].key, commit.reads[0].key, commit.submissions[1].key]
    assert keys == sorted(keys)
    kit.release()
    assert one.kinds[-3:] == [
        "CHAT_SEND_RESPONSE",
        "CHAT_SEND_RESPONSE",
        "CHAT_READ_RECEIPT_RESPONSE",
    ]


def test_who_writes_to_himself_is_answered_before_he_is_pushed_it() -> None:
    kit = Kit()
    one = kit.user(1)
    kit.said.clear()
    one.chat(1, 1, "a note")
    assert sum(isinstance(action, act.SendBytes) for action in kit.said) == 1
    assert one.kinds[-2:] == ["CHAT_SEND_RESPONSE", "CHAT_REDIRECT_TO_USER_REQUEST"]
