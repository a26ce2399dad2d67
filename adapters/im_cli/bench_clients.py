"""The clients of a benchmark, in a process of their own, as whoever measures sees them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Final

from .bench_load import Found, Setup
from .bench_process import START, BenchProcess, cpu_seconds

#: Seconds for the last messages of a run.
_AFTER: Final = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One run.

    Args:
        found: by the clients.
        server_cpu: seconds of the server's process meanwhile; NaN: nobody knows.
    """

    found: Found
    server_cpu: float

    @property
    def per_second(self) -> float:
        """Messages."""
        return self.found.messages / self.found.seconds

    @property
    def client_us(self) -> float:
        """Microseconds of CPU of the clients' process for a message."""
        return self.found.cpu / self.found.messages * 1e6

    @property
    def server_us(self) -> float:
        """Microseconds of CPU of the server's process for a message."""
        return self.server_cpu / self.found.messages * 1e6


class Clients(BenchProcess):
    """Pairs of clients that are logged in.

    Args:
        module: whose (bench_load.py).
        loop: their event loop.
        setup: what they are told.
        server: the process of their server; None: it isn't here.

    Raises:
        BenchError: they can't log in. Says why.
    """

    def __init__(self, module: str, loop: str, setup: Setup, server: int | None) -> None:
        super().__init__("the clients", "im_cli.bench_loop", loop, "im_cli.bench_load", module)
        self._server = server
        try:
            self.tell(dataclasses.asdict(setup))
            self.answer(START)
        except BaseException:
            self.close()
            raise

    def load(self, seconds: float | None, messages: int | None = None) -> Sample:
        """Load the server once; it ends by time, by number, or by what comes first.

        Raises:
            BenchError: it went wrong. Says how.
        """
        before = self._cpu()
        self.tell({"seconds": seconds, "messages": messages})
        found: dict[str, Any] = self.answer((seconds or 0.0) + _AFTER)
        return Sample(Found(**found), self._cpu() - before)

    def _cpu(self) -> float:
        return math.nan if self._server is None else cpu_seconds(self._server)
