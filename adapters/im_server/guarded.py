"""uvicorn's HTTP protocol with limits.

uvicorn has no deadline for a request, no cap for its head and none for requests that wait in line,
and waits for ever for who doesn't read its answer. All numbers are of `ServerConfig`.

- A head has `handshake_timeout` from the start of the connection, or from its first byte on a kept
  one; so many bytes as the longest token and `handshake_bytes` besides; `handshake_headers` lines.
- A body has `partial_timeout` for every `message_bytes` of it. A call of ours is far smaller: it
  has it for the whole. A site's uploads may go on as long as they go on.
- Of a body that goes on when its answer is out, `message_bytes` more are looked at, then some MB
  are thrown away unseen for `close_timeout`, so that the answer can be read; that is the end.
- 16 requests may wait in line behind one that has no answer yet.
- Who doesn't read an answer for `stall_timeout` is gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from im_proto.handshake import ordinary_upgrade, refusal
from im_proto.server.origins import upgrade_refusal
from im_proto.wire.types import MAX_TOKEN

from .websocket import STATE_KEY, IMProtocol, SmallReads, host_of, no_delay

if TYPE_CHECKING:
    from .runner import Runner

logger = logging.getLogger(__name__)
#: Bytes that a peer takes within `stall_timeout` if it reads at all: a phone at its slowest.
_TAKEN: Final = 4_096
#: Requests that wait for an answer to the one before them: hardly a client sends any ahead, and
#: each holds 3 KB.
_IN_LINE: Final = 16
#: Bytes of a body, behind its answer, that are thrown away unseen: 15 ms of work, in 1,000 turns.
_THROWN_AWAY: Final = 16_777_216


class _RefusedError(Exception):
    """Out of the parser's callbacks: this is no request to go on with."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class GuardedHTTP(HttpToolsProtocol, SmallReads):
    """One connection: its requests, or the upgrade to the WebSocket, which `IMProtocol` takes.

    Args:
        config: these four are uvicorn's.
        server_state: …
        app_state: …
        _loop: …
        counted: the address under which the connection was counted; None: it was not yet.
    """

    #: in chunks of one byte it is 4 ms of work
    read_bytes = 16_384

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        counted: str | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._runner: Runner = app_state[STATE_KEY]
        self._limits = self._runner.config
        self._most = self._limits.handshake_bytes + MAX_TOKEN
        #: to be given back at the end; None: another has the connection, or nobody
        self._address = counted
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = True
        #: nothing has come yet
        self._silent = True
        self._lines = 0
        #: bytes that may still come before the end of the head, or more of the body
        self._room = 0
        #: bytes of the body within this deadline
        self._body = 0
        self._in_body = False
        #: bytes of the body that came behind its answer
        self._surplus = 0
        #: looks whether an answer is taken
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A peer has connected: the clock runs from here."""
        if self._address is None:
            address = host_of(transport)
            if not self._runner.enter(address):
                self._runner.held.turn_away(transport)
                return
            self._address = address
        no_delay(transport)
        super().connection_made(transport)
        # told as soon as anything waits, so that what waits has a deadline also at a close
        transport.set_write_buffer_limits(high=1, low=0)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone."""
        if self in self.connections:  # else it was dropped unread
            self._stop_clock()
            self._stop_watching()
            if self._address is not None:
                self._runner.doors.leave(self._address)
                self._address = None
            super().connection_lost(exc)
        self._let_go()

    def _let_go(self) -> None:
        """The parser, and each request that waits, hold on to us as we do to them. Left to Python's
        collector, those of a flood take tens of MB, and to find them nobody is served for 0.1 s."""
        self.pipeline.clear()
        self.parser = self.cycle = None  # type: ignore[assignment]

    # ------------------------------------------------------------ what comes in

    def data_received(self, data: bytes) -> None:
        """Give it to the parser, so much at a time that no limit is passed unseen."""
        if self.transport.is_closing():
            return  # TLS may have read more already
        silent, self._silent = self._silent, False
        if silent and self._is_for_us(data):
            self._leave_to(partial(self._become, data))
            return
        if self._surplus > self._limits.message_bytes:
            self._throw_away(data)
            return
        self._unset_keepalive_if_required()
        if self._deadline is None and self._answered:
            # uvicorn's own clock, for idle connections, was stopped just now
            self._start_clock(self._limits.handshake_timeout)
        try:
            while data:
                if not self._room:
                    raise _RefusedError(431)
                piece, data = data[: self._room], data[self._room :]
                self._room -= len(piece)
                self.parser.feed_data(piece)
                if self._in_body and self._answered:
                    self._surplus += len(piece)
                    if self._surplus > self._limits.message_bytes:
                        self._stop_listening()
                        return
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self._upgrade(piece[upgrade.args[0] :] + data)
        except httptools.HttpParserError as error:
            refused = error.__context__
            self._refuse(refused.status if isinstance(refused, _RefusedError) else 400)
        except _RefusedError as refused:
            self._refuse(refused.status)

    def on_message_begin(self) -> None:
        """A request begins; on a kept connection the clock starts anew."""
        super().on_message_begin()
        if not self._in_head:
            self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One line of the head, or behind the body."""
        self._lines += 1
        if self._lines > self._limits.handshake_headers:
            raise _RefusedError(431)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._in_head = False
        self._in_body = True
        self._body = self._surplus = 0
        self._start_clock(self._limits.partial_timeout)
        if len(self.pipeline) >= _IN_LINE:
            raise _RefusedError(400)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """More of the body."""
        self._room = self._most
        self._body += len(body)
        if self._body >= self._limits.message_bytes and not self._answered:
            self._body = 0
            self._start_clock(self._limits.partial_timeout)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete; if its answer was before, nobody else watches the clock."""
        super().on_message_complete()
        self._in_body = False
        self._room = self._most
        if not self._answered:
            self._stop_clock()

    def _upgrade(self, early: bytes) -> None:
        """To the WebSocket: only behind the last answer, and nothing may come before ours."""
        # uvicorn hands on the request as one of HTTP/1.1, whatever it was (RFC 6455 section 4.2.1)
        modern = self.scope["http_version"] == "1.1"
        if early or self._busy or not modern:
            self._refuse(400)
            return
        if self.url.partition(b"?")[0] == self._limits.path.encode():
            self.ws_protocol_class = IMProtocol
        if self.ws_protocol_class is IMProtocol and (refused := self._refused_upgrade()):
            self._fault()
            self._end(refusal(*refused, ()))
            return
        if self.ws_protocol_class is not IMProtocol and self._address is not None:
            self._runner.doors.leave(self._address)  # the site's own WebSockets are its to count
        self._leave_to(self.handle_websocket_upgrade)

    def _is_for_us(self, data: bytes) -> bool:
        """Is it an upgrade to our WebSocket, of the kind that needs no parser but the engine's?
        Two parsers are half of what an upgrade costs."""
        found = ordinary_upgrade(data, self._runner.opening)
        return found is not None and upgrade_refusal(self._limits, *found) is None

    def _become(self, data: bytes) -> None:
        """What uvicorn's `handle_websocket_upgrade` does, with the request as it came."""
        self.connections.discard(self)
        protocol = IMProtocol(self.config, self.server_state, self.app_state)
        protocol.connection_made(self.transport)
        protocol.data_received(data)
        self.transport.set_protocol(protocol)

    def _leave_to(self, take: Callable[[], None]) -> None:
        """Another protocol takes the connection."""
        self._stop_clock()
        self._stop_watching()
        self.transport.set_write_buffer_limits()
        self._address = None
        take()
        self._let_go()
        if self.flow.write_paused:  # something of before still waits, if only TLS's own words
            cast("asyncio.Protocol", self.transport.get_protocol()).pause_writing()

    def _refused_upgrade(self) -> tuple[int, str] | None:
        """Is the request for another path, or may its page not connect? Nothing has to be made to
        say so. What else is wrong with it, a handshake finds out."""
        hosts, origins = (
            [value.decode("latin-1") for key, value in self.headers if key == name]
            for name in (b"host", b"origin")
        )
        target = self.url.decode("latin-1")
        if len(hosts) != 1 or len(origins) > 1 or not (target.isascii() and target.isprintable()):
            return None
        return upgrade_refusal(self._limits, target, hosts[0], origins[0] if origins else None)

    def _stop_listening(self) -> None:
        """The answer is out, and the peer goes on: it may still read the one."""
        self._fault()
        self._start_clock(self._limits.close_timeout)
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _throw_away(self, data: bytes) -> None:
        self._surplus += len(data)
        if self._surplus > _THROWN_AWAY:
            self.transport.abort()

    @property
    def _answered(self) -> bool:
        """The answer to the last request went out whole; there is no `cycle` before the first."""
        return bool(getattr(self.cycle, "response_complete", False))

    @property
    def _busy(self) -> bool:
        """A request has no whole answer yet."""
        return not getattr(self.cycle, "response_complete", True)

    def _expect_head(self) -> None:
        self._in_head = True
        self._lines = 0
        self._room = self._most
        self._start_clock(self._limits.handshake_timeout)

    def _refuse(self, status: int) -> None:
        """Say so, if nothing else is being said, and end."""
        self._stop_clock()
        logger.info("%s: refused with %d", self._address, status)
        self._fault()
        if self._busy:
            self.transport.abort()
            return
        self._end(STATUS_LINE[status] + b"connection: close\r\ncontent-length: 0\r\n\r\n")

    def _fault(self) -> None:
        if self._address is not None:  # pragma: no branch - nobody else is listened to
            self._runner.fault(self._address)

    def _end(self, answer: bytes) -> None:
        self._stop_clock()
        self.transport.write(answer)
        self.transport.close()

    # ------------------------------------------------------------ clocks

    def _start_clock(self, seconds: float) -> None:
        self._stop_clock()
        self._deadline = self.loop.call_later(seconds, self._too_late, seconds)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self, seconds: float) -> None:
        if self.flow.read_paused:  # it is we who don't read: the application takes its time
            self._start_clock(seconds)
        else:
            self.transport.abort()

    def pause_writing(self) -> None:
        """Something waits to be taken."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """All was taken."""
        super().resume_writing()
        self._stop_watching()

    def _watch(self, waiting: int) -> None:
        due = self.loop.time() + self._limits.stall_timeout
        self._stall = self.loop.call_at(due, self._look_if_taken, waiting, due)

    def _look_if_taken(self, before: int, due: float) -> None:
        waiting = self.transport.get_write_buffer_size()
        # who looks so late was asleep, and wrote nothing meanwhile
        asleep = self.loop.time() - due > self._limits.stall_timeout / 10
        if waiting > before - _TAKEN and not asleep:
            self.transport.abort()
        else:
            self._watch(waiting)

    def _stop_watching(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
