"""The two threads of a store: their order, their deaths that don't happen, their end."""

from __future__ import annotations

import contextlib
import threading
from queue import SimpleQueue

import pytest

from im_proto.server.actions import (
    StoreCall,
    StoreCommit,
    StoreLogin,
    StorePeers,
    StoreRead,
    StoreRetain,
    StoreSeen,
    StoreStatus,
)
from im_proto.server.inputs import (
    CallDone,
    Committed,
    LoginStored,
    PeersFound,
    ReadDone,
    Retained,
    StatusFound,
    StoreFailed,
)
from im_proto.server.records import Submission
from im_proto.server.sessions import Call
from im_proto.wire.session import SessionOp
from im_server.store import Store, StoreError
from im_server.writer import StoreWorker

PATIENCE = 10.0  # seconds; only a failing test waits that long


class Answers:
    """Where a worker delivers to."""

    def __init__(self):
        self._queue = SimpleQueue()

    def __call__(self, answer):
        self._queue.put((answer, threading.current_thread().name))

    def take(self):
        return self.take_with_thread()[0]

    def take_with_thread(self):
        return self._queue.get(timeout=PATIENCE)

    def empty(self):
        return self._queue.empty()


class Gate:
    """A store that stops inside a request until it is let go."""

    def __init__(self, stops=()):
        self.stops = set(stops)
        self.entered = threading.Event()
        self.go = threading.Event()
        self.done: list[int] = []

    def _do(self, action, answer):
        if action.request in self.stops:
            self.entered.set()
            assert self.go.wait(PATIENCE)
        self.done.append(action.request)
        return answer

    def together(self):
        return contextlib.nullcontext()

    def checkpoint(self):
        pass

    def commit(self, action):
        return self._do(action, Committed(request=action.request, results=()))

    def login(self, action):
        return self._do(action, LoginStored(request=action.request, login=None))

    def read(self, action):
        return self._do(action, ReadDone(request=action.request, entries=(), head=0))

    def status(self, action):
        return self._do(action, StatusFound(request=action.request, items=()))

    def call(self, action):
        return self._do(action, CallDone(request=action.request, code=0, data=None))

    def seen(self, action):
        self._do(action, None)

    def retain(self, action):
        return self._do(action, Retained(request=action.request, oldest=(), more=False))

    def peers(self, action):
        return self._do(action, PeersFound(request=action.request, peers=()))


def a_commit(request, *submissions):
    return StoreCommit(request=request, submissions=submissions, cursors=(), at=1)


def a_login(request):
    return StoreLogin(request=request, user=1, device="a", resume_seq=None)


def a_read(request):
    return StoreRead(request=request, user=2, after=0, limit=9)


def a_status(request):
    return StoreStatus(request=request, user=1, device="a", msg_ids=(1,), forgotten_before=0)


def a_call(request):
    return StoreCall(request=request, user=1, call=Call(op=SessionOp.GET_CURRENT), at=1)


def a_seen(request):
    return StoreSeen(request=request, user=1, at=5)


def a_retain(request):
    return StoreRetain(request=request, entries_before=1, keep=1, messages_before=1, limit=1)


def a_peers(request):
    return StorePeers(request=request, user=1, at=1)


def message(key):
    return Submission(
        key=key,
        sender=1,
        device="a",
        generation=1,
        msg_id=key,
        to_user=2,
        content="a secret",
        message_type="text",
        session_id=None,
    )


@pytest.fixture
def answers():
    return Answers()


@pytest.fixture
def start(answers):
    workers = []

    def start(store, deliver=answers):
        workers.append(StoreWorker(store, deliver))
        return workers[-1]

    yield start
    for worker in workers:
        assert worker.close(PATIENCE)


def test_commits_and_logins_keep_their_order(start, answers):
    worker = start(Gate())
    actions = [a_commit(i) if i % 3 else a_login(i) for i in range(300)]
    for action in actions:
        worker.submit(action)
    got = [answers.take_with_thread() for _ in actions]
    assert [answer.request for answer, _ in got] == list(range(300))
    assert [isinstance(answer, LoginStored) for answer, _ in got] == [
        i % 3 == 0 for i in range(300)
    ]
    assert {thread for _, thread in got} == {"im-store-writer"}


def test_reads_pass_a_writer_that_waits(start, answers):
    store = Gate(stops={1})
    worker = start(store)
    worker.submit(a_commit(1))
    assert store.entered.wait(PATIENCE)
    for request in (2, 3):
        worker.submit(a_read(request))
    assert answers.take_with_thread() == (
        ReadDone(request=2, entries=(), head=0),
        "im-store-reader",
    )
    assert answers.take().request == 3
    worker.submit(a_login(4))
    store.go.set()
    assert [answers.take().request, answers.take().request] == [1, 4]


