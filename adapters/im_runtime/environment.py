"""The log on stderr, as the environment wants it.

    IM_LOG=debug | info | warning   print the clients' log to stderr, from that level on
    IM_LOG_CONTENT=1                with the text of messages

Both are read once, when the first client is made. An application that has handlers of its own
where the lines go sees them there, and not a second time on stderr; where it has put one on the
logger itself, IM_LOG changes nothing.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from typing import Any, Final

from .log import LOGGERS

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
_FORMAT: Final = "%(asctime)s.%(msecs)03d %(name)s %(message)s"
_TIME: Final = "%Y-%m-%d %H:%M:%S"
#: Clients may be made in several threads at once.
_ONCE: Final = threading.Lock()


class Stderr(logging.StreamHandler[Any]):
    """Prints to stderr what no other handler gets."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(_FORMAT, _TIME))

    def handle(self, record: logging.LogRecord) -> bool:
        """Print it, unless the application has meanwhile set up handlers of its own."""
        return not _heard(logging.getLogger(record.name)) and bool(super().handle(record))


def read_environment() -> bool:
    """Set the log up as the environment wants it, once; returns whether content is wanted."""
    with _ONCE:
        return _read()


@functools.cache
def _read() -> bool:
    wanted = os.environ.get("IM_LOG", "").strip().lower()
    if wanted:
        for name in LOGGERS:
            _print(logging.getLogger(name), wanted)
    return os.environ.get("IM_LOG_CONTENT", "").strip() == "1"


def _print(logger: logging.Logger, wanted: str) -> None:
    if any(_is_real(handler) for handler in logger.handlers):
        return
    logger.addHandler(Stderr())
    if logger.level == logging.NOTSET:
        logger.setLevel(_LEVELS.get(wanted, logging.WARNING))
    if wanted not in _LEVELS:
        logger.warning("! IM_LOG is one of %s, not %r", ", ".join(_LEVELS), wanted[:40])


def _heard(logger: logging.Logger | None) -> bool:
    """Does a handler of the application get what is logged here?"""
    while logger is not None:
        if any(_is_real(handler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _is_real(handler: logging.Handler) -> bool:
    return not isinstance(handler, logging.NullHandler | Stderr)
