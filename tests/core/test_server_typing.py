"""TYPING goes from one to the other, at most once a second (protocol.md section 2, `typing`)."""

from __future__ import annotations

from core.server_kit import ALL, Kit, Peer


def two_who_talk() -> tuple[Kit, Peer, Peer]:
    kit = Kit()
    one, two = kit.user(1, **ALL), kit.user(2, **ALL)
    one.chat(1, 2, "hello")
    return kit, one, two


def types(peer: Peer, to: int, active: bool = True) -> None:
    peer.send("TYPING", toUser=to, active=active)


def told(peer: Peer) -> list[tuple[int, bool]]:
    return [(message["fromUser"], message["active"]) for message in peer.of("TYPING")]


def test_the_other_is_told_on_every_device_that_can_take_it() -> None:
    kit, one, two = two_who_talk()
    tablet = kit.user(2, "tablet", **(ALL | {"deviceId": "tablet"}))
    numbered, plain = kit.user(2, "watch"), kit.plain(2)
    types(one, 2)
    assert told(two) == told(tablet) == [(1, True)]
    assert told(numbered) == told(plain) == told(one) == []
    assert kit.stored == [(1, "hello")] and "seq" not in two.of("TYPING")[0]


def test_only_between_users_who_share_a_session() -> None:
    kit = Kit()
    one, two = kit.user(1, **ALL), kit.user(2, **ALL)
    types(one, 2)
    types(one, 1)
    assert told(two) == told(one) == []
    two.chat(1, 1, "hello")
    types(one, 2)
    assert told(two) == [(1, True)]


def test_who_may_not_type_is_not_heard() -> None:
    kit, _, two = two_who_talk()
    for peer in (kit.user(1, "web"), kit.plain(1)):
        types(peer, 2)
        assert peer.close is None
    assert told(two) == []


def test_at_most_once_a_second_and_the_last_word_is_not_lost() -> None:
    kit, one, two = two_who_talk()
    for n in range(20):
        types(one, 2, n % 2 == 0)
        kit.wait(0.04)
    assert told(two) == [(1, True)]
    kit.wait(0.3)
    assert told(two) == [(1, True), (1, False)]
    types(one, 2)
    kit.wait(0.5)
    types(one, 2, False)
    types(one, 2)
    kit.wait(2)
    assert told(two) == [(1, True), (1, False), (1, True)]


def test_the_same_word_is_told_again_after_a_second() -> None:
    kit, one, two = two_who_talk()
    for _ in range(4):
        types(one, 2)
        kit.wait(1.01)
    assert told(two) == [(1, True)] * 4
    assert not kit.gateway.hub._typists._said


def test_each_conversation_counts_alone() -> None:
    kit, one, two = two_who_talk()
    three = kit.user(3, **ALL)
    three.chat(2, 2, "hello")
    one.chat(3, 3, "hello")
    types(one, 2)
    types(three, 2)
    types(one, 3)
    types(two, 1)
    assert told(two) == [(1, True), (3, True)]
    assert told(three) == [(1, True)] and told(one) == [(2, True)]


def test_the_second_of_one_conversation_does_not_end_with_that_of_another() -> None:
    kit, one, two = two_who_talk()
    types(one, 2)
    kit.wait(0.5)
    types(two, 1)
    types(two, 1, False)
    kit.wait(0.6)
    assert told(one) == [(2, True)]
    kit.wait(0.5)
    assert told(one) == [(2, True), (2, False)]


def test_the_last_word_of_who_has_left_is_told() -> None:
    kit, one, two = two_who_talk()
    types(one, 2)
    types(one, 2, False)
    one.lose()
    kit.wait(2)
    assert told(two) == [(1, True), (1, False)]


def test_one_who_takes_no_bytes_is_not_told() -> None:
    kit, one, two = two_who_talk()
    two.block()
    types(one, 2)
    two.unblock()
    kit.wait(2)
    assert told(two) == []
