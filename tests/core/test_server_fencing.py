"""A login of a device has a generation, and the newest one wins (protocol.md section 2)."""

from __future__ import annotations

from core.server_kit import FULL, Kit
from im_proto.server.actions import StoreCommit, StoreLogin
from im_proto.server.inputs import Committed
from im_proto.server.pushes import CURSOR_DELAY
from im_proto.server.records import Fenced


def test_a_newer_login_ends_the_older_with_a_kick_that_names_the_winner() -> None:
    kit = Kit()
    old = kit.user(1)
    kit.wait(5)
    new = kit.user(1)
    assert old.code == 4004
    (kick,) = old.of("KICK")
    assert kick["reconnect"] is False and "retryAfter" not in kick
    assert kick["reason"] == (
        "login 2 of this device replaced login 1 at 1700000005000 ms since 1970"
    )
    assert old.close is not None and old.close[1] == kick["reason"]
    assert new.close is None and kit.gateway.online() == {1: 1}


def test_other_devices_and_other_users_of_the_same_device_name_are_left_alone() -> None:
    kit = Kit()
    peers = [kit.user(1), kit.user(1, "tablet"), kit.user(2), kit.plain(1)]
    assert [peer.code for peer in peers] == [None] * 4
    assert kit.gateway.online() == {1: 3, 2: 1}


def test_nothing_of_the_old_login_is_stored_once_the_new_one_is() -> None:
    kit = Kit()
    two, old = kit.user(2), kit.user(1)
    kit.holding = True
    new = kit.user(1)  # its login is with the store
    old.chat(1, 2, "under way")
    old.chat(2, 2, "queued")
    kit.answer()
    assert old.code == 4004
    kit.release()
    assert [s.msg_id for s in kit.submissions] == [1]
    assert kit.stored == [] and old.answers == [] and two.contents == []
    assert new.data["lastMsgId"] == 0
    for n, content in ((1, "under way"), (2, "queued")):
        new.chat(n, 2, content)
    assert two.contents == ["under way", "queued"]


def test_what_was_committed_before_the_new_login_is_known_to_it() -> None:
    kit = Kit()
    old = kit.user(1)
    kit.holding = True
    old.chat(7, 2, "in")
    new = kit.user(1)
    kit.answer(2)  # in turn: the commit, then the login
    kit.release()
    assert new.data["lastMsgId"] == 7
    assert [answer["msgId"] for answer in old.answers] == [7] and old.code == 4004


def test_what_a_new_login_joined_goes_again_under_it_in_order() -> None:
    kit = Kit()
    two, old = kit.user(2), kit.user(1)
    kit.holding = True
    new = kit.user(1)
    old.chat(1, 2, "m1")
    old.chat(2, 2, "m2")
    kit.answer()  # the login: what was queued of the old one is dropped
    assert new.data and old.code == 4004
    for n in (1, 2, 3):
        new.chat(n, 2, f"m{n}")  # m1 joins what is under way
    assert len(kit.held) == 1
    kit.release()
    assert [(s.msg_id, s.generation) for s in kit.submissions] == [(1, 1), (1, 2), (2, 2), (3, 2)]
    assert [answer["msgId"] for answer in new.answers] == [1, 2, 3]
    assert old.answers == [] and two.contents == ["m1", "m2", "m3"]


def test_several_that_were_joined_stay_in_order() -> None:
    kit = Kit()
    two, old, busy = kit.user(2), kit.user(1), kit.user(3)
    kit.holding = True
    busy.chat(1, 9, "busy")
    new = kit.user(1)
    for n in (1, 2, 3):
        old.chat(n, 2, f"m{n}")
    kit.answer()  # "busy" is in: m1 to m3 go to the store, behind the login
    assert [s.msg_id for s in kit.submissions] == [1, 1, 2, 3]
    kit.answer()  # the login
    for n in (1, 2, 3, 4):
        new.chat(n, 2, f"m{n}")
    kit.release()
    assert two.contents == ["m1", "m2", "m3", "m4"]
    assert [answer["msgId"] for answer in new.answers] == [1, 2, 3, 4]
    assert not kit.gateway.hub._commits._waiters and not kit.gateway.hub._commits._pending


