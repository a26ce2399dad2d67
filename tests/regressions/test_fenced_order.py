"""Fenced messages must not be overtaken by what was queued behind them.

An older login of a device has messages on their way into the store when the device logs in again.
The store fences them; the newer login sends them again. Found by `im simulate` with late bytes of
an old link: twice something of that conversation stayed queued and went ahead.
"""

from __future__ import annotations

from im_proto.config import ServerConfig
from im_proto.server import Hub, talk
from im_proto.server.actions import StoreCommit, StoreLogin
from im_proto.server.hub import HubInput, HubOutput
from im_proto.server.inputs import Committed, LoginStored
from im_proto.server.records import Fenced, Login, Stored, Submission
from im_proto.wire import ChatSendToOne


class Desk:
    """A hub, and what it wants committed."""

    def __init__(self, *, commit_batch: int) -> None:
        self.hub = Hub(ServerConfig(commit_batch=commit_batch), now=0.0, wall=0.0)
        self.commit: StoreCommit | None = None
        self.logins: list[StoreLogin] = []
        self.batches: list[tuple[int, list[int]]] = []

    def step(self, event: HubInput) -> list[HubOutput]:
        out = self.hub.step(event, now=0.0)
        for action in out:
            if isinstance(action, StoreLogin):
                self.logins.append(action)
            elif isinstance(action, StoreCommit) and action.submissions:
                self.commit = action
                ids = [submission.msg_id for submission in action.submissions]
                self.batches.append((action.submissions[0].generation, ids))
        return out

    def ask(self, connection: int) -> None:
        self.step(
            talk.LoginAsked(
                connection=connection,
                user=1,
                roles=frozenset(),
                device="phone",
                granted=frozenset({"seq"}),
                resume=None,
            )
        )

    def logged_in(self, generation: int) -> None:
        login = Login(
            generation=generation,
            last_msg_id=0,
            cursor=0,
            epoch="e",
            head=0,
            oldest=1,
            resume_entry=None,
        )
        self.step(LoginStored(request=self.logins.pop(0).request, login=login))

    def send(self, connection: int, *msg_ids: int) -> None:
        for msg_id in msg_ids:
            message = ChatSendToOne(msg_id=msg_id, to_user=2, content=f"m{msg_id}")
            self.step(talk.Submitted(connection=connection, messages=[message]))

    def committed(self, *, fenced: bool) -> None:
        commit, self.commit = self.commit, None
        assert commit is not None

        def result(submission: Submission) -> Fenced | Stored:
            if fenced:
                return Fenced(key=submission.key)
            return Stored(key=submission.key, to_user=2, seq=1, timestamp=0, repeat=False)

        results = tuple(map(result, commit.submissions))
        self.step(Committed(request=commit.request, results=results))


def test_what_a_fenced_login_has_queued_is_not_committed_either() -> None:
    desk = Desk(commit_batch=2)
    desk.ask(1)
    desk.logged_in(1)
    desk.send(1, 1, 2, 3, 4)
    desk.ask(2)
    # the answer to the commit comes before that to the login, which was written before it
    desk.committed(fenced=True)
    assert desk.commit is None
    desk.logged_in(2)
    desk.send(2, 1, 2, 3, 4)
    while desk.commit is not None:
        desk.committed(fenced=False)
    assert desk.batches == [(1, [1]), (2, [1]), (2, [2, 3]), (2, [4])]


def test_nothing_follows_a_fenced_message_whose_sender_has_left() -> None:
    desk = Desk(commit_batch=8)
    desk.ask(1)
    desk.logged_in(1)
    desk.send(1, 1)
    desk.ask(2)
    desk.logged_in(2)
    desk.send(2, 1, 2, 3)  # the first joins the one that is being committed
    desk.step(talk.Left(connection=2))
    desk.committed(fenced=True)
    assert desk.commit is None
    desk.ask(3)
    desk.logged_in(3)
    desk.send(3, 1, 2, 3)
    while desk.commit is not None:
        desk.committed(fenced=False)
    assert desk.batches == [(1, [1]), (3, [1]), (3, [2, 3])]


def test_a_fenced_message_that_the_newer_login_has_sent_again_goes_first() -> None:
    desk = Desk(commit_batch=8)
    desk.ask(1)
    desk.logged_in(1)
    desk.send(1, 1)
    desk.ask(2)
    desk.logged_in(2)
    desk.send(2, 1, 2, 3)
    desk.committed(fenced=True)
    assert desk.batches == [(1, [1]), (2, [1, 2, 3])]
