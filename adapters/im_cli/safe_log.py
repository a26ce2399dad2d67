"""The log of `im serve`: a line is a line, whatever peers have put into it."""

from __future__ import annotations

import logging
from typing import Final

from im_proto.errors import printable

__all__ = ["SafeFormatter", "start_logging"]

#: Characters of one message; more of it tells nothing new.
_MESSAGE: Final = 2_000
#: Lines of one traceback: the beginning says where, the end says what.
_TRACEBACK: Final = 200
#: Every line of a traceback begins so; that of a message with its time.
_INDENT: Final = "    "


class SafeFormatter(logging.Formatter):
    """One line for a message, control characters and line ends escaped, of a bounded length; a
    traceback behind it, line by line as Python writes it, indented so that none of its lines can
    be taken for a message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line of a message."""
        return printable(super().formatMessage(record), _MESSAGE)

    def formatException(self, ei: logging._SysExcInfoType) -> str:  # noqa: N802
        """A traceback."""
        return _block(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        """A stack."""
        return _block(stack_info)


def _block(text: str) -> str:
    lines = text.split("\n")
    if len(lines) > _TRACEBACK:
        half = _TRACEBACK // 2
        lines = [*lines[:half], f"… {len(lines) - 2 * half} lines …", *lines[-half:]]
    return "\n".join(_INDENT + printable(line, _MESSAGE) for line in lines)


def start_logging(level: str) -> None:
    """Log to standard error from `level` on ("debug", "info" …)."""
    handler = logging.StreamHandler()
    handler.setFormatter(SafeFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
