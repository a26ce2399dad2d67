"""For each row of docs/parity.md: what is stubbed, and how, so that its test has to fail.

A stub takes one feature away and leaves the rest: a method that does nothing, an option that is
ignored, a field that is lost, an error with another code.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest

from im_asyncio import ConnectionState, IMErrorCode, Status
from im_proto.client.liveness import Beat
from im_proto.config import ClientConfig

#: Makes the replacement of what is there.
Make = Callable[[Any], Any]


@dataclass(frozen=True)
class Stub:
    """What is replaced, as `module:name.name`, and what by."""

    target: str
    make: Make

    def apply(self, patch: pytest.MonkeyPatch) -> None:
        """Replace it.

        Raises:
            AttributeError, ImportError: there is nothing of that name.
        """
        module, _, path = self.target.partition(":")
        *owners, name = path.split(".")
        owner = functools.reduce(getattr, owners, importlib.import_module(module))
        getattr(owner, name)  # what a module loads lazily is there only once it was asked for
        there = inspect.getattr_static(owner, name)
        if isinstance(there, classmethod):
            patch.setattr(owner, name, classmethod(self.make(there.__func__)))
        else:
            patch.setattr(owner, name, self.make(there))


# ------------------------------------------------------------ kinds of stubs


def gives(value: Any) -> Make:
    """A function that only returns this; awaited where the original is."""

    def make(original: Any) -> Any:
        async def later(*_: Any, **__: Any) -> Any:
            return value

        def now(*_: Any, **__: Any) -> Any:
            return value

        if isinstance(original, property):
            return property(now)
        return later if inspect.iscoroutinefunction(original) else now

    return make


NOTHING: Final = gives(None)


def argument(name: str, change: Callable[[Any], Any]) -> Make:
    """A function that gets another value of an argument than the one it is given."""

    def make(original: Any) -> Any:
        signature = inspect.signature(original)

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            bound.arguments[name] = change(bound.arguments[name])
            return original(*bound.args, **bound.kwargs)

        return call

    return make


def result(change: Callable[[Any], Any]) -> Make:
    """A function that returns something else."""

    def make(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            return change(original(*args, **kwargs))

        return call

    return make


def method(target: str, make: Make = NOTHING) -> Stub:
    """A method of the client."""
    return Stub(f"im_asyncio.client:IMClient.{target}", make)


def option(*keys: str) -> Stub:
    """An option that `from_web` doesn't look at."""

    def without(web: Mapping[str, Any], keys: tuple[str, ...] = keys) -> dict[str, Any]:
        key, *inner = keys
        if inner and key in web:
            return dict(web) | {key: without(web[key], tuple(inner))}
        return {name: value for name, value in web.items() if name != key}

    return Stub("im_proto.config:ClientConfig.from_web", argument("web", without))


def required(key: str, change: Callable[[Any], Any]) -> Stub:
    """An option that can't be left out: another value is taken."""

    def other(web: Mapping[str, Any]) -> dict[str, Any]:
        return dict(web) | {key: change(web[key])}

    return Stub("im_proto.config:ClientConfig.from_web", argument("web", other))


def sent_with(name: str, value: Any) -> Stub:
    """A message is sent with something else."""
    return method("queue_message", argument(name, lambda _: value))


def received_without(field: str, value: Any = None) -> Stub:
    """A message comes without that field."""

    def make(original: Any) -> Any:
        def of(cls: Any, event: Any) -> Any:
            message = original(cls, event)
            object.__setattr__(message, field, value)
            return message

        return of

    return Stub("im_runtime.message:Message.of", make)


def session_without(field: str) -> Stub:
    """A session comes with another value of that field."""
    return Stub(
        "im_proto.client.sessions:read_session",
        result(lambda session: session.model_copy(update={field: 99})),
    )


def silent(name: str) -> Stub:
    """A callback that is never called."""
    return Stub(
        "im_runtime.telling:translate",
        result(lambda call: None if call is not None and call[0] == name else call),
    )


def another_code(code: str) -> Stub:
    """An error that is told with another code."""
    other = IMErrorCode.QUEUE_FULL
    return Stub(
        "im_proto.errors:IMError.__init__",
        argument("code", lambda given: other if given == code else given),
    )


def unlogged(level: int) -> Stub:
    """Lines of a level are never logged."""

    def make(original: Any) -> Any:
        return lambda logger, asked: asked != level and original(logger, asked)

    return Stub("logging:Logger.isEnabledFor", make)


def strategy(other: str) -> Stub:
    """Another strategy than the one that is configured."""
    return Stub(
        "im_proto.client.backoff:base_delay",
        argument("config", lambda config: config.model_copy(update={"strategy": other})),
    )


# ------------------------------------------------------------ the rows

_ELSEWHERE: Final = ConnectionState(status=Status.DISCONNECTED, reason="a stub")
_CALLBACKS: Final = {
    "connected": "connected",
    "disconnected": "disconnected",
    "reconnecting": "reconnecting",
    "reconnected": "reconnected",
    "authenticated": "authenticated",
    "authFailed": "auth_failed",
    "messageSent": "message_sent",
    "messageFailed": "message_failed",
    "heartbeatSent": "heartbeat_sent",
    "heartbeatReceived": "heartbeat_received",
    "error": "error",
}
_CODES: Final = (
    *("CONNECTION_FAILED", "CONNECTION_TIMEOUT", "CONNECTION_LOST", "RECONNECT_FAILED"),
    *("AUTH_FAILED", "AUTH_TIMEOUT", "TOKEN_INVALID"),
    *("MESSAGE_SEND_FAILED", "MESSAGE_TIMEOUT", "MESSAGE_FORMAT_ERROR"),
    *("SESSION_CREATE_FAILED", "SESSION_NOT_FOUND"),
    *("NETWORK_ERROR", "SERVER_ERROR", "UNKNOWN_ERROR"),
)

