"""A client was away for a few messages, and comes back."""

from __future__ import annotations

import pytest

from benchmarks.catchup import _CatchUp


@pytest.mark.slow
def test_a_device_gets_all_that_it_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.catchup._LIVE", 0.2)
    subject = _CatchUp(400, 2, "asyncio")
    try:
        live, first, second = subject.live(), subject.catch_up(), subject.catch_up()
    finally:
        subject.close()
    assert min(live.value, first.value, second.value) > 0
    assert [received for received, _, _ in subject.memory] == list(range(20, 401, 20))
    assert all(client > 1 and server > 1 for _, client, server in subject.memory)