def test_a_login_at_another_gateway_ends_this_one() -> None:
    kit = Kit()
    one, two = kit.user(1), kit.user(2)
    kit.holding = True
    one.chat(1, 2, "m1")
    one.chat(2, 2, "m2")
    commit = kit.held.popleft()
    fenced = tuple(Fenced(key=s.key) for s in kit.submissions)
    kit.do(Committed(request=commit.request, results=fenced))
    assert one.code == 4004 and one.answers == []
    assert one.of("KICK") == [{"reason": "this device logged in elsewhere", "reconnect": False}]
    assert kit.gateway.online() == {2: 1}
    assert two.contents == []


def elsewhere(kit: Kit, user: int, device: str = "phone") -> None:
    """The device logs in at another gateway on the same store."""
    login = StoreLogin(request=0, user=user, device=device, resume_seq=None)
    assert kit.store.login(login).login.generation > 1


def test_who_only_acknowledges_learns_of_a_login_at_another_gateway_too() -> None:
    kit = Kit()
    one, two = kit.user(1), kit.user(2)
    kit.wait(CURSOR_DELAY)  # where they have begun is written
    elsewhere(kit, 2)
    one.chat(1, 2, "m1")
    assert two.contents == ["m1"] and two.code is None
    two.ack(1)
    kit.wait(CURSOR_DELAY)
    assert two.code == 4004
    assert two.of("KICK") == [{"reason": "this device logged in elsewhere", "reconnect": False}]
    assert kit.gateway.online() == {1: 1}
    assert kit.cursor(2) == 0  # it has acknowledged nothing
    assert kit.user(2).contents == ["m1"]


def test_a_cursor_and_messages_that_are_fenced_end_their_connection_once() -> None:
    kit = Kit()
    one, two = kit.user(1), kit.user(2)
    one.chat(1, 2, "m1")
    elsewhere(kit, 2)
    kit.holding = True
    one.chat(2, 2, "m2")
    two.ack(1)
    two.send("CHAT_READ_RECEIPT_REQUEST", msgId=1, fromUser=1)
    two.chat(1, 1, "lost")
    kit.release()
    last = kit.commits[-1]
    assert [len(part) for part in (last.submissions, last.cursors, last.reads)] == [1, 1, 1]
    assert two.code == 4004 and len(two.of("KICK")) == 1 and two.answers == []
    assert one.code is None and one.contents == [] and kit.gateway.online() == {1: 1}


def test_a_fenced_cursor_of_an_older_login_leaves_the_newer_one() -> None:
    kit = Kit()
    one, old = kit.user(1), kit.user(2)
    one.chat(1, 2, "m1")
    kit.holding = True
    old.ack(1)
    one.chat(2, 2, "m2")  # the cursor goes along, behind …
    held = kit.held.pop()
    assert isinstance(held, StoreCommit) and held.cursors
    new = kit.user(2)  # … the log-in of the newer one
    kit.held.append(held)
    kit.answer(1)
    assert old.code == 4004 and new.code is None
    kit.release()
    assert new.code is None and kit.gateway.online() == {1: 1, 2: 1}
    assert new.contents == ["m2"]


def test_plain_logins_are_never_fenced_however_many_there_are() -> None:
    kit = Kit()
    one, tabs = kit.user(1), [kit.plain(2), kit.plain(2)]
    late = StoreLogin(request=0, user=2, device="", resume_seq=None)
    assert kit.store.login(late).login.generation == 0
    one.chat(1, 2, "m1")  # their pongs acknowledge it
    kit.wait(CURSOR_DELAY)
    assert kit.cursor(2, "") == 1
    assert [tab.code for tab in tabs] == [None, None] and kit.gateway.online() == {1: 1, 2: 2}


def test_a_connection_that_leaves_before_its_login_is_stored_still_ends_the_older_one() -> None:
    kit = Kit()
    old = kit.user(1)
    kit.holding = True
    new = kit.user(1)
    new.lose()
    kit.release()
    assert old.code == 4004  # the store fences it: it could send nothing any more
    assert kit.gateway.online() == {}


def test_two_logins_answered_in_the_wrong_order_leave_the_newer_one() -> None:
    kit = Kit()
    kit.holding = True
    first, second = kit.user(1), kit.user(1)
    stored = [kit.store.login(action) for action in list(kit.held)]  # type: ignore[arg-type]
    kit.held.clear()
    for answer in reversed(stored):
        kit.do(answer)
    kit.release()
    assert first.code == 4004 and second.close is None
    second.chat(1, 2, "m1")
    assert len(second.answers) == 1 and kit.gateway.online() == {1: 1}


