"""What a gateway keeps of those who are gone."""

from __future__ import annotations

from core.server_kit import Kit


def test_who_comes_and_goes_leaves_no_deadline_and_no_bucket_behind() -> None:
    kit = Kit()
    quiet = kit.user(1)
    for n in range(500):
        kit.user(n + 2).lose()
        kit.wait(0.01)
    assert quiet.code is None
    assert len(kit.gateway._heap) <= 2 * len(kit.gateway._armed) + 64
    assert len(kit.gateway._turns._buckets) <= 1
