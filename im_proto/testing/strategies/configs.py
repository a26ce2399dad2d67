"""Strategies of what an engine is told: its configuration, and what time it is."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from ...config import ClientConfig, HeartbeatConfig, ReconnectConfig, ServerConfig, Timeouts

__all__ = ["client_configs", "clocks", "server_configs"]

#: Seconds; short ones, so that much happens within a run.
_durations: Final = st.sampled_from([0.05, 0.5, 1.0, 5.0, 30.0, 300.0]) | st.floats(0.01, 600.0)
_tags: Final = st.from_regex(r"[A-Za-z0-9_.:-]{1,16}", fullmatch=True)


def some_token() -> str:
    """A token function that can be pickled; an engine only asks whether there is one."""
    return "token"


@st.composite
def _reconnects(draw: st.DrawFn) -> ReconnectConfig:
    first, second = draw(_durations), draw(_durations)
    return ReconnectConfig(
        max_retries=draw(st.none() | st.integers(0, 5)),
        initial_delay=min(first, second),
        max_delay=max(first, second),
        strategy=draw(st.sampled_from(["fixed", "linear", "exponential"])),
        jitter=draw(st.sampled_from(["full", "none"])),
        stable_after=draw(st.just(0.0) | _durations),
    )


_heartbeats: Final = st.builds(
    HeartbeatConfig,
    interval=st.none() | _durations,
    timeout=st.none() | _durations,
    max_missed=st.none() | st.integers(1, 4),
)
_timeouts: Final = st.builds(
    Timeouts,
    connect=_durations,
    auth=_durations,
    token=_durations,
    ack=_durations,
    partial=_durations,
    close=_durations,
)
_urls: Final = st.sampled_from(
    [
        "ws://chat.example/ws",
        "wss://chat.example/ws?a=1",
        "ws://127.0.0.1:8080/ws",
        "wss://[::1]:8443/",
        "ws://chat.example",
    ]
)


def client_configs(**fixed: Any) -> st.SearchStrategy[ClientConfig]:
    """Configurations of a client, with small windows and queues so that their ends are met.

    Args:
        fixed: fields of `ClientConfig` that are always as given.
    """
    fields: dict[str, st.SearchStrategy[Any]] = {
        "ws_url": _urls,
        "token": st.sampled_from(["t0", some_token]),
        "user_id": st.sampled_from([1, 2**53 + 1, "bravo"]),
        "reconnect": _reconnects(),
        "heartbeat": _heartbeats,
        "timeouts": _timeouts,
        "proxy": st.none() | st.just("http://user:pass@proxy.example:3128"),
        "unix_path": st.none() | st.just("/run/chat.sock"),
        "extensions": st.sampled_from([True, True, True, False]),
        "device_id": st.none() | _tags,
        "headers": st.sampled_from([(), (("Origin", "https://shop.example"),)]),
        "in_flight": st.integers(1, 8),
        "max_queue": st.integers(1, 20),
        "max_queue_bytes": st.sampled_from([1024, 16_777_216]),
        "when_queue_full": st.sampled_from(["reject", "drop_oldest", "drop_lowest_priority"]),
        "time_to_live": st.none() | _durations,
        "keys_kept": _durations,
        "content_units": st.sampled_from([5, 1000]),
        "message_bytes": st.sampled_from([1024, 65_536]),
        "max_unhandled": st.integers(1, 6) | st.just(1000),
        "when_full": st.sampled_from(["block", "drop_oldest"]),
        "ack": st.sampled_from(["auto", "manual"]),
        "handler_attempts": st.integers(1, 4),
        "sleep_watch": st.none() | _durations,
        "known_pairs": st.integers(0, 6),
        "resend_when_unsure": st.booleans(),
        "max_sends": st.integers(1, 5),
    }
    drawn = {name: strategy for name, strategy in fields.items() if name not in fixed}
    # the two name one place to connect to; they don't go together
    return st.fixed_dictionaries(drawn).map(lambda made: _client_config(fixed | made, fixed))


def _client_config(fields: dict[str, Any], fixed: dict[str, Any]) -> ClientConfig:
    if fields["proxy"] is not None and fields["unix_path"] is not None:
        fields["proxy" if "proxy" not in fixed else "unix_path"] = None
    return ClientConfig(**fields)


def server_configs(**fixed: Any) -> st.SearchStrategy[ServerConfig]:
    """Configurations of a server, with small windows and batches so that their ends are met.

    Args:
        fixed: fields of `ServerConfig` that are always as given.
    """
    fields: dict[str, st.SearchStrategy[Any]] = {
        "path": st.sampled_from(["/ws", "/"]),
        "handshake_timeout": _durations,
        "auth_timeout": _durations,
        "heartbeat_interval": _durations,
        "heartbeat_timeout": _durations,
        "idle_intervals": st.floats(1, 5),
        "close_timeout": _durations,
        "partial_timeout": _durations,
        "stall_timeout": _durations,
        "drain_timeout": _durations,
        "origins": st.sampled_from([(), ("https://shop.example",), ("*",)]),
        "hosts": st.sampled_from([None, ("server",)]),
        "trusted_proxies": st.sampled_from([(), ("192.0.2.0/24", "10.0.0.0/8")]),
        "message_bytes": st.sampled_from([1024, 65_536]),
        "auth_bytes": st.sampled_from([1024, 20_480]),
        "message_frames": st.sampled_from([2, 64]),
        "handshake_bytes": st.sampled_from([1024, 8192]),
        "handshake_headers": st.sampled_from([10, 64]),
        "control_rate": st.sampled_from([1.0, 20.0]),
        "control_burst": st.sampled_from([3, 50]),
        "batch": st.integers(1, 8),
        "content_units": st.sampled_from([5, 1000]),
        "connections": st.sampled_from([100, 100, 100, 2]),
        "connections_per_address": st.sampled_from([100, 100, 100, 2]),
        "arrivals_per_address": st.sampled_from([10.0, 0.5]),
        "arrivals_burst": st.sampled_from([200, 2]),
        "fault_arrivals": st.sampled_from([10, 0]),
        "unauthenticated": st.sampled_from([100, 100, 100, 1]),
        "unauthenticated_per_address": st.sampled_from([100, 100, 100, 1]),
        "connections_per_user": st.sampled_from([100, 100, 2]),
        "admissions": st.sampled_from([100, 100, 2]),
        "admissions_per_address": st.sampled_from([100, 100, 2]),
        "bad_tokens_per_address": st.sampled_from([10.0, 0.5]),
        "bad_tokens_burst": st.sampled_from([100, 2]),
        "admission_window": st.sampled_from([0.1, 5.0]),
        "messages_per_second": st.sampled_from([100.0, 0.5]),
        "message_burst": st.sampled_from([1000, 1000, 20]),
        "envelopes_per_second": st.sampled_from([500.0, 0.5]),
        "envelope_burst": st.sampled_from([2000, 2000, 10]),
        "blocked_bytes": st.sampled_from([1024, 65_536]),
        "in_flight": st.integers(1, 8),
        "unacked": st.integers(1, 8),
        "dedupe_seconds": _durations,
        "commit_batch": st.sampled_from([*range(1, 9), 16]),
        "commit_time": st.sampled_from([0.01, 10.0]),
        "first_login": st.sampled_from(["oldest", "latest"]),
        "session_lifetime": st.none() | _durations,
        "devices_per_user": st.sampled_from([64, 64, 2]),
        "retention_age": st.none() | _durations,
        "retention_count": st.none() | st.integers(1, 8),
        "retention_interval": _durations,
        "expiry_notice": _durations,
        "offline_after": _durations,
        "authorization_kept": st.none() | _durations,
        "history_page": st.integers(1, 8),
    }
    drawn = {name: strategy for name, strategy in fields.items() if name not in fixed}
    return st.fixed_dictionaries(drawn).map(lambda made: ServerConfig(**(made | fixed)))


#: Differences between two readings: standing still, a moment, past a timeout, a night, backwards.
_steps: Final = st.one_of(
    st.sampled_from([0.0, 0.0, 0.001, 0.5, 1.5, 6.0, 31.0, 400.0, 30_000.0, -0.001, -3.0, -5000.0]),
    st.floats(0, 60),
)


def clocks(
    *, start: float = 1_000.0, min_size: int = 0, max_size: int = 20
) -> st.SearchStrategy[list[float]]:
    """Readings of a clock that is no good: `now` for a row of steps, in seconds. It jumps, stands
    still and goes back; an engine takes a clock that goes back as standing still.

    Args:
        start: the first reading is this, or a step away from it.
        min_size, max_size: how many readings.
    """

    def add_up(steps: list[float]) -> list[float]:
        now, readings = start, []
        for step in steps:
            now = max(0.0, now + step)
            readings.append(now)
        return readings

    return st.lists(_steps, min_size=min_size, max_size=max_size).map(add_up)
