"""What a ledger need not look at again would tell it nothing."""

from __future__ import annotations

import pytest

from im_proto.testing import simulate
from im_proto.testing.sim.ledger import Ledger
from im_proto.testing.sim.world import SimWorld


def test_what_is_settled_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    missing, run = Ledger.missing, SimWorld.run
    found, settled = 0, 0

    def both(ledger: Ledger) -> list[str]:
        nonlocal found, settled
        quick = missing(ledger)
        devices = list(ledger._devices.values())
        before = [device.settled for device in devices]
        for device in devices:
            device.settled = 0
        assert missing(ledger) == quick
        for device, seq in zip(devices, before, strict=True):
            device.settled = seq
        found, settled = found + len(quick), settled + sum(before)
        return quick

    def running(world: SimWorld, seconds: float, *more: object) -> bool:
        def look() -> None:
            world.ledger.missing()
            world.later(0.2, look)

        world.later(0.2, look)
        monkeypatch.setattr(SimWorld, "run", run)
        return world.run(seconds)

    monkeypatch.setattr(Ledger, "missing", both)
    for seed in (0, 3, 7):
        monkeypatch.setattr(SimWorld, "run", running)
        assert simulate(seed, minutes=0.5).failure is None
    assert found > 100
    assert settled > 1_000
