"""What a client is doing and why, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core import ClientCore


def explain(core: ClientCore, now: float, ref: int | None) -> str:
    """The state, its reason, the counts, and every deadline that is set.

    With `ref`: what is known of that message instead.
    """
    if ref is not None:
        return _explain_message(core, now, ref)
    state = core.state(now)
    lines = [f"{state.status}: {state.reason}."]
    if state.retry_in is not None:
        lines.append(f"Attempt {core.backoff.retries} starts in {state.retry_in:.1f} s.")
    if state.attempts:
        limit = core.config.reconnect.max_retries
        of = "" if limit is None else f" of {limit}"
        lines.append(f"{state.attempts}{of} attempts in a row have failed.")
    lines.extend(_wants(core))
    outbox = core.sending.outbox
    if len(outbox):
        lines.append(
            f"{len(outbox)} messages to send, {outbox.in_flight} of them in flight"
            + (", writing is blocked by the transport." if core.sending.blocked else ".")
        )
    if core.receiving.inbox.waiting:
        lines.append(
            f"{core.receiving.inbox.waiting} received messages are not handled "
            "by the application yet."
        )
    if core.paused:
        lines.append("Nothing more is read from the server until some of them are.")
    waits = [f"{timer.value} ({_when(deadline - now)})" for timer, deadline in core.timers.all()]
    if waits:
        lines.append(f"Waiting for: {', '.join(waits)}.")
    return " ".join(lines)


def _wants(core: ClientCore) -> list[str]:
    if core.login.state == "refused":
        return ["Only update_access_token() or connect() goes on."]
    if core.reconnect in ("halted", "exhausted", "idle"):
        return ["Only connect() goes on."]
    return []


def _when(seconds: float) -> str:
    return f"{seconds:.1f} s left" if seconds > 0 else "due"


def _explain_message(core: ClientCore, now: float, ref: int) -> str:
    message = core.sending.outbox.get(ref)
    if message is None:
        return f"Message {ref} is not pending: it has its end, or it is not this client's."
    who = f"Message {ref} to {message.to_user}"
    if message.state == "in_flight":
        return (
            f"{who} is in flight, handed over {now - message.sent_at:.1f} s ago"
            f" ({_times(message.sends)}); the server has not answered."
        )
    ahead = core.sending.outbox.ahead_of(message)
    parts = [f"{who} waits"]
    if message.state == "unconfirmed":
        lost = ": the link it went out on was lost" if message.unsure else ""
        parts.append(f"to be sent again{lost} ({_times(message.sends)})")
    if ahead:
        parts.append(f"behind {ahead} others of its conversation")
    resting = message.not_before is not None and message.not_before > now
    if message.not_before is not None and resting:
        parts.append(f"{message.not_before - now:.1f} s more, as the server failed on it")
    state = core.state(now)
    if state.status != "AUTHENTICATED":
        parts.append(f"for a log-in ({state.status}: {state.reason})")
    elif core.sending.blocked:
        parts.append("for the transport, which takes no more for now")
    elif not ahead and not resting:
        parts.append("for a place among the messages in flight")
    return f"{', '.join(parts)}."


def _times(sends: int) -> str:
    return "sent once" if sends == 1 else f"sent {sends} times"
