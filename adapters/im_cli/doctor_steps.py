"""The doctor's steps, from the URL to the limits; each says what it found, and what helps.

What a server sends is never trusted: it is read by the core within its caps, each step has an
absolute end, and what is shown of it is printable and short.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from im_proto.client.login import CAPABILITIES
from im_proto.errors import printable
from im_proto.framing import HandshakeAccepted, HandshakeRejected, Violation
from im_proto.limits import FrameLimits
from im_proto.wire import (
    AuthData,
    AuthRequest,
    AuthResponse,
    ClientLimits,
    HeartbeatRequest,
    HeartbeatResponse,
    Outcome,
    outcome,
)

from . import doctor_advice as advice
from .doctor_line import Deadline, Ended, WebSocketLine
from .doctor_network import Network
from .doctor_report import Asked, Failed, Note, Step, milliseconds, words
from .doctor_talk import BATCH, Talk

__all__ = ["DEVICE", "NOT_REACHED", "Doctor"]

#: The device of its log-ins, so that it takes no other one's place and acknowledges for nobody.
DEVICE: Final = "im-doctor"
#: Said of the steps behind one that failed.
NOT_REACHED: Final = "not reached,"
#: Seconds by which the clocks may differ before it is worth a word: tokens have some leeway.
_SKEW: Final = 5.0
_BEATS: Final = 5
_HEADERS: Final = FrameLimits().handshake_headers
#: Of the answer's headers, those that may hold a secret.
_PRIVATE: Final = frozenset({"set-cookie", "authorization", "proxy-authenticate"})


class Doctor:
    """Looks at one server, once. `steps()` does it; `close()` at the end, whatever happened."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._network = Network(asked)
        self._web: WebSocketLine | None = None
        self._talk: Talk | None = None
        self._said: AuthData | None = None
        #: half of a round trip in which the server named its time, and that less ours; in seconds
        self._skews: list[tuple[float, float]] = []

    def steps(self) -> Iterator[Step]:
        """All steps, in order; those behind one that failed are skipped."""
        network = self._network
        work: tuple[tuple[str, Callable[[Deadline], Note]], ...] = (
            ("URL", network.url),
            ("DNS", network.dns),
            ("TCP", network.tcp),
            ("TLS", network.tls),
            ("upgrade", self._upgrade),
            ("log-in", self._log_in),
            ("heartbeat", self._heartbeat),
            ("clock", self._clock),
            ("capabilities", self._capabilities),
            ("limits", self._limits),
        )
        failed = ""
        for name, step in work:
            began = time.monotonic()
            if failed:
                note = Note(f"{NOT_REACHED} after {failed}", "skipped")
            else:
                try:
                    note = step(Deadline(self._asked.timeout))
                except Failed as error:
                    note = Note(error.said, "failed", error.advice, error.data)
                    failed = name
            yield Step(
                name=name,
                state=note.state,
                seconds=time.monotonic() - began,
                said=note.said,
                advice=note.advice,
                data=note.data,
            )

    def close(self) -> None:
        """Let the server go."""
        if self._web is not None and self._web.framing.open:
            with contextlib.suppress(OSError):
                self._web.send(self._web.framing.send_close(1000), Deadline(1.0))
        if self._network.line is not None:
            self._network.line.close()

    # ------------------------------------------------------------ the WebSocket

    def _upgrade(self, deadline: Deadline) -> Note:
        network = self._network
        assert network.line is not None
        parts = urlsplit(self._asked.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._web = web = WebSocketLine(network.line, network.authority, target)
        try:
            web.send(web.framing.request(), deadline)
            event = web.event(deadline)
        except Ended:
            raise Failed(
                "the server ended the connection "
                + ("within its answer" if web.head else "without an answer"),
                _tls_instead(web.head) or "is this the right port? with TLS it would be wss://",
            ) from None
        except TimeoutError:
            raise Failed(
                "no answer in time" + (", only a part of one" if web.head else ""),
                _tls_instead(web.head)
                or "it takes connections and says nothing: a server that hangs, or no HTTP at all",
            ) from None
        except OSError as error:
            raise Failed(f"the connection broke: {words(error)}", "try again") from None
        headers = _headers(web.head)
        if isinstance(event, HandshakeRejected):
            shown = "".join(
                f"; {name}: {headers[name]}"
                for name in ("location", "server", "retry-after")
                if name in headers
            )
            raise Failed(
                f"HTTP {event.status} {event.reason}{shown}",
                advice.of_status(event.status),
                status=event.status,
                headers=headers,
            )
        if not isinstance(event, HandshakeAccepted):
            reason = event.reason if isinstance(event, Violation) else type(event).__name__
            raise Failed(
                f"what came is no answer to a WebSocket: {reason}",
                _tls_instead(web.head) or "is this the right port?",
                headers=headers,
            )
        strict = not event.capable and not self._asked.plain
        self._talk = Talk(web, maybe_strict=strict)
        capable = headers.get("im-capabilities", "")
        data = {
            "status": 101,
            "headers": headers,
            "subprotocol": event.subprotocol,
            "im_capabilities": capable if event.capable else None,
        }
        said = (
            f"HTTP 101; IM-Capabilities: {capable}"
            if event.capable
            else ("HTTP 101; no IM-Capabilities: a plain server of the family")
        )
        return Note(said, data=data)

    def _log_in(self, deadline: Deadline) -> Note:
        asked = self._asked
        if not asked.token:
            return Note("no token given", "skipped", "--token, --secret (signs one), or --user")
        request = AuthRequest(access_token=asked.token, user_id=asked.user)
        if not asked.plain:
            request = AuthRequest(
                access_token=asked.token,
                user_id=asked.user,
                capabilities=list(CAPABILITIES),
                device_id=DEVICE,
                limits=ClientLimits(frame_bytes=FrameLimits().message_bytes, batch=BATCH),
            )
        assert self._talk is not None
        wall, began = time.time(), time.monotonic()
        self._talk.say(request, deadline, "the log-in")
        answer = self._talk.hear(AuthResponse, deadline, "the log-in")
        self._compare(answer.data.server_time if answer.data else None, wall, began)
        words = printable(answer.message or "")
        data: dict[str, Any] = {"code": answer.code, "message": words}
        if outcome(answer.code) is not Outcome.SUCCESS:
            raise Failed(
                f"refused with {answer.code}: {words or 'without a word'}",
                advice.of_code(answer.code, words),
                **data,
            )
        self._said = answer.data or AuthData()
        self._talk.inline = "inline" in (self._said.capabilities or ())
        who = self._said.user_id
        data["user"] = who
        said = f"code {answer.code}" + (f", user {printable(str(who))}" if who is not None else "")
        if self._said.expires_in is not None:
            data["expires_in"] = self._said.expires_in
            said += f", the token is good for {self._said.expires_in:.0f} s more"
        return Note(said, data=data)

    def _heartbeat(self, deadline: Deadline) -> Note:
        by = "heartbeats" if self._said is not None else "Ping and Pong"
        times: list[float] = []
        for n in range(_BEATS):
            began = time.monotonic()
            try:
                self._beat(n, deadline)
            except Failed as error:
                if n == 0:
                    raise
                said = f"{n} of {_BEATS} {by} were answered, then: {error.said}"
                raise Failed(said, error.advice, **error.data) from None
            times.append(time.monotonic() - began)
        least, middle = milliseconds(min(times)), milliseconds(statistics.median(times))
        return Note(
            f"{_BEATS} {by}: {least:g} ms at least, {middle:g} ms median",
            data={"by": by, "min_ms": least, "median_ms": middle},
        )

    def _beat(self, n: int, deadline: Deadline) -> None:
        assert self._talk is not None
        if self._said is None:
            self._talk.ping(f"im-doctor {n}".encode(), deadline)
            return
        wall, began = time.time(), time.monotonic()
        self._talk.say(HeartbeatRequest(timestamp=int(wall * 1000)), deadline, "a heartbeat")
        answer = self._talk.hear(HeartbeatResponse, deadline, "a heartbeat")
        self._compare(answer.server_time, wall, began)

    def _compare(self, server: int | None, wall: float, began: float) -> None:
        """The server named its time, in ms, within a round trip that began then."""
        if server is not None:
            half = (time.monotonic() - began) / 2
            self._skews.append((half, server / 1000 - (wall + half)))

    # ------------------------------------------------------------ what it says of itself

    def _clock(self, _: Deadline) -> Note:
        if not self._skews:
            return Note("the server does not say what time it has", "skipped")
        half, skew = min(self._skews)
        unsure = half + 0.001  # it says milliseconds
        data = {"skew_ms": milliseconds(skew), "uncertainty_ms": milliseconds(unsure)}
        if abs(skew) <= unsure:
            return Note(f"the same within {milliseconds(unsure):g} ms", data=data)
        which = "ahead of" if skew > 0 else "behind"
        said = f"the server's is {_span(skew)} {which} this one's, give or take {_span(unsure)}"
        if abs(skew) - unsure > _SKEW:
            help_ = "tokens begin and end by the server's clock: have both set by NTP"
            return Note(said, "warning", help_, data)
        return Note(said, data=data)

    def _capabilities(self, _: Deadline) -> Note:
        if self._said is None:
            return Note("known after a log-in", "skipped")
        if self._asked.plain:
            return Note("none asked for, with --plain", "skipped")
        granted = [printable(name, 32) for name in self._said.capabilities or ()]
        missing = [name for name in CAPABILITIES if name not in granted]
        data = {"granted": granted, "missing": missing}
        if not granted:
            return Note("none: this is a plain server; docs/how-to/plain-server.md", data=data)
        said = f"granted {', '.join(granted)}"
        if missing:
            help_ = "without them clients do less; an older server may not know them"
            return Note(f"{said}; not {', '.join(missing)}", "warning", help_, data)
        return Note(said, data=data)

    def _limits(self, _: Deadline) -> Note:
        found: dict[str, Any] = {}
        if self._said is not None and self._said.limits is not None:
            found |= self._said.limits.model_dump()
        if self._said is not None and self._said.heartbeat is not None:
            found["heartbeat_interval"] = self._said.heartbeat.interval
            found["heartbeat_timeout"] = self._said.heartbeat.timeout
        if not found:
            return Note("the server names none", "skipped")
        return Note(", ".join(f"{name} {value:g}" for name, value in found.items()), data=found)


def _tls_instead(head: bytes) -> str:
    """Advice, if an answer begins as an alert or handshake of TLS does (RFC 8446 section 5.1)."""
    return "the server speaks TLS: wss://" if head[:1] in (b"\x15", b"\x16") else ""


def _headers(head: bytes) -> dict[str, str]:
    """Those of an answer, to be shown; of several with one name the last."""
    lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    found = {}
    for line in lines[:_HEADERS]:
        name, colon, value = line.partition(":")
        if colon:
            key = printable(name.strip().lower(), 64)
            found[key] = "(hidden)" if key in _PRIVATE else printable(value.strip())
    return found


def _span(seconds: float) -> str:
    seconds = abs(seconds)
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"
