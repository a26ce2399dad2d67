"""Going down in good order: what was accepted is answered, then 1012 to everyone."""

from __future__ import annotations

import pytest

from core.server_kit import Kit, Peer
from im_proto.server.actions import Drained
from im_proto.server.inputs import Shutdown


def drained(kit: Kit) -> int:
    return sum(isinstance(action, Drained) for action in kit.said)


def test_an_idle_server_says_1012_at_once_and_drained_when_all_have_gone() -> None:
    kit = Kit()
    peers = [kit.user(1), kit.plain(2), kit.peer()]
    kit.do(Shutdown(retry_after=2.5))
    assert [peer.code for peer in peers] == [1012] * 3
    assert peers[0].of("KICK") == [
        {"reason": "the server restarts", "reconnect": True, "retryAfter": 2.5}
    ]
    assert peers[1].of("KICK") == peers[2].of("KICK") == []  # section 2 is not for them
    assert drained(kit) == 0
    for peer in peers:
        peer.say_close() if peer is not peers[2] else peer.lose()
    assert drained(kit) == 1
    assert not kit.waits


def test_what_was_accepted_is_answered_before_the_end() -> None:
    kit = Kit(commit_batch=2)
    one, two = kit.user(1), kit.user(2)
    kit.holding = True
    for n in range(1, 6):
        one.chat(n, 2, f"m{n}")
    kit.do(Shutdown())
    assert one.close is None and one.paused
    one.chat(6, 2, "too late")
    two.chat(7, 1, "too late")
    kit.answer()
    assert one.close is None
    while kit.held:
        kit.answer()
    assert [answer["msgId"] for answer in one.answers] == [1, 2, 3, 4, 5]
    assert one.kinds[-1] == "KICK"
    assert one.code == two.code == 1012 and not one.paused
    assert [content for _, content in kit.stored] == ["m1", "m2", "m3", "m4", "m5"]
    assert len(kit.submissions) == 5


def test_cursors_are_written_before_the_end() -> None:
    kit = Kit()
    one, two = kit.user(1), kit.user(2)
    one.chat(1, 2, "m1")
    two.ack(1)
    kit.do(Shutdown())
    assert kit.cursor(2) == 1 and two.code == 1012


def test_a_store_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    kit = Kit(drain_timeout=10, close_timeout=5)
    one = kit.user(1)
    kit.holding = True
    one.chat(1, 2, "m1")
    kit.do(Shutdown())
    kit.wait(9.9)
    assert one.close is None
    kit.wait(0.1)
    assert one.code == 1012 and one.answers == []
    assert drained(kit) == 0
    kit.wait(5)  # the peer says nothing either
    assert one.ended == "aborted" and drained(kit) == 1
    kit.release()
    assert drained(kit) == 1


def test_a_store_that_fails_while_draining_acknowledges_nothing() -> None:
    kit = Kit()
    one, two = kit.user(1), kit.user(2)
    kit.holding = True
    one.chat(1, 2, "m1")
    kit.do(Shutdown())
    kit.fail()
    assert one.code == 1013 and one.answers == []
    assert two.code == 1012


def test_new_connections_are_turned_away_while_draining() -> None:
    kit = Kit()
    one = kit.user(1)
    kit.holding = True
    one.chat(1, 2, "m1")
    kit.do(Shutdown(retry_after=1.5))
    for _ in range(2):  # while the store works, and after it
        late = kit.peer(upgrade=False)
        assert late.http.startswith(b"HTTP/1.1 503") and late.ended == "closed"
        assert b"\r\nRetry-After: 2\r\n" in late.http
        kit.release()
    assert one.code == 1012


