"""Strategies of everything that can happen to an engine, one for each class of input.

Ids are small numbers, so that an answer now fits the question that was asked last and now is
stale. `CLIENT_INPUTS` and `SERVER_INPUTS` have a strategy for every class; the functions below
them mix those that one engine takes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar, get_args

from hypothesis import strategies as st

from ...client import inputs as ci
from ...server import inputs as si
from ...server import records, talk
from ...wire.extensions import SentState
from ...wire.session import SessionOp
from .streams import byte_streams, garbage_bytes
from .wire import (
    client_messages,
    contents,
    frames,
    garbage_frames,
    ids,
    json_values,
    server_messages,
    user_ids,
)

__all__ = [
    "CLIENT_INPUTS",
    "SERVER_INPUTS",
    "client_core_inputs",
    "client_inputs",
    "server_engine_inputs",
    "server_inputs",
    "session_answers",
]

_T = TypeVar("_T")


def _of(model: type[_T], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[_T]:
    return st.builds(model, **fields)


_small: Final = st.integers(0, 4)
_words: Final = st.text(max_size=20)
_wall: Final = st.floats(0, 4e9)
_tokens: Final = st.sampled_from(["t1", "t2", "", "x" * 9000, "\ud800"])
_close_codes: Final = st.sampled_from(
    [1000, 1001, 1002, 1005, 1006, 1007, 1008, 1009, 1012, 1013, 4001, 4002, 4003, 4004, 4009]
) | st.integers(1000, 4999)
#: What a Violation may ask to be closed with.
_violation_codes: Final = st.sampled_from([1002, 1003, 1007, 1008, 1009])
_statuses: Final = st.sampled_from([200, 301, 400, 401, 403, 404, 426, 429, 500, 503])
_seconds: Final = st.none() | st.floats(0, 3600)
_kinds: Final = st.sampled_from(["text", "image", "", "x" * 65, "\n"])
_recipients: Final = user_ids | st.sampled_from([0, -1, "", "\n"])
_said: Final = contents | st.sampled_from(["", " ", "x" * 1001, "\x00", "\ud800", "😀" * 600])


def _texts(role: str) -> st.SearchStrategy[str]:
    good = server_messages if role == "client" else client_messages
    return frames(good, batch=4) | garbage_frames


_to_client: Final = st.one_of(byte_streams(role="server").map(lambda s: s.data), garbage_bytes)
_to_server: Final = st.one_of(byte_streams(role="client").map(lambda s: s.data), garbage_bytes)
_session: Final = st.fixed_dictionaries(
    {"id": ids, "bookId": st.integers(0, 3), "buyerId": user_ids, "sellerId": user_ids},
    optional={"sessionStatus": st.integers(0, 4), "buyerReaded": st.booleans() | st.integers(0, 9)},
)
#: Bodies that answer a call about sessions, good ones and others (protocol.md section 3).
session_answers: Final[st.SearchStrategy[bytes]] = st.one_of(
    st.fixed_dictionaries(
        {
            "code": st.sampled_from([0, 200, 400, 40100, 40400, 50000]),
            "data": st.one_of(
                st.none(), ids, _session, st.lists(_session, max_size=3), json_values
            ),
            "message": st.text(max_size=20),
        }
    ).map(lambda answer: json.dumps(answer).encode()),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=40),
)

#: Everything that can happen to a `ClientEngine` or a `ClientCore`, by class. What the
#: application says may be wrong, too: those inputs are refused with an exception.
CLIENT_INPUTS: Final[Mapping[type, st.SearchStrategy[Any]]] = {
    ci.Connect: _of(ci.Connect),
    ci.Disconnect: _of(ci.Disconnect),
    ci.Send: _of(
        ci.Send,
        ref=st.integers(1, 9),
        to_user=_recipients,
        content=_said,
        message_type=_kinds,
        session_id=st.none() | ids | st.sampled_from([0, 2**63]),
        priority=st.sampled_from(["high", "normal", "low"]),
        key=st.sampled_from([None, None, "k1", "k2", "", "x" * 300]),
        ttl=st.sampled_from([None, None, 0.5, 60.0, 0.0, -1.0, float("nan")]),
        wait=st.booleans(),
    ),
    ci.Cancel: _of(ci.Cancel, ref=st.integers(1, 9)),
    ci.MessageHandled: _of(ci.MessageHandled, delivery=_small, ok=st.booleans()),
    ci.MarkRead: _of(ci.MarkRead, from_user=_recipients, msg_id=ids | st.sampled_from([0, 2**63])),
    ci.SetTyping: _of(ci.SetTyping, to_user=_recipients, active=st.booleans()),
    ci.JournalWritten: _of(ci.JournalWritten, request=_small),
    ci.JournalFailed: _of(ci.JournalFailed, request=_small, reason=_words),
    ci.MessageTaken: _of(ci.MessageTaken, delivery=_small),
    ci.SessionCall: _of(
        ci.SessionCall,
        ref=st.integers(1, 9),
        op=st.sampled_from(SessionOp),
        session_id=st.none() | ids,
        book_id=st.none() | st.integers(-1, 3),
        buyer_id=st.none() | _recipients,
        seller_id=st.none() | _recipients,
        peer_id=st.none() | _recipients,
        start_msg_id=st.none() | ids,
        direction=st.sampled_from(["before", "after"]),
        page_size=st.integers(-1, 3) | st.just(10**6),
    ),
    ci.HttpAnswered: _of(
        ci.HttpAnswered,
        request=_small,
        status=_statuses,
        body=session_answers,
        retry_after=_seconds,
    ),
    ci.HttpFailed: _of(ci.HttpFailed, request=_small, reason=_words),
    ci.UpdateToken: _of(ci.UpdateToken, token=_tokens),
    ci.TokenReady: _of(ci.TokenReady, request=_small, token=_tokens),
    ci.TokenFailed: _of(ci.TokenFailed, request=_small, reason=_words),
    ci.TransportOpened: _of(ci.TransportOpened, transport=_small),
    ci.TlsStarted: _of(ci.TlsStarted, transport=_small),
    ci.TransportFailed: _of(
        ci.TransportFailed,
        transport=_small,
        kind=st.sampled_from(ci.TransportFailure),
        reason=_words,
    ),
    ci.TransportLost: _of(ci.TransportLost, transport=_small, reason=_words),
    ci.BytesReceived: _of(ci.BytesReceived, transport=_small, data=_to_client),
    ci.WriteBlocked: _of(ci.WriteBlocked, transport=_small),
    ci.WriteReady: _of(ci.WriteReady, transport=_small),
    ci.NetworkChanged: _of(ci.NetworkChanged),
    ci.WallClock: _of(ci.WallClock, wall=_wall),
    ci.TimePassed: _of(ci.TimePassed, wall=st.none() | _wall),
    ci.LinkOpened: _of(ci.LinkOpened, transport=_small, capable=st.booleans()),
    ci.LinkRefused: _of(
        ci.LinkRefused, transport=_small, status=_statuses, retry_after=_seconds, reason=_words
    ),
    ci.TextReceived: _of(ci.TextReceived, transport=_small, text=_texts("client")),
    ci.ControlReceived: _of(ci.ControlReceived, transport=_small),
    ci.PartialChanged: _of(ci.PartialChanged, transport=_small, partial=st.booleans()),
    ci.PeerClosed: _of(ci.PeerClosed, transport=_small, code=_close_codes, reason=_words),
    ci.FramingViolated: _of(
        ci.FramingViolated, transport=_small, code=_violation_codes, reason=_words
    ),
}


def client_inputs() -> st.SearchStrategy[ci.Input]:
    """Any input of a `ClientEngine`."""
    return st.one_of(*(CLIENT_INPUTS[kind] for kind in get_args(ci.Input)))


def client_core_inputs() -> st.SearchStrategy[ci.CoreInput]:
    """Any input of a `ClientCore`, which takes whole text messages instead of bytes."""
    return st.one_of(*(CLIENT_INPUTS[kind] for kind in get_args(ci.CoreInput)))


_seqs: Final = st.integers(1, 9)
_users: Final = st.sampled_from([1, 2, 3, "bravo"])
_millis: Final = st.integers(0, 2**52)
#: Of requests that no hub has asked: an answer to a live one must fit it.
_requests: Final = st.integers(10**9, 10**9 + 3)
_results: Final = st.one_of(
    _of(
        records.Stored,
        key=_small,
        to_user=_users,
        seq=_seqs,
        timestamp=_millis,
        repeat=st.booleans(),
    ),
    _of(records.Conflicting, key=_small),
    _of(records.Fenced, key=_small),
    _of(records.Unstorable, key=_small, reason=_words),
    _of(records.Held, key=_small),
    _of(records.Refused, key=_small, code=st.sampled_from([40300, 40400]), reason=_words),
)
_moves: Final = _of(
    records.CursorMove,
    user=_users,
    device=st.sampled_from(["", "d0", "d1"]),
    generation=_small,
    seq=_small,
)
_marks: Final = _of(records.Marked, key=_small, found=st.sampled_from([True, False, None]))
_entries: Final = st.one_of(
    _of(
        records.MailboxEntry,
        seq=_seqs,
        from_user=_users,
        to_user=_users,
        msg_id=ids,
        content=contents,
        message_type=st.just("text"),
        session_id=st.none() | ids,
        timestamp=_millis,
        device=st.sampled_from(["", "d0", "d1"]),
    ),
    _of(
        records.ReceiptEntry,
        seq=_seqs,
        msg_ids=st.lists(ids, min_size=1, max_size=3).map(tuple),
        user=_users,
        status=st.sampled_from(["delivered", "read"]),
        session_id=st.none() | ids,
        timestamp=_millis,
    ),
    _of(records.ReadSyncEntry, seq=_seqs, from_user=_users, msg_id=ids),
)
_status_items: Final = _of(
    records.StatusItem,
    msg_id=ids,
    status=st.sampled_from(get_args(SentState)),
    timestamp=st.none() | _millis,
)
_pairs: Final = st.lists(st.tuples(_users, _users), max_size=2).map(tuple)
_logins: Final = _of(
    records.Login,
    generation=_small,
    last_msg_id=_small,
    cursor=st.none() | _small,
    epoch=st.sampled_from(["e0", "e1"]),
    head=_small,
    oldest=_seqs,
    resume_entry=st.none() | st.tuples(_users, ids),
)
_talks: Final = st.one_of(
    _of(
        talk.LoggedIn,
        last_msg_id=_small,
        epoch=st.sampled_from(["e0", "e1"]),
        resume=st.sampled_from([None, "recovered", "reset"]),
        base=_small,
        oldest=_seqs,
    ),
    _of(
        talk.Answer,
        msg_id=ids,
        code=st.sampled_from([0, 400, 403, 40900]),
        text=st.none() | _words,
        timestamp=st.none() | _millis,
        session_id=st.none() | ids,
    ),
    _of(talk.Push, entries=st.lists(_entries, min_size=1, max_size=3).map(tuple)),
    _of(talk.PushUnstored, from_user=_users, msg_id=ids, content=contents, timestamp=_millis),
    _of(
        talk.Synced,
        recovered=st.booleans(),
        oldest=_seqs,
        epoch=st.sampled_from(["e0", "e1"]),
    ),
    _of(talk.ReadAnswer, msg_id=ids, code=st.sampled_from([0, 40400]), text=_words),
    _of(talk.StatusTold, items=st.lists(_status_items, max_size=3).map(tuple)),
    _of(talk.TypingTold, from_user=_users, active=st.booleans()),
    _of(talk.PresenceTold, user=_users, online=st.booleans(), last_seen=st.none() | _millis),
    _of(
        talk.CallAnswered,
        id=st.text("abc", min_size=1, max_size=4),
        code=st.sampled_from([0, 400, 40400]),
        data=st.none() | ids,
        text=_words,
    ),
    _of(talk.Pause, why=st.sampled_from(talk.Why), paused=st.booleans()),
    _of(talk.Welcome),
    _of(talk.Admitted),
    _of(
        talk.End,
        code=st.sampled_from([1008, 1012, 1013, 4004, 4008, 4009]),
        reason=_words,
        reconnect=st.booleans(),
        retry_after=_seconds,
    ),
    _of(talk.Drain),
)

_hosts: Final = st.sampled_from([None, "server", "Server:80", "[::1]:8080", "other"])
_origins: Final = st.sampled_from(
    [None, "null", "http://server", "https://SERVER", "https://shop.example", "a b"]
)
_addresses: Final = st.sampled_from(["192.0.2.1", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.1"])

#: Everything that can happen to a `Gateway` or a `ServerEngine`, by class.
SERVER_INPUTS: Final[Mapping[type, st.SearchStrategy[Any]]] = {
    si.ConnectionMade: _of(si.ConnectionMade, connection=_small, peer=_addresses | _words),
    si.BytesReceived: _of(si.BytesReceived, connection=_small, data=_to_server),
    si.ConnectionLost: _of(si.ConnectionLost, connection=_small, reason=_words),
    si.WriteBlocked: _of(si.WriteBlocked, connection=_small),
    si.WriteReady: _of(si.WriteReady, connection=_small),
    si.TokenVerified: _of(
        si.TokenVerified,
        connection=_small,
        user=_users,
        username=st.none() | _words,
        roles=st.sampled_from([frozenset(), frozenset({"broadcast"})]),
        expires_in=_seconds,
        show_last_seen=st.booleans(),
    ),
    si.TokenRefused: _of(
        si.TokenRefused,
        connection=_small,
        code=st.sampled_from([40100, 40101, 403, 50000, 2**40]),
        reason=_words,
    ),
    si.Committed: _of(
        si.Committed,
        request=_requests,
        results=st.lists(_results, max_size=3).map(tuple),
        marks=st.lists(_marks, max_size=2).map(tuple),
        heads=st.lists(st.tuples(_users, _seqs), max_size=2).map(tuple),
        acquainted=_pairs,
        fenced=st.lists(_moves, max_size=2).map(tuple),
    ),
    si.LoginStored: _of(si.LoginStored, request=_requests, login=_logins),
    si.ReadDone: _of(
        si.ReadDone,
        request=_requests,
        entries=st.lists(_entries, max_size=3).map(tuple),
        head=_small,
    ),
    si.StatusFound: _of(
        si.StatusFound, request=_requests, items=st.lists(_status_items, max_size=3).map(tuple)
    ),
    si.CallDone: _of(
        si.CallDone,
        request=_requests,
        code=st.sampled_from([0, 400, 40400]),
        data=st.none() | ids,
        text=_words,
        acquainted=_pairs,
    ),
    si.PeersFound: _of(
        si.PeersFound,
        request=_requests,
        peers=st.lists(st.tuples(_users, st.none() | _millis), max_size=3).map(tuple),
    ),
    si.Retained: _of(
        si.Retained,
        request=_requests,
        oldest=st.lists(st.tuples(_users, _seqs), max_size=2).map(tuple),
        more=st.booleans(),
    ),
    si.RevocationStored: _of(si.RevocationStored, request=_requests),
    si.StoreFailed: _of(si.StoreFailed, request=_requests, reason=_words),
    si.Authorized: _of(
        si.Authorized, request=_requests, allowed=st.sampled_from([True, False, None])
    ),
    si.SendAsked: _of(
        si.SendAsked,
        request=_small,
        from_user=_users,
        to_user=_users,
        content=_said,
        message_type=_kinds,
        session_id=st.none() | ids,
        msg_id=st.none() | ids,
    ),
    si.CallAsked: _of(
        si.CallAsked,
        request=_small,
        user=_users,
        op=st.sampled_from(SessionOp).map(str) | _words,
        params=st.dictionaries(
            st.sampled_from(["sessionId", "bookId", "buyerId", "sellerId", "userId", "peerId"]),
            json_values,
            max_size=4,
        ),
    ),
    si.KickAsked: _of(
        si.KickAsked,
        user=_users,
        device=st.sampled_from([None, "d0"]),
        reason=_words,
        reconnect=st.booleans(),
        retry_after=_seconds,
    ),
    si.RevokeAsked: _of(si.RevokeAsked, request=_small, user=_users, reason=_words),
    si.TimePassed: _of(si.TimePassed),
    si.WallClock: _of(si.WallClock, wall=_wall),
    si.Shutdown: _of(si.Shutdown, reason=_words, retry_after=_seconds),
    si.UpgradeAsked: _of(
        si.UpgradeAsked,
        connection=_small,
        target=st.sampled_from(["/ws", "/ws?a=1", "/", "/no"]),
        host=_hosts,
        origin=_origins,
        forwarded=st.lists(_addresses | _words, max_size=3).map(tuple),
    ),
    si.TextReceived: _of(si.TextReceived, connection=_small, text=_texts("server")),
    si.BinaryReceived: _of(si.BinaryReceived, connection=_small),
    si.ControlReceived: _of(
        si.ControlReceived,
        connection=_small,
        pong=st.none() | st.binary(max_size=125) | _small.map(lambda n: str(n).encode()),
    ),
    si.PartialChanged: _of(si.PartialChanged, connection=_small, partial=st.booleans()),
    si.PeerClosed: _of(si.PeerClosed, connection=_small, code=_close_codes),
    si.FramingViolated: _of(
        si.FramingViolated, connection=_small, code=_violation_codes, reason=_words
    ),
    talk.SendTo: _of(talk.SendTo, connection=_small, said=st.lists(_talks, min_size=1, max_size=3)),
}


def server_inputs() -> st.SearchStrategy[si.Input]:
    """Any input of a `Gateway`.

    The store's answers among them are stale: one to a question that was asked has to fit it, which
    `im_proto.testing.memory.MemoryStore` and `ServerEngineMachine` see to.
    """
    return st.one_of(*(SERVER_INPUTS[kind] for kind in get_args(si.Input)))


def server_engine_inputs() -> st.SearchStrategy[si.BytesReceived | si.CoreInput]:
    """Any input of a `ServerEngine` but FramingViolated and the like, which its framing makes.

    It believes what the hub says (`SendTo`), in whatever order.
    """
    made_inside = {
        si.UpgradeAsked,
        si.TextReceived,
        si.BinaryReceived,
        si.ControlReceived,
        si.PartialChanged,
        si.PeerClosed,
        si.FramingViolated,
    }
    kinds = [kind for kind in get_args(si.CoreInput) if kind not in made_inside]
    return st.one_of(SERVER_INPUTS[si.BytesReceived], *(SERVER_INPUTS[kind] for kind in kinds))