def test_what_must_know_of_the_writes_before_is_carried_out_among_them(start, answers):
    worker = start(Gate())
    kinds = [a_commit, a_status, a_call, a_retain, a_login]
    actions = [kinds[i % 5](i) for i in range(100)]
    for action in actions:
        worker.submit(action)
    got = [answers.take_with_thread() for _ in actions]
    assert [answer.request for answer, _ in got] == list(range(100))
    assert {thread for _, thread in got} == {"im-store-writer"}


def test_peers_are_looked_up_beside_the_writes(start, answers):
    store = Gate(stops={1})
    worker = start(store)
    worker.submit(a_status(1))
    assert store.entered.wait(PATIENCE)
    worker.submit(a_peers(2))
    assert answers.take_with_thread() == (PeersFound(request=2, peers=()), "im-store-reader")
    store.go.set()
    assert answers.take().request == 1


def test_who_was_seen_is_noted_in_turn_and_never_answered(answers, caplog):
    class Broken(Gate):
        def seen(self, action):
            super().seen(action)
            if action.request == 3:
                raise StoreError("database is locked")

    store = Broken()
    worker = StoreWorker(store, answers)
    with held(worker):
        for action in (a_commit(1), a_seen(2), a_seen(3), a_commit(4)):
            worker.submit(action)
    assert [answers.take().request, answers.take().request] == [1, 4]
    assert store.done == [1, 2, 3, 2, 3, 4]  # together, and then one by one
    assert "StoreSeen 3 failed: database is locked" in caplog.text
    assert worker.close(PATIENCE)
    worker.submit(a_seen(5))
    assert answers.empty()


@contextlib.contextmanager
def held(worker):
    """What is submitted in here waits for the writer."""
    go = threading.Event()
    worker.run(lambda: go.wait(PATIENCE))
    try:
        yield
    finally:
        go.set()


class Watched(Gate):
    """Notes what shares a transaction."""

    def __init__(self):
        super().__init__()
        self.groups: list[list[int]] = []

    @contextlib.contextmanager
    def together(self):
        before = len(self.done)
        yield
        self.groups.append(self.done[before:])


def test_what_waits_for_the_writer_is_written_together_up_to_the_next_commit(start, answers):
    store = Watched()
    worker = start(store)
    with held(worker):
        for action in (a_login(1), a_seen(2), a_commit(3), a_call(4), a_status(5), a_retain(6)):
            worker.submit(action)
        worker.submit(a_login(7))
    assert [answers.take().request for _ in range(6)] == [1, 3, 4, 5, 6, 7]
    assert store.groups == [[1, 2, 3], [4, 5]]
    assert store.done == [1, 2, 3, 4, 5, 6, 7]


def test_not_too_much_is_written_together(start, answers):
    store = Watched()
    worker = start(store)
    with held(worker):
        for request in range(100):
            worker.submit(a_call(request))
    assert [answers.take().request for _ in range(100)] == list(range(100))
    assert [len(group) for group in store.groups] == [8] * 12 + [4]


def test_the_log_is_copied_by_the_thread_that_reads_and_not_all_the_time(
    start, answers, monkeypatch
):
    class Copied(Gate):
        def __init__(self):
            super().__init__()
            self.threads = SimpleQueue()

        def checkpoint(self):
            self.threads.put(threading.current_thread().name)
            raise StoreError("database is locked")  # which nobody minds

    store = Copied()
    monkeypatch.setattr("im_server.writer._CHECKPOINT", 0.0)
    worker = start(store)
    monkeypatch.setattr("im_server.writer._CHECKPOINT", 3_600.0)
    for request in range(5):
        worker.submit(a_commit(request))
        assert answers.take().request == request
    assert store.threads.get(timeout=PATIENCE) == "im-store-reader"
    worker.submit(a_read(5))
    assert answers.take().request == 5
    assert store.threads.empty()


def test_a_checkpoint_copies_the_log_while_others_write(tmp_path):
    with Store(f"sqlite:///{tmp_path / 'im.db'}", "process") as store:
        with pytest.raises(StoreError, match="not open"):
            Store(f"sqlite:///{tmp_path / 'other.db'}", "process").checkpoint()
        store.login(a_login(1))
        before = (tmp_path / "im.db").read_bytes()
        with store.writing():
            store.checkpoint()
        assert (tmp_path / "im.db").read_bytes() != before


def test_one_that_fails_among_others_fails_alone(tmp_path, start, answers):
    with Store(f"sqlite:///{tmp_path / 'im.db'}", "process") as store:
        worker = start(store)
        with held(worker):
            worker.submit(a_login(1))
            worker.submit(StoreLogin(request=2, user="1", device="a", resume_seq=None))
            worker.submit(a_login(3))
            worker.submit(a_commit(4, message(1)))
        one, other, again, last = [answers.take() for _ in range(4)]
        assert other == StoreFailed(request=2, reason="a user id is not canonical")
        assert (one.login.generation, again.login.generation) == (1, 2)
        assert one.login.epoch == again.login.epoch
        assert [type(result).__name__ for result in last.results] == ["Fenced"]
        assert worker.close(PATIENCE)


