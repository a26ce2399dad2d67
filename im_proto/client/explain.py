"""What a client is doing and why, in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .message import Outgoing

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
    if core.sending.admission.line:
        lines.append(f"{len(core.sending.admission.line)} more wait for room in the outbox.")
    if core.receiving.inbox.waiting:
        lines.append(
            f"{core.receiving.inbox.waiting} received messages are not handled "
            "by the application yet."
        )
    if core.receiving.held:
        lines.append(
            f"It is not told of {core.receiving.held} events before the journal is written."
        )
    if core.paused:
        lines.append("Nothing more is read from the server until some of them are.")
    waits = [f"{timer.value} ({_when(deadline - now)})" for timer, deadline in core.timers.all()]
    if waits:
        lines.append(f"Waiting for: {', '.join(waits)}.")
    return " ".join(lines)


def _wants(core: ClientCore) -> list[str]:
    if core.login.state == "refused":
        return ["Only a new token, or connect(), goes on."]
    if core.reconnect in ("halted", "exhausted", "idle"):
        return ["Only connect() goes on."]
    return []


def _when(seconds: float) -> str:
    return f"{seconds:.1f} s left" if seconds > 0 else "due"


def _explain_message(core: ClientCore, now: float, ref: int) -> str:
    sending = core.sending
    message = sending.outbox.get(ref) or sending.admission.line.get(ref)
    if message is None:
        return f"Message {ref} is not pending: it has its end, or it is not this client's."
    who = f"Message {ref} to {message.to_user}"
    if message.state == "in_flight":
        return (
            f"{who} is in flight, handed over {now - message.sent_at:.1f} s ago"
            f" ({_times(message.sends)}); the server has not answered."
        )
    if ref in sending.admission.line:
        ahead = list(sending.admission.line).index(ref)
        reasons = iter(["for room in the outbox" + (f", behind {ahead} others" if ahead else "")])
    else:
        reasons = _what_it_waits_for(core, message, now)
    return f"{', '.join([f'{who} waits', *reasons])}.{_expires(core, message, now)}"


def _what_it_waits_for(core: ClientCore, message: Outgoing, now: float) -> Iterator[str]:
    sending = core.sending
    ahead = sending.outbox.ahead_of(message)
    if message.state == "unconfirmed":
        lost = ""
        if message.of_before:
            lost = ": an earlier process may have sent it"
        elif message.unsure:
            lost = ": the link it went out on was lost"
        yield f"to be sent again{lost} ({_times(message.sends)})"
    if (message.ticket or 0) > sending.recording.written:
        at = core.journaling.retry_at
        yield "for the journal" + (
            f", which can't be written and is tried again in {max(0.0, at - now):.1f} s"
            if at is not None
            else ""
        )
    if sending.status.asks_for(message):
        yield "for the server to say what became of it"
    elif sending.outbox.is_held(message.to_user):
        yield "for the server to say what became of others of its conversation"
    if ahead:
        yield f"behind {ahead} others of its conversation"
    resting = message.not_before is not None and message.not_before > now
    if message.not_before is not None and resting:
        yield f"{message.not_before - now:.1f} s more, as the server failed on it"
    state = core.state(now)
    if state.status != "AUTHENTICATED":
        yield f"for a log-in ({state.status}: {state.reason})"
    elif sending.blocked:
        yield "for the transport, which takes no more for now"
    elif not (
        ahead
        or resting
        or sending.outbox.is_held(message.to_user)
        or sending.outbox.has_turn(message)
    ):
        yield "for a place among the messages in flight"


def _expires(core: ClientCore, message: Outgoing, now: float) -> str:
    at = core.sending.expiry.at(message.ref) if message.handed_at is None else None
    return "" if at is None else f" It expires in {max(0.0, at - now):.1f} s."


def _times(sends: int) -> str:
    return "sent once" if sends == 1 else f"sent {sends} times"
