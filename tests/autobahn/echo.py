"""Our engines as the Autobahn cases want them: nobody logs in, and what is said comes back.

All else is the real thing: handshakes, answers to pings, closes, violations, deadlines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from im_proto.client import ClientEngine
from im_proto.client import actions as client_act
from im_proto.config import ClientConfig, ReconnectConfig, ServerConfig, Timeouts
from im_proto.framing import BinaryFrame, FrameEvent, Framing, TextFrame
from im_proto.limits import FrameLimits
from im_proto.server import inputs as server_inp
from im_proto.server.engine import Action, ServerEngine

#: What the cases send: 16 MB in one message, 65,536 frames in another.
LIMITS: Final = FrameLimits(message_bytes=2**24, message_frames=2**16)
#: Longer than any case takes, in seconds: no log-in is missed, no ping of ours disturbs.
_NEVER: Final = 3600.0

#: Fields of a ServerConfig.
SERVER: Final = {
    "auth_timeout": _NEVER,
    "heartbeat_interval": _NEVER,
    "partial_timeout": _NEVER,
    "arrivals_burst": 1_000,  # each case is a connection, …
    "fault_arrivals": 0,  # … and half of them break the rules
}


def client_config(url: str) -> ClientConfig:
    """For one case: no second attempt."""
    return ClientConfig(
        ws_url=url,
        token="unused",
        user_id=1,
        reconnect=ReconnectConfig(max_retries=0),
        timeouts=Timeouts(auth=_NEVER, partial=_NEVER),
    )


def _echo(framing: Framing | None, message: TextFrame | BinaryFrame) -> bytes:
    if framing is None or not framing.open:
        return b""
    if isinstance(message, TextFrame):
        return framing.send_text(message.text)
    return framing.send_binary(message.payload)


class EchoClient(ClientEngine):
    """A `ClientEngine` that doesn't say who it is."""

    def _start(self) -> bytes:
        super()._start()
        config = self.core.config
        self._framing = Framing.client(
            host=config.host_header,
            target=config.target,
            rng=self._rng,
            limits=LIMITS,
            compression=True,
            binary=True,
        )
        return self._framing.request()

    def _on_frame(self, frame: FrameEvent, transport: int, now: float) -> list[client_act.Action]:
        if isinstance(frame, TextFrame | BinaryFrame):
            data = _echo(self._framing, frame)
            return [client_act.SendBytes(transport=transport, data=data)] if data else []
        return super()._on_frame(frame, transport, now)

    def _carry_out(self, actions: Sequence[client_act.CoreAction]) -> list[client_act.Action]:
        return super()._carry_out(
            [action for action in actions if not isinstance(action, client_act.SendText)]
        )


class EchoServer(ServerEngine):
    """A `ServerEngine` that doesn't ask who is there."""

    def __init__(self, connection: int, config: ServerConfig, **more: Any) -> None:
        super().__init__(connection, config, **more)
        self._framing = Framing.server(limits=LIMITS, compression=True, binary=True)

    def _translate(self, frame: FrameEvent) -> server_inp.CoreInput:
        if isinstance(frame, TextFrame | BinaryFrame):
            return frame  # type: ignore[return-value]  # for _core, where its turn comes
        return super()._translate(frame)

    def _core(self, done: list[Action], events: list[server_inp.CoreInput], now: float) -> None:
        for event in events:
            if isinstance(event, TextFrame | BinaryFrame):
                data = _echo(self._framing, event)
                if data:
                    self._write(done, data)
            else:
                super()._core(done, [event], now)
        events.clear()