def test_nothing_is_answered_before_it_is_on_disk(tmp_path, start, answers):
    class Full(Store):
        """Fails at the end of the first transaction that is shared."""

        shared = 0

        @contextlib.contextmanager
        def together(self):
            with super().together():
                yield
                self.shared += 1
                if self.shared == 1:
                    raise StoreError("database or disk is full")

    with Full(f"sqlite:///{tmp_path / 'im.db'}", "process") as store:
        worker = start(store)
        with held(worker):
            for request in (1, 2):
                worker.submit(a_login(request))
        assert [answers.take().login.generation for _ in range(2)] == [1, 2]
        assert answers.empty()
        assert worker.close(PATIENCE)


def test_an_exception_is_an_answer_and_no_thread_dies(start, answers, caplog):
    class Broken(Gate):
        def commit(self, action):
            if action.request == 1:
                raise StoreError("database or disk is full")
            if action.request == 2:
                raise ValueError(f"can't store {action.submissions[0].content}")
            return super().commit(action)

        def read(self, action):
            if action.request == 4:
                raise MemoryError
            return super().read(action)

    worker = start(Broken())
    for action in (a_commit(1), a_commit(2, message(1)), a_commit(3)):
        worker.submit(action)
    assert answers.take() == StoreFailed(request=1, reason="database or disk is full")
    assert answers.take() == StoreFailed(request=2, reason="internal error of the store")
    assert answers.take() == Committed(request=3, results=())
    worker.submit(a_read(4))
    worker.submit(a_read(5))
    assert answers.take() == StoreFailed(request=4, reason="internal error of the store")
    assert answers.take().request == 5
    assert "StoreCommit 1 failed: database or disk is full" in caplog.text
    assert "StoreCommit 2 failed: ValueError at _carry_out:" in caplog.text
    assert "secret" not in caplog.text


def test_nobody_who_takes_an_answer_ends_no_thread(start, answers, caplog):
    def deliver(answer):
        answers(answer)
        if answer.request == 1:
            raise RuntimeError("Event loop is closed")

    worker = start(Gate(), deliver)
    worker.submit(a_commit(1))
    worker.submit(a_commit(2))
    assert [answers.take().request, answers.take().request] == [1, 2]
    assert "nobody took Committed: RuntimeError" in caplog.text


def test_closing_finishes_what_is_queued(answers):
    store = Gate()
    worker = StoreWorker(store, answers)
    for request in range(100):
        worker.submit(a_commit(request) if request % 2 else a_read(request))
    assert worker.close(PATIENCE)
    assert sorted(store.done) == list(range(100))
    assert worker.close(0.0)
    worker.submit(a_commit(100))
    got = [answers.take() for _ in range(101)]
    assert got[-1] == StoreFailed(request=100, reason="the store is closed")
    assert answers.empty()


def test_closing_is_bounded_and_still_everything_is_answered(answers):
    store = Gate(stops={1})
    worker = StoreWorker(store, answers)
    for request in (1, 2, 3):
        worker.submit(a_commit(request))
    assert store.entered.wait(PATIENCE)
    assert not worker.close(0.0)
    store.go.set()
    assert answers.take() == Committed(request=1, results=())
    assert [answers.take() for _ in range(2)] == [
        StoreFailed(request=request, reason="the store is closed") for request in (2, 3)
    ]
    assert worker.close(PATIENCE)
    assert store.done == [1]


def test_nothing_is_queued_behind_the_mark_that_ends_a_thread(answers):
    class SlowQueue:
        """Stops in the middle of a submit, as a scheduler may."""

        def __init__(self, queue):
            self.queue = queue
            self.entered, self.go, self.marked = (threading.Event() for _ in range(3))

        def put(self, action):
            if action is None:
                self.marked.set()
            else:
                self.entered.set()
                assert self.go.wait(PATIENCE)
            self.queue.put(action)

    worker = StoreWorker(Gate(), answers)
    queue = worker._writes = SlowQueue(worker._writes)
    submitting = threading.Thread(target=worker.submit, args=(a_commit(1),))
    closing = threading.Thread(target=worker.close, args=(PATIENCE,))
    submitting.start()
    assert queue.entered.wait(PATIENCE)
    closing.start()
    assert not queue.marked.wait(0.02)
    queue.go.set()
    assert answers.take() == Committed(request=1, results=())
    for thread in (submitting, closing):
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_what_was_committed_is_seen_by_who_reads_after_the_answer(tmp_path, start, answers):
    with Store(f"sqlite:///{tmp_path / 'im.db'}", "process") as store:
        worker = start(store)
        worker.submit(a_login(0))
        assert answers.take().login.generation == 1
        for number in range(1, 51):
            worker.submit(a_commit(number, message(number)))
            assert answers.take().results[0].seq == number
            worker.submit(a_read(number))
            assert answers.take().head == number
        assert worker.close(PATIENCE)