def test_an_ack_of_the_older_login_still_counts_for_where_the_newer_one_starts() -> None:
    kit = Kit()
    two, old = kit.user(2), kit.user(1)
    two.chat(1, 1, "m1")
    two.chat(2, 1, "m2")
    old.ack(1)  # cursors are written with delay
    new = kit.user(1)
    assert new.contents == ["m2"] and new.data["seq"] == 1


def test_a_late_answer_of_the_store_changes_nothing() -> None:
    kit = Kit()
    one = kit.user(1)
    before = list(one.messages)
    for commit in (kit.commits, [])[0]:
        kit.do(kit.store.commit(commit))
    kit.do(Committed(request=999, results=()))
    assert one.messages == before and kit.gateway.online() == {1: 1}


def test_what_an_older_login_queued_is_not_joined_by_the_newer_one() -> None:
    """It would come back fenced, and be overtaken by what follows in the same commit."""
    kit = Kit()
    old = kit.user(1)
    kit.holding = True
    old.chat(1, 2, "m1")  # with the store
    old.chat(2, 2, "m2")
    new = kit.peer()
    new.login(1, **FULL)  # behind it
    kit.answer()  # m1 is in, m2 goes to the store, behind the login
    old.chat(3, 2, "m3")
    old.chat(4, 2, "m4")
    old.lose()
    kit.answer()  # the login
    for n in (2, 3, 4, 5):
        new.chat(n, 2, f"m{n}")
    kit.release()
    assert [content for _, content in kit.stored] == ["m1", "m2", "m3", "m4", "m5"]
    assert [answer["msgId"] for answer in new.answers] == [2, 3, 4, 5]


def test_a_queue_of_an_older_login_that_is_longer_than_a_batch_keeps_the_order() -> None:
    kit = Kit(commit_batch=2)
    old = kit.user(1)
    kit.holding = True
    for n in range(1, 7):
        old.chat(n, 2, f"m{n}")
    old.lose()
    new = kit.peer()
    new.login(1, **FULL)
    kit.answer()
    kit.answer()
    for n in range(2, 8):
        new.chat(n, 2, f"m{n}")
    kit.release()
    assert [content for _, content in kit.stored] == [f"m{n}" for n in range(1, 8)]
    assert [answer["msgId"] for answer in new.answers] == [2, 3, 4, 5, 6, 7]


def test_a_login_whose_answer_crosses_that_of_a_fenced_batch_keeps_the_order() -> None:
    kit = Kit(commit_batch=2)
    old = kit.user(1)
    kit.holding = True
    for n in range(1, 7):
        old.chat(n, 2, f"m{n}")
    old.lose()
    new = kit.peer()
    new.login(1, **FULL)
    login = kit.held.pop()
    assert isinstance(login, StoreLogin)
    answer = kit.store.login(login)  # written first, and told last
    kit.answer()
    kit.do(answer)
    for n in range(1, 7):
        new.chat(n, 2, f"m{n}")
    kit.release()
    assert [content for _, content in kit.stored] == [f"m{n}" for n in range(1, 7)]


def test_a_connection_that_waits_twice_for_a_fenced_message_is_ended_once() -> None:
    """Fenced by a login at another gateway."""
    kit = Kit()
    peer = kit.user(1)
    kit.holding = True
    peer.chat(1, 2, "a")
    peer.chat(1, 2, "a")
    commit = kit.held.popleft()
    assert isinstance(commit, StoreCommit)
    fenced = Fenced(key=commit.submissions[0].key)
    kit.do(Committed(request=commit.request, results=(fenced,)))
    assert peer.code == 4004


def test_with_first_login_latest_nothing_is_passed_over_at_the_second_login() -> None:
    kit = Kit(first_login="latest")
    kit.user(2, "tablet").lose()  # its mailbox is empty, and nothing is there to acknowledge
    kit.user(1).chat(5, 2, "while the tablet is away")
    assert kit.user(2, "tablet").contents == ["while the tablet is away"]


def test_where_an_older_login_was_is_written_under_the_newer_one() -> None:
    kit = Kit(first_login="latest")
    kit.holding = True
    for _ in range(2):  # the first one's place is not written when the second one's login is
        kit.peer().login(2, **FULL)
    kit.answer(2)
    kit.release()
    kit.wait(1)
    kit.user(1).chat(5, 2, "missed by nobody")
    assert kit.cursor(2) == 0
    assert kit.user(2).contents == ["missed by nobody"]