STUBS: Final[dict[str, Stub]] = {
    # methods
    "constructor(config)": method(
        "__init__",
        argument("config", lambda it: ClientConfig(ws_url=it.ws_url, token="other", user_id=9)),
    ),
    "connect()": method("connect"),
    "disconnect()": method("disconnect"),
    "sendMessage(request)": method("send_message"),
    "setCallbacks(callbacks)": method("set_callbacks"),
    "getConnectionState()": method("connection_state", gives(_ELSEWHERE)),
    "updateAccessToken(token)": method("update_access_token"),
    "getSession(params)": method("get_session"),
    "addSession(params)": method(
        "add_session", lambda _: lambda client, **ids: client.get_or_create_session(**ids)
    ),
    "getOrCreateSession(bookId, buyerId, sellerId)": method(
        "get_or_create_session", lambda _: lambda client, *ids: client.add_session(*ids)
    ),
    "getCachedSession(sessionId)": method("get_cached_session"),
    "getAllCachedSessions()": method("get_all_cached_sessions", gives([])),
    # options
    "IMClientConfig.wsUrl": required("wsUrl", lambda url: url.partition("?")[0]),
    "IMClientConfig.token": required("token", lambda _: "other"),
    "IMClientConfig.userId": required("userId", lambda _: 9),
    "IMClientConfig.reconnect": option("reconnect"),
    "IMClientConfig.reconnect.maxRetries": option("reconnect", "maxRetries"),
    "IMClientConfig.reconnect.initialDelay": option("reconnect", "initialDelay"),
    "IMClientConfig.reconnect.maxDelay": option("reconnect", "maxDelay"),
    "IMClientConfig.heartbeat": option("heartbeat"),
    "IMClientConfig.heartbeat.interval": option("heartbeat", "interval"),
    "IMClientConfig.heartbeat.timeout": option("heartbeat", "timeout"),
    "IMClientConfig without reconnect, heartbeat": Stub(
        "im_proto.config.client:_seconds", argument("default_ms", lambda _: 1)
    ),
    # types
    "ChatSendToOneRequest.toUserId": sent_with("to_user_id", 9),
    "ChatSendToOneRequest.content": sent_with("content", "other"),
    "ChatSendToOneRequest.messageType": sent_with("message_type", "text"),
    "ChatSendToOneMessage": Stub(
        "im_runtime.telling:translate",
        result(lambda it: it and (it[0], [getattr(each, "msg_id", None) for each in it[1]])),
    ),
    "ChatReceivedMessage.content": received_without("content", ""),
    "ChatReceivedMessage.fromUser": received_without("from_user"),
    "ChatReceivedMessage.msgId": received_without("msg_id"),
    "ChatReceivedMessage.timestamp": received_without("timestamp"),
    "SessionGetRequest": method("get_session", argument("book_id", lambda it: it and it + 1)),
    "SessionCreateRequest": method("add_session", argument("buyer_id", lambda it: it + 1)),
    "SessionVO.id": session_without("id"),
    "SessionVO.bookId": session_without("book_id"),
    "SessionVO.buyerId": session_without("buyer_id"),
    "SessionVO.sellerId": session_without("seller_id"),
    "SessionVO.sessionStatus": session_without("session_status"),
    "SessionVO.expireTime": session_without("expire_time"),
    "ConnectionState": method("connection_state", gives("DISCONNECTED")),
    # callbacks, error codes
    "IMEventCallbacks.messageReceived": Stub("im_runtime.telling:Reception.received", NOTHING),
    **{f"IMEventCallbacks.{name}": silent(here) for name, here in _CALLBACKS.items()},
    **{code: another_code(code) for code in _CODES},
    # folders
    "EventEmitter.on": method(
        "on", lambda _: lambda client, name, callback=None: callback or (lambda it: it)
    ),
    "EventEmitter.off": method("off"),
    "EventEmitter.once": method(
        "once", lambda _: lambda client, name, callback: client.on(name, callback)
    ),
    "ErrorHandler": Stub(
        "im_proto.errors:IMError.__init__", argument("server_text", lambda _: None)
    ),
    "Logger, level debug": unlogged(logging.DEBUG),
    "Logger, level info": unlogged(logging.INFO),
    "Logger, level warn": unlogged(logging.WARNING),
    "Logger, debug in development": Stub("im_runtime.client:read_environment", gives(False)),
    "Validator": Stub("im_proto:validate", lambda _: lambda rule, value: value),
    "MessageQueue, retries": Stub("im_proto.client.outgoing:Outbox.retry", NOTHING),
    "MessageQueue, priority": sent_with("priority", "normal"),
    "MessageQueue, sends after recovery": Stub("im_proto.client.sending:Sending.online", NOTHING),
    "HeartbeatManager, probes": Stub("im_proto.client.liveness:Liveness.due", gives(Beat.NOTHING)),
    "HeartbeatManager, a dead link": Stub(
        "im_proto.client.liveness:Liveness.unanswered", gives(Beat.PROBE)
    ),
    "ReconnectManager": Stub("im_proto.client.core:ClientCore._come_back", NOTHING),
    "ReconnectManager, fixed": strategy("linear"),
    "ReconnectManager, linear": strategy("exponential"),
    "ReconnectManager, exponential": strategy("fixed"),
    "SessionManager": Stub("im_proto.client.session_cache:SessionCache.keep", NOTHING),
    "SimpleConnectionManager": Stub("im_proto.client.core:ClientCore._close", NOTHING),
    "typed": Stub("im_proto.config:ClientConfig.from_web", argument("more", lambda _: {})),
}
