"""What durability costs: a commit of the server's store, alone, with the disk that is here."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from typing import Final

from im_proto.server import actions as act
from im_proto.server.records import CursorMove, Stored, Submission
from im_server.store import Durability, Store

from .harness import Contestant, Figure, Options, Row
from .rig import ALICE, BOB, CONTENT

_SIZES: Final = (1, 64)
_MESSAGES: Final = 6_400
_QUICK: Final = 128
#: When the first of them is accepted, in milliseconds since 1970.
_AT: Final = 1_700_000_000_000
_DEVICE: Final = "bench"


class _Commits:
    """A store in which Alice writes to Bob, whose acks come with the next commit."""

    def __init__(self, durability: Durability, size: int, messages: int) -> None:
        self._durability = durability
        self._size = size
        self._messages = messages
        self._directory = ""
        self._store: Store | None = None
        self._written = 0

    def run(self) -> Figure:
        """Write so many messages."""
        store = self._store or self._open()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(self._messages // self._size):
            self._commit(store)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return Figure(
            wall / self._messages * 1e6,
            {
                "CPU us": cpu / self._messages * 1e6,
                "ms a commit": wall / self._messages * self._size * 1e3,
            },
        )

    def _open(self) -> Store:
        self._directory = tempfile.mkdtemp(prefix="im-bench-")
        store = Store(f"sqlite:///{self._directory}/im.db", self._durability)
        store.open()
        self._store = store
        for user in (ALICE, BOB):
            store.login(act.StoreLogin(request=user, user=user, device=_DEVICE, resume_seq=None))
        self._commit(store)
        return store

    def _commit(self, store: Store) -> None:
        first = self._written + 1
        self._written += self._size
        submissions = tuple(
            Submission(number, ALICE, _DEVICE, 1, number, BOB, CONTENT, "text", None, True)
            for number in range(first, self._written + 1)
        )
        acked = CursorMove(user=BOB, device=_DEVICE, generation=1, seq=first - 1)
        committed = store.commit(
            act.StoreCommit(
                request=first,
                submissions=submissions,
                cursors=(acked,) if first > 1 else (),
                at=_AT + first,
            )
        )
        assert all(isinstance(result, Stored) for result in committed.results), committed

    def close(self) -> None:
        """End it, and remove its database."""
        if self._store is not None:
            self._store.close()
        shutil.rmtree(self._directory, ignore_errors=True)


def rows(options: Options) -> Sequence[Row]:
    """One row."""
    messages = _QUICK if options.quick else _MESSAGES
    durabilities: tuple[Durability, ...] = ("process", "power")
    contestants = []
    for durability in durabilities:
        for size in _SIZES:
            work = _Commits(durability, size, messages)
            name = f"{durability}, {size} in a commit"
            contestants.append(Contestant(name, run=work.run, close=work.close))
    return [
        Row(
            key="commit",
            title="A commit of the store: messages, the recipient's ack and the receipts",
            goal="",
            unit="us a message",
            higher_is_better=False,
            contestants=contestants,
            notes=[
                f"{messages} messages of 80 characters in turn, on the disk of "
                f'{tempfile.gettempdir()}; "process" waits for no disk'
            ],
        )
    ]
