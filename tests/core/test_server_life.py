"""The life of a message after it was stored: receipts, reads, copies (protocol.md section 2)."""

from __future__ import annotations

import pytest

from core.server_kit import ALL, Kit, Peer
from im_proto.server.inputs import ReadDone, Shutdown
from im_proto.server.records import CursorMove, MailboxEntry, ReceiptEntry

CHAT, RECEIPT, READ_SYNC = "CHAT_REDIRECT_TO_USER_REQUEST", "RECEIPT_PUSH", "READ_SYNC"


def everything(kit: Kit, user: int, device: str = "phone") -> Peer:
    return kit.user(user, device, **(ALL | {"deviceId": device}))


def read(peer: Peer, msg_id: int, of: int) -> None:
    peer.send("CHAT_READ_RECEIPT_REQUEST", msgId=msg_id, fromUser=of)


def test_the_first_ack_of_the_recipient_is_told_to_the_sender_as_delivered() -> None:
    kit = Kit()
    one, two, tablet = everything(kit, 1), everything(kit, 2), everything(kit, 2, "tablet")
    for n in (1, 2, 3):
        one.chat(n, 2, f"m{n}")
    two.ack(2)
    kit.wait(1)
    tablet.ack(2)  # the second device to have them
    kit.wait(1)
    (receipt,) = one.of(RECEIPT)
    at = receipt.pop("timestamp")
    assert receipt == {"msgIds": [1, 2], "user": 2, "status": "delivered", "sessionId": 1, "seq": 1}
    assert at >= 1_700_000_000_000
    one.ack(1)
    tablet.ack(3)
    kit.wait(1)
    assert [r["msgIds"] for r in one.of(RECEIPT)] == [[1, 2], [3]]
    assert [r["seq"] for r in one.of(RECEIPT)] == [1, 2]


def test_receipts_are_made_only_for_who_takes_them() -> None:
    kit = Kit()
    one, plain, two = kit.user(1), kit.plain(3), everything(kit, 2)
    one.chat(1, 2, "m1")
    plain.chat(2, 2, "m2")
    two.ack(2)
    read(two, 1, 1)
    kit.wait(1)
    assert one.of(RECEIPT) == plain.of(RECEIPT) == []
    assert two.of("CHAT_READ_RECEIPT_RESPONSE")[0]["code"] == 0


def test_a_read_is_answered_after_its_commit_and_told_to_the_sender() -> None:
    kit = Kit()
    one, two = everything(kit, 1), everything(kit, 2)
    one.chat(1, 2, "m1")
    one.chat(2, 2, "m2")
    kit.holding = True
    read(two, 2, 1)
    assert two.of("CHAT_READ_RECEIPT_RESPONSE") == []
    kit.release()
    assert two.of("CHAT_READ_RECEIPT_RESPONSE") == [{"msgId": 2, "code": 0, "message": ""}]
    (receipt,) = one.of(RECEIPT)
    assert (receipt["msgIds"], receipt["user"], receipt["status"]) == ([1, 2], 2, "read")


def test_who_never_received_a_message_can_not_read_it() -> None:
    kit = Kit()
    one, two, three = everything(kit, 1), everything(kit, 2), everything(kit, 3)
    one.chat(1, 2, "m1")
    read(three, 1, 1)  # was to somebody else
    read(one, 1, 1)  # was one's own
    read(two, 9, 1)  # never was
    codes = [peer.of("CHAT_READ_RECEIPT_RESPONSE")[0]["code"] for peer in (three, one, two)]
    assert codes == [40400] * 3 and one.of(RECEIPT) == []


def test_a_plain_client_may_read_too() -> None:
    kit = Kit()
    one, plain = everything(kit, 1), kit.plain(2)
    one.chat(1, 2, "m1")
    read(plain, 1, 1)
    assert plain.of("CHAT_READ_RECEIPT_RESPONSE")[0]["code"] == 0
    assert [r["status"] for r in one.of(RECEIPT)] == ["delivered", "read"]  # its pong, and this


