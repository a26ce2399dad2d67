"""The history of a session, or of everything between two users (protocol.md section 3).

It shows the messages that the store still holds, in the order of acceptance, the oldest first. A
page is counted from the message that it starts at, or from the newest ("before"), or from the
oldest ("after").
"""

from __future__ import annotations

from typing import Any

from ..wire import UserId, codes, id_on_wire
from .calls import DEEPEST, Call
from .rows import Message
from .session_rules import STATE_NUMBERS, other_of, state_of
from .session_view import NO_SESSION, Outcome, SessionView, Stretch


def history(call: Call, user: UserId, view: SessionView) -> Outcome:
    """Answer HISTORY; with a peer to whom nothing was ever said it is empty."""
    if call.peer_id is not None:
        stretch = Stretch((user, call.peer_id), None)
    else:
        assert call.session_id is not None
        session = view.session(call.session_id)
        if session is None or other_of(session, user) is None:
            return NO_SESSION
        stretch = Stretch((session.buyer, session.seller), session.id)
    before = call.direction == "before"
    if call.start_msg_id is not None:
        start = _start(call, stretch, view)
        if start is None:
            return Outcome(code=codes.NOT_FOUND, text="no such message to start at")
        stretch = stretch._replace(below=start) if before else stretch._replace(above=start)
    size = call.page_size
    found = list(
        view.history(
            stretch,
            newest_first=before,
            offset=(call.page - 1) * size,
            limit=size + 1,  # one more tells whether there is a next page
        )
    )
    messages = found[:size]
    if before:
        messages.reverse()
    return Outcome(
        code=codes.OK,
        data={
            "records": _records(messages, view),
            "total": view.count(stretch, DEEPEST),
            "size": size,
            "current": call.page,
            "hasNext": len(found) > size,
        },
    )


def _start(call: Call, stretch: Stretch, view: SessionView) -> int | None:
    assert call.start_msg_id is not None
    senders = set(stretch.two) if call.start_sender_id is None else {call.start_sender_id}
    found = [view.place((sender, call.start_msg_id)) for sender in senders]
    places = [
        place for session_id, place in filter(None, found) if _is_of(stretch, session_id, view)
    ]
    if not places:
        return None
    return max(places) if call.direction == "before" else min(places)


def _is_of(stretch: Stretch, session_id: int, view: SessionView) -> bool:
    if stretch.session_id is not None:
        return session_id == stretch.session_id
    session = view.session(session_id)
    return session is not None and {session.buyer, session.seller} == set(stretch.two)


def _records(messages: list[Message], view: SessionView) -> list[dict[str, Any]]:
    sessions = view.sessions({message.session_id for message in messages})
    delivered = {user: view.delivered(user) for user in {m.to_user for m in messages}}
    return [
        {
            "msgId": id_on_wire(m.msg_id),
            "sessionId": id_on_wire(m.session_id),
            "senderId": id_on_wire(m.sender),
            "receiverId": id_on_wire(m.to_user),
            "messageType": m.message_type,
            "content": m.content,
            "messageStatus": STATE_NUMBERS[
                state_of(m, delivered[m.to_user], sessions[m.session_id])
            ],
            "sendTime": m.timestamp,
        }
        for m in messages
    ]
