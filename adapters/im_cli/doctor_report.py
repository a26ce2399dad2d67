"""What the doctor's steps have in common: how they tell what they found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from im_proto.errors import printable
from im_proto.wire import UserId

__all__ = ["Asked", "Failed", "Note", "State", "Step", "milliseconds", "words"]

State = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one of them found. `data` is for `--json`."""

    name: str
    state: State
    seconds: float
    said: str
    advice: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to look at. `timeout` is of each step; `plain` logs in with the token alone."""

    url: str
    token: str = field(default="", repr=False)
    user: UserId | None = None
    timeout: float = 10.0
    plain: bool = False
    ca: str | None = None


class Failed(Exception):
    """Ends a step, and with it the examination."""

    def __init__(self, said: str, advice: str = "", **data: Any) -> None:
        super().__init__(said)
        self.said = said
        self.advice = advice
        self.data = data


@dataclass(slots=True)
class Note:
    """What a step that got through says."""

    said: str
    state: State = "ok"
    advice: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return printable(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