def test_what_one_device_reads_the_others_are_told() -> None:
    kit = Kit()
    one, two, tablet = everything(kit, 1), everything(kit, 2), everything(kit, 2, "tablet")
    one.chat(1, 2, "m1")
    read(two, 1, 1)
    for device in (two, tablet):  # numbers have no gaps
        assert device.of(READ_SYNC) == [{"fromUser": 1, "msgId": 1, "seq": 2}]
    assert one.of(READ_SYNC) == []


def test_what_one_device_sends_the_others_get_as_a_copy() -> None:
    kit = Kit()
    one, web, two = everything(kit, 1), everything(kit, 1, "web"), everything(kit, 2)
    tab = kit.plain(1)
    one.chat(1, 2, "m1")
    for device in (one, web):
        (copy,) = device.of(CHAT)
        assert (copy["fromUser"], copy["toUser"], copy["deviceId"]) == (1, 2, "phone")
        assert (copy["seq"], copy["msgId"], copy["content"]) == (1, 1, "m1")
    assert not {"toUser", "deviceId"} & two.pushes[0].keys()
    assert tab.pushes == []  # a plain client would take it for a message from somebody
    web.chat(2, 1, "to myself")
    assert not {"toUser", "deviceId"} & one.pushes[1].keys()
    assert tab.contents == ["to myself"]


def test_what_a_plain_client_sends_is_copied_without_a_device() -> None:
    kit = Kit()
    web, tab = everything(kit, 1, "web"), kit.plain(1)
    tab.chat(1, 2, "m1")
    (copy,) = web.of(CHAT)
    assert copy["toUser"] == 2 and "deviceId" not in copy


def test_the_cursor_of_a_plain_client_counts_what_it_is_not_told() -> None:
    kit = Kit()
    everything(kit, 1, "web")
    tab = kit.plain(1)
    other = kit.user(2)
    tab.chat(1, 2, "m1")  # entry 1 of its mailbox: a copy
    other.chat(1, 1, "back")  # entry 2
    kit.wait(1)
    assert tab.contents == ["back"]
    assert kit.cursor(1, "") == 2


def test_a_client_with_numbers_and_without_receipts_gets_them_all_the_same() -> None:
    """They may have been asked for by another device, and its numbers must not have holes."""
    kit = Kit()
    one, web, two = everything(kit, 1), kit.user(1, "web"), everything(kit, 2)
    one.chat(1, 2, "m1")
    two.ack(1)
    kit.wait(1)
    assert [m["seq"] for kind, m in web.messages if kind in (CHAT, RECEIPT)] == [1, 2]


def test_a_reader_that_goes_away_is_not_answered() -> None:
    kit = Kit()
    one, two = everything(kit, 1), everything(kit, 2)
    one.chat(1, 2, "m1")
    kit.holding = True
    read(two, 1, 1)
    two.lose()
    kit.release()
    assert [r["status"] for r in one.of(RECEIPT)] == ["read"]  # it was read all the same


def test_a_failed_commit_answers_no_read_and_ends_its_connection() -> None:
    kit = Kit()
    one, two, idle = everything(kit, 1), everything(kit, 2), everything(kit, 3)
    one.chat(1, 2, "m1")
    kit.holding = True
    read(two, 1, 1)
    kit.fail()
    kit.release()
    assert two.of("CHAT_READ_RECEIPT_RESPONSE") == [] and two.code == 1013
    assert idle.close is None


def test_reads_count_as_unanswered() -> None:
    kit = Kit(in_flight=4)
    peer = kit.user(1)
    kit.holding = True
    for _ in range(3):
        read(peer, 1, 2)
    assert not peer.paused
    read(peer, 1, 2)
    assert peer.paused
    kit.release()
    assert not peer.paused and len(peer.of("CHAT_READ_RECEIPT_RESPONSE")) == 4


def test_a_read_of_a_device_that_logged_in_elsewhere_is_nobodys() -> None:
    kit = Kit()
    peer = kit.user(1)
    kit.store._devices[1, "phone"] = kit.store._devices[1, "phone"]._replace(generation=9)
    read(peer, 1, 2)
    assert peer.of("CHAT_READ_RECEIPT_RESPONSE") == [] and peer.code == 4004


