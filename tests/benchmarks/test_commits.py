"""All messages are written, in commits of the size that is named, and nothing stays on the disk."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from benchmarks import commits
from benchmarks.harness import Options
from im_proto.server.actions import StoreLogin


def test_each_contestant_writes_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (row,) = commits.rows(Options(quick=True))
    assert [one.name for one in row.contestants] == [
        f"{durability}, {size} in a commit"
        for durability in ("process", "power")
        for size in (1, 64)
    ]
    for contestant in row.contestants:
        contestant.close()  # before it has run there is nothing to end
        figure = contestant.run()
        assert isinstance(figure, commits.Figure)
        assert figure.value > 0 and figure.details["CPU us"] > 0
        assert any(tmp_path.iterdir())
        contestant.close()
        assert not any(tmp_path.iterdir())


def test_the_messages_and_their_receipts_are_there() -> None:
    work = commits._Commits("process", 64, 128)
    try:
        work.run()  # behind a commit that is made first
        store = work._store
        assert store is not None
        heads = []
        for user in (commits.ALICE, commits.BOB):
            asked = StoreLogin(request=9, user=user, device="another", resume_seq=None)
            heads.append(store.login(asked).login.head)
        assert heads[1] == 64 + 128
        assert heads[0] > 0
    finally:
        work.close()
