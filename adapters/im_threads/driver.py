"""The I/O loop: how a thread with a selector does what the engine wants. Decides nothing."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any

from im_proto.client.actions import OpenTransport
from im_proto.client.engine import ClientEngine
from im_proto.client.inputs import Input
from im_proto.errors import LocalProtocolError
from im_runtime import Driver as _Driver

from .link import Link
from .loop import Loop


class Driver(_Driver[Link]):
    """Carries out an engine's actions. The engine is stepped in the loop's thread alone.

    Args:
        engine: who decides.
        loop: in whose thread everything here happens.
        quiet: called when there is no transport any more.
        more: as for `im_runtime.Driver`.
    """

    def __init__(
        self, engine: ClientEngine, loop: Loop, *, quiet: Callable[[], None], **more: Any
    ) -> None:
        super().__init__(engine, now=loop.now, **more)
        self._loop = loop
        self._told_quiet = quiet
        self._writing: list[threading.Event] = []

    def step(self, item: Input) -> None:
        """Do what the application wants.

        Raises:
            LocalProtocolError, IMError: the engine refuses it; nothing has changed.
        """
        if self._loop.ended:
            raise LocalProtocolError("this client is closed, for good: make a new one")
        super().step(item)

    def _post(self, function: Callable[..., object], *args: Any) -> None:
        self._loop.post(function, *args)

    def _set_timer(self, when: float) -> Callable[[], object]:
        return self._loop.at(when, self._time_passed).cancel

    def _end_turn_soon(self) -> None:
        self._loop.soon(self.turn_ended)

    def _is_quiet(self) -> None:
        self._told_quiet()

    def _is_written(self) -> None:
        if self.written:
            waiting, self._writing = self._writing, []
            for written in waiting:
                written.set()

    def until_written(self) -> threading.Event:
        """Is set when the journal has all."""
        self.turn_ended()
        written = threading.Event()
        self._writing.append(written)
        self._is_written()
        return written

    # -- transports

    def _open(self, action: OpenTransport) -> Link:
        link = Link(self, self._loop, action.transport)
        self._loop.soon(lambda: link.open(action, self._tls))
        return link

    def _start_tls(self, link: Link, host: str) -> None:
        self._loop.soon(lambda: link.start_tls(host, self._tls))

    # -- the token

    def _fetch(self, request: int) -> None:
        source = self._token
        if isinstance(source, str):
            self._loop.soon(lambda: self._token_answered(request, source, None))
            return
        fetching = threading.Thread(
            target=self._call_token, args=(request, source), name="im_threads-token", daemon=True
        )
        try:
            fetching.start()
        except RuntimeError as exc:  # too many, or the interpreter is about to exit
            failed = exc
            self._loop.soon(lambda: self._token_answered(request, None, failed))

    def _call_token(self, request: int, source: Callable[[], object]) -> None:
        """In a thread of its own: as long as it takes, and dropped if nobody waits any more."""
        token: object = None
        failed: BaseException | None = None
        try:
            token = source()
        except BaseException as exc:
            failed = exc
        if inspect.iscoroutine(token):
            token.close()
            failed = TypeError("the token function is async: that is for im_asyncio")
        self._post(self._token_answered, request, token, failed)

    def _stop_fetching(self, request: int) -> None:
        """Nothing can end its thread: its answer is nobody's."""