def test_reads_of_an_older_login_that_wait_are_forgotten() -> None:
    kit = Kit()
    old, other = kit.user(1), kit.user(3)
    kit.holding = True
    other.chat(1, 2, "keeps the store busy")
    read(old, 1, 2)
    new = kit.user(1)
    kit.held.rotate(-1)  # the store's answers cross
    kit.release()
    assert [len(commit.reads) for commit in kit.commits] == [0] * len(kit.commits)
    assert old.code == 4004 and new.close is None
    assert not kit.gateway.hub._commits._waiters


def test_reads_are_answered_before_the_server_goes_down() -> None:
    kit = Kit()
    peer = kit.user(1)
    kit.holding = True
    read(peer, 1, 2)
    kit.do(Shutdown())
    kit.release()
    assert peer.of("CHAT_READ_RECEIPT_RESPONSE")[0]["code"] == 40400 and peer.code == 1012


@pytest.mark.parametrize("first_login, begins", [("oldest", 0), ("latest", 2)])
def test_the_store_is_told_where_a_new_device_has_begun(first_login: str, begins: int) -> None:
    kit = Kit(first_login=first_login)
    one = kit.user(1)
    one.chat(1, 2, "m1")
    one.chat(2, 2, "m2")
    two = kit.user(2)
    one.chat(3, 2, "m3")
    two.ack(3)
    kit.wait(1)
    moves = [move for commit in kit.commits for move in commit.cursors if move.user == 2]
    assert moves[0].base == begins and moves[-1].seq == 3
    again = kit.user(2)
    again.lose()
    kit.wait(1)
    assert [move.base for commit in kit.commits for move in commit.cursors][-1:] != [3]


def test_where_a_device_has_begun_is_not_lost_when_it_acknowledges_at_once() -> None:
    kit = Kit()
    one = kit.user(1)
    one.chat(1, 2, "m1")
    kit.wait(1)
    kit.user(2).ack(1)
    kit.wait(1)
    (move,) = [m for commit in kit.commits for m in commit.cursors if m.user == 2]
    assert move == CursorMove(user=2, device="phone", generation=1, seq=1, base=0)


def test_where_a_device_has_begun_is_not_lost_when_it_is_replaced_before_that_is_written() -> None:
    kit = Kit(first_login="latest")
    one = kit.user(1)
    one.chat(1, 2, "m1")
    kit.wait(1)
    kit.user(2)
    kit.user(2)
    kit.wait(1)
    (move,) = [m for commit in kit.commits for m in commit.cursors if m.user == 2]
    assert move == CursorMove(user=2, device="phone", generation=2, seq=1, base=1)


def test_where_a_device_has_begun_is_not_lost_when_that_is_fenced_while_it_is_written() -> None:
    kit = Kit(first_login="latest")
    one = kit.user(1)
    one.chat(1, 2, "m1")
    kit.wait(1)
    kit.user(2)
    kit.holding = True
    again = kit.peer()
    again.login(2, capabilities=["seq"], deviceId="phone")  # the store writes this first
    kit.wait(1)
    kit.answer()
    kit.release()
    kit.wait(1)
    moves = [m for commit in kit.commits for m in commit.cursors if m.user == 2]
    assert [(m.generation, m.seq, m.base) for m in moves] == [(1, 1, 1), (2, 1, 1)]


def test_a_push_of_nothing_that_a_plain_client_is_told_still_moves_it_on() -> None:
    kit = Kit()
    tab, other = kit.plain(1), kit.user(2)
    kit.wait(1)
    tab.forget()
    tab.block()
    other.chat(1, 1, "x")
    kit.holding = True
    tab.unblock()
    (read_asked,) = kit.held
    receipt = ReceiptEntry(seq=1, msg_ids=(7,), user=2, status="read", session_id=1, timestamp=1)
    copy = MailboxEntry(seq=2, from_user=1, to_user=2, msg_id=8, content="mine", timestamp=1,
                        message_type="text", session_id=1, device="web")  # fmt: skip
    kit.do(ReadDone(request=read_asked.request, entries=(receipt, copy), head=2))
    assert tab.kinds == []
    kit.held.clear()
    kit.wait(1)
    assert kit.held[-1].cursors == (  # type: ignore[union-attr]
        CursorMove(user=1, device="", generation=0, seq=2),
    )
