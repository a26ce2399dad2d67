"""What `im demo` and `im soak` do to their processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Callable

import pytest

from adapters.adapter_kit import run
from im_cli import children

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")


@pytest.mark.parametrize(
    ("end", "status"),
    [(children.kill, -signal.SIGKILL), (children.terminate, -signal.SIGTERM)],
)
@run
async def test_who_is_ended_again_and_again_keeps_its_exit_status(
    end: Callable[[Process], None], status: int
) -> None:
    for _ in range(5):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "input()"), stdin=asyncio.subprocess.PIPE
        )
        for _ in range(1_000):
            end(process)
        assert await process.wait() == status
        end(process)
