"""Configuration: a mistake is told at construction, by name, and no secret shows."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from pydantic import ValidationError

from im_proto.config import (
    ClientConfig,
    HeartbeatConfig,
    ReconnectConfig,
    ServerConfig,
    Timeouts,
)

BASE: dict[str, Any] = {"ws_url": "ws://h/ws", "token": "secret-token", "user_id": 1}
WEB: dict[str, Any] = {"wsUrl": "wss://h/ws", "token": "t", "userId": "7"}


def config(**fields: Any) -> ClientConfig:
    return ClientConfig.model_validate(BASE | fields)


def test_the_defaults_are_those_that_are_documented() -> None:
    c = config()
    assert (c.reconnect.initial_delay, c.reconnect.max_delay) == (1, 30)
    assert (c.reconnect.strategy, c.reconnect.jitter) == ("exponential", "full")
    assert c.reconnect.max_retries is None
    assert c.heartbeat == HeartbeatConfig(interval=None, timeout=None, max_missed=None)
    assert (c.dialect, c.extensions, c.resend_when_unsure) == ("invocation", True, True)
    assert c.content_units == 1000


@pytest.mark.parametrize(
    ("url", "host", "port", "header", "target", "secure"),
    [
        ("ws://h/ws", "h", 80, "h", "/ws", False),
        ("wss://h/ws", "h", 443, "h", "/ws", True),
        ("ws://h:8080", "h", 8080, "h:8080", "/", False),
        ("wss://h:443/a/b?c=1&d=2", "h", 443, "h", "/a/b?c=1&d=2", True),
        ("ws://h:443/", "h", 443, "h:443", "/", False),
        ("ws://[::1]:8080/ws", "::1", 8080, "[::1]:8080", "/ws", False),
        ("ws://[2001:db8::1]/ws", "2001:db8::1", 80, "[2001:db8::1]", "/ws", False),
        ("ws://h?x=1", "h", 80, "h", "/?x=1", False),
    ],
)
def test_an_url_is_taken_apart(
    url: str, host: str, port: int, header: str, target: str, secure: bool
) -> None:
    c = config(ws_url=url)
    assert (c.host, c.port, c.host_header, c.target, c.secure) == (
        host,
        port,
        header,
        target,
        secure,
    )


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://h/ws", "ws://"),
        ("h/ws", "ws://"),
        ("", "ws://"),
        ("ws://", "host"),
        ("ws:///ws", "host"),
        ("ws://user:pw@h/ws", "user or password"),
        ("ws://h/ws#part", "fragment"),
        ("ws://h/a b", "spaces"),
        ("ws://h/\u6c49", "non-ASCII"),
        ("ws://h/a\r\nX: y", "control"),
        ("ws://h:99999/", "ort"),
        ("ws://h:port/", "ort"),
        ("ws://[::1/", ""),
    ],
)
def test_a_wrong_url_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(ValidationError, match="ws_url") as caught:
        config(ws_url=url)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("given", "taken"),
    [(1, 1), ("1", 1), ("bravo", "bravo"), ("007", "007"), ("7.0", "7.0"), (2**63 - 1,) * 2],
)
def test_a_user_id_is_a_number_or_a_name(given: object, taken: object) -> None:
    assert config(user_id=given).user_id == taken


@pytest.mark.parametrize("given", [0, -1, 2**63, "", "a\nb", "x" * 129, None, 1.0, True, b"1"])
def test_what_is_no_user_id_is_refused(given: object) -> None:
    with pytest.raises(ValidationError, match="user_id"):
        config(user_id=given)


async def fetch_slowly() -> str:
    return "t"


@pytest.mark.parametrize("token", ["t", "x" * 8192, str, fetch_slowly, lambda: "t"])
def test_a_token_is_a_string_or_a_function(token: object) -> None:
    assert config(token=token).token is token


@pytest.mark.parametrize("token", ["", "x" * 8193, None, 7])
def test_what_is_no_token_is_refused(token: object) -> None:
    with pytest.raises(ValidationError, match="token"):
        config(token=token)


def test_no_secret_shows_in_a_repr_or_in_an_error() -> None:
    c = config(headers=(("X-Key", "hidden-value"),))
    assert "secret-token" not in repr(c) + str(c)
    assert "hidden-value" not in repr(c) + str(c)
    with pytest.raises(ValidationError) as caught:
        config(token="secret-token" * 1000, ws_url="ws://me:secret-pw@h/")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"tokn": "x"},
        {"reconnect": {"max_retry": 3}},
        {"reconnect": {"initial_delay": 0}},
        {"reconnect": {"initial_delay": -1}},
        {"reconnect": {"initial_delay": float("nan")}},
        {"reconnect": {"max_delay": float("inf")}},
        {"reconnect": {"initial_delay": 5, "max_delay": 4}},
        {"reconnect": {"max_retries": -1}},
        {"reconnect": {"strategy": "random"}},
        {"reconnect": {"jitter": "half"}},
        {"heartbeat": {"interval": 0}},
        {"heartbeat": {"timeout": -5}},
        {"heartbeat": {"max_missed": 0}},
        {"timeouts": {"connect": 0}},
        {"timeouts": {"ack": float("inf")}},
        {"dialect": "xmpp"},
        {"in_flight": 0},
        {"max_queue": 0},
        {"max_sends": 0},
        {"content_units": 0},
        {"message_bytes": 10},
        {"known_pairs": -1},
        {"extensions": "perhaps"},
    ],
    ids=str,
)
def test_a_mistake_is_told_by_name(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        config(**fields)
    assert next(iter(fields)) in str(caught.value)


def test_a_configuration_does_not_change() -> None:
    c = config()
    for part, name in ((c, "token"), (c.reconnect, "max_delay"), (c.timeouts, "ack")):
        with pytest.raises(ValidationError):
            setattr(part, name, "x")


def test_a_configuration_can_be_copied_and_pickled() -> None:
    c = config(headers=(("A", "b"),), reconnect=ReconnectConfig(max_retries=3))
    assert pickle.loads(pickle.dumps(c)) == c
    assert c.model_copy(update={"timeouts": Timeouts(ack=1)}).timeouts.ack == 1


# ---------------------------------------------------------------- from_web


def test_from_web_has_the_originals_defaults() -> None:
    c = ClientConfig.from_web(WEB)
    assert c.reconnect.max_retries == 5
    assert (c.reconnect.initial_delay, c.reconnect.max_delay) == (1.0, 30.0)
    assert (c.heartbeat.interval, c.heartbeat.timeout) == (30.0, 5.0)
    assert (c.ws_url, c.token, c.user_id) == ("wss://h/ws", "t", 7)


def test_from_web_takes_milliseconds() -> None:
    c = ClientConfig.from_web(
        WEB
        | {
            "reconnect": {
                "maxRetries": 0,
                "initialDelay": 250,
                "maxDelay": 1500,
                "strategy": "linear",
            },
            "heartbeat": {"interval": 10_000, "timeout": 100},
        },
        max_queue=7,
    )
    assert c.reconnect == ReconnectConfig(
        max_retries=0, initial_delay=0.25, max_delay=1.5, strategy="linear"
    )
    assert c.heartbeat == HeartbeatConfig(interval=10, timeout=0.1)
    assert c.max_queue == 7


@pytest.mark.parametrize("part", ["reconnect", "heartbeat"])
def test_from_web_takes_a_missing_part_for_its_defaults(part: str) -> None:
    assert ClientConfig.from_web(WEB | {part: None}) == ClientConfig.from_web(WEB)
    assert ClientConfig.from_web(WEB | {part: {}}) == ClientConfig.from_web(WEB)


def test_more_fields_win_over_the_webs() -> None:
    assert ClientConfig.from_web(WEB, token="mine").token == "mine"


@pytest.mark.parametrize(
    ("web", "why"),
    [
        ({"wsURL": "ws://h"}, "wsURL"),
        ({"reconnect": {"max_retries": 5}}, "max_retries"),
        ({"heartbeat": {"maxMissed": 5}}, "maxMissed"),
        ({"reconnect": {"initialDelay": "1s"}}, "initialDelay"),
        ({"heartbeat": {"interval": True}}, "interval"),
        ({"reconnect": {"initialDelay": -1}}, "initial_delay"),
        ({"token": None}, "token"),
        ({"wsUrl": None}, "ws_url"),
    ],
)
def test_what_the_original_does_not_know_is_refused_by_name(web: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ClientConfig.from_web(WEB | web)


# ---------------------------------------------------------------- the server's


def test_the_servers_defaults_hold_together() -> None:
    c = ServerConfig()
    assert c.idle_intervals * c.heartbeat_interval >= 90
    assert c.dedupe_seconds >= 86_400


@pytest.mark.parametrize(
    "fields",
    [{"path": "ws"}, {"path": "/a b"}, {"idle_intervals": 0.5}, {"batch": 0}, {"unacked": 0}],
    ids=str,
)
def test_a_mistake_in_the_servers_is_told_too(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(fields))):
        ServerConfig(**fields)


def test_the_scheme_may_be_written_in_any_case_and_stays_secure() -> None:
    config = ClientConfig(ws_url="WSS://h/ws", token="t", user_id=1)
    assert config.secure and config.port == 443


@pytest.mark.parametrize(
    "headers", [{"X": "https://x "}, {"Host": "x"}, {"X": "ü"}, {"a b": "x"}, {"X": "a\r\nb"}]
)
def test_headers_are_checked_when_they_are_given(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ClientConfig(ws_url="ws://h/ws", token="t", user_id=1, headers=headers)


def test_headers_may_be_a_mapping() -> None:
    config = ClientConfig(ws_url="ws://h/ws", token="t", user_id=1, headers={"X-Trace": "1"})
    assert config.headers == (("X-Trace", "1"),)


def test_a_token_is_text() -> None:
    with pytest.raises(ValidationError):
        ClientConfig(ws_url="ws://h/ws", token="a\udcff", user_id=1)


def test_sessions_are_not_asked_for_in_clear_text_beside_a_secure_connection() -> None:
    given = {"token": "t", "user_id": 1, "http": {"base_url": "http://chat.example"}}
    with pytest.raises(ValidationError, match="in clear text"):
        ClientConfig(ws_url="wss://chat.example/ws", **given)
    ClientConfig(ws_url="ws://chat.example/ws", **given)