@pytest.mark.parametrize("where", ["handshaking", "unauthenticated", "verifying", "logging_in"])
def test_who_is_on_the_way_in_is_told_too(where: str) -> None:
    kit = Kit()
    kit.verifying = where != "verifying"
    kit.holding = where == "logging_in"
    peer: Peer = kit.peer(upgrade=where != "handshaking")
    if where in ("verifying", "logging_in"):
        peer.login(1)
    kit.do(Shutdown())
    kit.release()
    if where == "handshaking":
        assert peer.http.startswith(b"HTTP/1.1 503")
    else:
        assert peer.code == 1012 and peer.messages == []
        peer.lose()
    assert drained(kit) == 1 and not kit.gateway.engines


def test_a_token_that_is_verified_too_late_logs_nobody_in() -> None:
    kit = Kit()
    kit.verifying = False
    busy, peer = kit.peer(), kit.peer()
    kit.verifying = True
    busy.login(1)
    kit.verifying = False
    peer.login(2)
    kit.holding = True
    busy.chat(1, 2, "m1")
    kit.do(Shutdown())
    (asked,) = [a for a in kit.said if type(a).__name__ == "Authenticate"][1:]
    kit.verify(asked)  # type: ignore[arg-type]
    assert peer.code == 1012
    kit.release()
    assert busy.code == 1012 and kit.gateway.online() == {}


def test_shutting_down_twice_changes_nothing() -> None:
    kit = Kit()
    one = kit.user(1)
    kit.do(Shutdown(reason="a", retry_after=1))
    kit.do(Shutdown(reason="b", retry_after=9))
    assert one.close == (1012, "a")
    one.lose()
    kit.do(Shutdown())
    assert drained(kit) == 1


def test_an_empty_server_is_drained_at_once() -> None:
    kit = Kit()
    kit.do(Shutdown())
    assert drained(kit) == 1


def test_cursors_that_can_not_be_written_hold_nothing_up_while_draining() -> None:
    kit = Kit()
    one, two = kit.user(1), kit.user(2)
    one.chat(1, 2, "m1")
    two.ack(1)
    kit.holding = True
    kit.do(Shutdown())
    kit.fail()
    assert one.code == two.code == 1012


# ---------------------------------------------------------------- when each may come back


def waits(peers: list[Peer]) -> list[float]:
    return [peer.of("KICK")[0]["retryAfter"] for peer in peers]


def test_each_is_told_a_time_of_its_own_at_which_to_come_back() -> None:
    kit = Kit(admissions=10, admission_window=0.1)
    online = [kit.user(n) for n in range(1, 6)]
    kit.wait(1)
    kit.verifying = False
    under_way = [kit.user(n) for n in range(6, 9)]
    kit.do(Shutdown())
    told = waits(online + under_way)
    assert told[0] == pytest.approx(1.0)
    # evenly, at nine tenths of what may log in, and nobody's place is given away twice or wasted
    assert told == pytest.approx([1.0 + n / 90 for n in range(8)])


def test_who_comes_while_it_goes_down_is_told_a_later_time() -> None:
    kit = Kit(admissions=1, admission_window=2.7)
    one = kit.user(1)
    kit.do(Shutdown())
    assert waits([one]) == [pytest.approx(2.7)]
    kit.wait(1)
    late = kit.peer(upgrade=False)
    assert b"\r\nRetry-After: 5\r\n" in late.http  # 2.7 and 3, a second later


def test_a_time_that_was_said_for_all_is_told_to_all() -> None:
    kit = Kit()
    peers = [kit.user(n) for n in range(1, 4)]
    kit.do(Shutdown(retry_after=7.0))
    assert waits(peers) == [7.0] * 3


def test_who_is_not_read_for_its_rate_goes_down_with_the_others() -> None:
    kit = Kit(messages_per_second=1, message_burst=6)
    one = kit.user(1)
    one.chat(1, 2, "m1")
    one.chat(2, 2, "m2")
    assert one.paused
    kit.do(Shutdown())
    assert one.code == 1012 and not one.paused and len(one.answers) == 2
    one.say_close()
    assert drained(kit) == 1 and not kit.waits
