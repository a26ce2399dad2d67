"""A pytest plugin: run the tests of docs/parity.md, each in a process of its own, with its stub.

    python -m pytest -p parity.stubbed --stubbed=REPORT tests/parity

REPORT gets, as JSON, what became of each row's test: without the stub, and with it. Each runs in
a fork, so that what a stub leaves behind disturbs no other.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, Final

import pytest
from _pytest.runner import runtestprotocol

from parity import parity_kit
from parity.page import rows
from parity.stubs import STUBS

#: Seconds for a test whose feature is stubbed: many wait for what never comes.
_PATIENCE: Final = 2.0
_AT_A_TIME: Final = 8
_FORK: Final = multiprocessing.get_context("fork")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--stubbed", metavar="REPORT")


def pytest_runtestloop(session: pytest.Session) -> bool:
    """Run them all, twice."""
    import httpx  # noqa: F401 - once, and not in each fork

    items = {item.nodeid.removeprefix("tests/parity/"): item for item in session.items}
    waiting = [
        (row.original, items[row.test], stubbed)
        for row in rows()
        if row.test is not None
        for stubbed in (False, True)
    ]
    report: dict[str, dict[str, Any]] = {}
    running: dict[Any, tuple[str, bool, ForkProcess]] = {}
    while waiting or running:
        while waiting and len(running) < _AT_A_TIME:
            name, item, stubbed = waiting.pop(0)
            here, there = _FORK.Pipe(duplex=False)
            process = _FORK.Process(target=_run, args=(name, item, stubbed, there))
            process.start()
            there.close()
            running[here] = name, stubbed, process
        for done in wait(list(running)):
            name, stubbed, process = running.pop(done)
            assert isinstance(done, Connection)
            key = "stubbed" if stubbed else "plain"
            try:
                became = done.recv()
            except EOFError:
                became = "could not be run: its process has ended"
            report.setdefault(name, {})[key] = became
            done.close()
            process.join()
    Path(session.config.getoption("--stubbed")).write_text(json.dumps(report), "utf-8")
    return True


def _run(name: str, item: pytest.Item, stubbed: bool, report: Connection) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if stubbed:
            parity_kit.PATIENCE = _PATIENCE
            STUBS[name].apply(patch)
        phases = {each.when: each for each in runtestprotocol(item, log=False)}
    setup, call = phases["setup"], phases.get("call")
    if not setup.passed or call is None:
        report.send(f"could not be run: {setup.longrepr}")
    elif call.passed:
        report.send("passed")
    else:
        crash = getattr(call.longrepr, "reprcrash", None)
        report.send(f"failed: {crash.message if crash else call.longrepr}")
    report.close()
    os._exit(0)  # whatever a stub has left running
