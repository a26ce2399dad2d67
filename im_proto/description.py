"""The protocol as plain data, for clients in other languages: docs/protocol.json.

Everything is read off the code that runs: messages, machines, codes, closes, timers, constants,
defaults, and what goes into and comes out of a client's engine. Only the meanings of error codes
are written down here. `im_proto.shapes` says how a type is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from . import machines, timers
from .client import (
    actions,
    admission,
    backoff,
    calling,
    effects,
    ending,
    ends,
    events,
    expiry,
    hearing,
    inputs,
    journal,
    journaling,
    life,
    lifecycle,
    liveness,
    login,
    receiving,
    refresh,
    session_cache,
    session_calls,
    session_http,
    sessions,
    status,
    turns,
    welcome,
)
from .client import timers as client_timers
from .config import ClientConfig, HeartbeatConfig, HttpConfig, ReconnectConfig, ServerConfig
from .config import Timeouts as ClientTimeouts
from .errors import RETRYABLE, TERMINAL, IMErrorCode
from .handshake import CAPABILITIES_HEADER
from .machines.product import RULES
from .server import timers as server_timers
from .shapes import Shape, Shapes, plain, words
from .wire import CLIENT_MESSAGES, DIALECTS, SERVER_MESSAGES, codes, extensions, messages, outcome
from .wire import closes as ends_of_links
from .wire import session as wire_session
from .wire import types as wire_types

#: Gives the source of a class, for what stands beside its parts in it: `inspect.getsource`.
Source = Callable[[type], str]

#: What each error code means.
MEANINGS: Final[Mapping[IMErrorCode, str]] = {
    IMErrorCode.CONNECTION_FAILED: "no link could be had",
    IMErrorCode.CONNECTION_TIMEOUT: "no link, or no log-in, in time",
    IMErrorCode.CONNECTION_LOST: "the link has ended",
    IMErrorCode.RECONNECT_FAILED: "so many attempts in a row have failed that the client gives up",
    IMErrorCode.AUTH_FAILED: "the server, or what stands before it, refuses the log-in",
    IMErrorCode.AUTH_TIMEOUT: "the log-in was not answered in time",
    IMErrorCode.TOKEN_INVALID: "the token is no longer good, and no other can be had",
    IMErrorCode.MESSAGE_SEND_FAILED: "the server refuses the message",
    IMErrorCode.MESSAGE_TIMEOUT: "the application waited no longer; the message is not withdrawn",
    IMErrorCode.MESSAGE_FORMAT_ERROR: "what was handed over breaks the rules",
    IMErrorCode.SESSION_CREATE_FAILED: "the server refuses the session",
    IMErrorCode.SESSION_NOT_FOUND: "the server knows no such session",
    IMErrorCode.NETWORK_ERROR: "a call has not come through, or nobody knows whether",
    IMErrorCode.SERVER_ERROR: "the server failed",
    IMErrorCode.UNKNOWN_ERROR: "something else; the text says what",
    IMErrorCode.QUEUE_FULL: "too much waits already",
    IMErrorCode.MESSAGE_EXPIRED: "the message's time to live was over before it was handed over",
    IMErrorCode.MESSAGE_CANCELLED: "the application has withdrawn the message",
    IMErrorCode.IN_DOUBT: "the message may have arrived or not, and nobody can tell any more",
    IMErrorCode.JOURNAL_FAILED: "the journal can't be written",
}

#: Where the constants stand that a client's engine goes by.
_MODULES: Final = (
    wire_types, codes, extensions, wire_session, ends_of_links, timers,
    hearing, login, ending, ends, refresh, sessions, session_calls, session_http, session_cache,
    calling, life, lifecycle, liveness, receiving, admission, journaling, expiry, backoff, turns,
    welcome, status,
)  # fmt: skip
#: … but these are told elsewhere.
_TOLD: Final = frozenset({"CLOSES", "HTTP_STATUSES", "OF_THE_LINK"})

#: The names of unions, and of words that stand for something.
_NAMED: Final[Mapping[str, object]] = {
    "CoreInput": inputs.CoreInput,
    "CoreAction": actions.CoreAction,
    "Event": events.Event,
    "Change": journal.Change,
    "Priority": turns.Priority,
    "End": journal.End,
}
_ENUMS: Final = (
    events.Status, events.Guarantee, inputs.TransportFailure, wire_session.SessionOp,
    ends_of_links.Blame, codes.Outcome, effects.Trouble,
)  # fmt: skip
_RECORDS: Final = (
    events.ConnectionState, wire_session.SessionVO, wire_session.HistoryRecord,
    wire_session.HistoryPage, effects.Counters,
)  # fmt: skip
_PARTS: Final = (
    messages.ResumeFrom, messages.ClientLimits, messages.AuthData, messages.HeartbeatHint,
    messages.ServerLimits, extensions.StatusItem,
)  # fmt: skip
_CONFIGS: Final = (ReconnectConfig, HeartbeatConfig, ClientTimeouts, HttpConfig, ClientConfig)


def describe(source: Source | None = None) -> Shape:
    """All of it, as plain JSON.

    Args:
        source: for the words beside states, timers and fields; None: without them.
    """
    shapes = Shapes(_NAMED)
    return {
        "about": "Made from the Python code by `python docs/draw_protocol.py`. Names are in "
        "camelCase, durations in seconds, integers above 2^53-1 are strings.",
        "dialects": {
            name: {"extensions": kind().extensions, "inFlight": kind().in_flight}
            for name, kind in DIALECTS.items()
        },
        "capabilities": list(login.CAPABILITIES),
        "capabilitiesHeader": CAPABILITIES_HEADER,
        "messages": {
            "client": [_message(shapes, kind) for kind in CLIENT_MESSAGES],
            "server": [_message(shapes, kind) for kind in SERVER_MESSAGES],
            "parts": [shapes.record(kind) for kind in _PARTS],
        },
        "codes": _codes(),
        "closes": {str(code): _verdict(v) for code, v in ends_of_links.CLOSES.items()},
        "httpStatuses": {str(code): _verdict(v) for code, v in ends_of_links.HTTP_STATUSES.items()},
        "errors": {
            code.value: {
                "retryable": code in RETRYABLE,
                "terminal": code in TERMINAL,
                "meaning": MEANINGS[code],
            }
            for code in IMErrorCode
        },
        "machines": {name: _machine(table, kind, source) for name, table, kind in named_machines()},
        "product": [_rule(rule) for rule in RULES],
        "timers": {
            "client": _timers(client_timers, source),
            "server": _timers(server_timers, source),
        },
        "constants": dict(constants()),
        "config": {
            "client": [_config(shapes, kind, source) for kind in _CONFIGS],
            "server": _config(shapes, ServerConfig, source),
        },
        "defaults": {
            "client": _defaults(ClientConfig),
            "server": _defaults(ServerConfig),
        },
        "enums": {kind.__name__: [word.value for word in kind] for kind in _ENUMS}
        | {name: list(get_args(_NAMED[name])) for name in ("Priority", "End")},
        "inputs": _members(shapes, inputs.CoreInput),
        "actions": _members(shapes, actions.CoreAction),
        "events": _members(shapes, events.Event),
        "changes": _members(shapes, journal.Change),
        "records": [shapes.record(kind) for kind in _RECORDS],
    }


def named_machines() -> Iterator[tuple[str, machines.Table, type]]:
    """Every machine by its name: "connection", "auth" …"""
    for kind in machines.MACHINES:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__.removesuffix("Machine")).lower()
        yield name, getattr(machines, name.upper()), kind


def constants() -> Iterator[tuple[str, Any]]:
    """The constants that a client's engine goes by, under their names in the code."""
    for module in _MODULES:
        for name, value in vars(module).items():
            if name.isupper() and not name.startswith("_") and name not in _TOLD:
                try:
                    yield name, plain(value)
                except TypeError:
                    continue


def beside(kind: type, source: Source | None) -> dict[str, str]:
    """What stands beside the parts of a class in its source: `#:` above them, or a docstring
    below."""
    if source is None:
        return {}
    text = source(kind)
    found = {
        name: " ".join(doc.split())
        for name, doc in re.findall(r'^    (\w+) = .*\n    """((?:.|\n)*?)"""', text, re.M)
    }
    for comment, name in re.findall(r"((?:^ +#:.*\n)+)^ +(\w+)(?=:| = )", text, re.M):
        found[name] = " ".join(comment.replace("#:", "").split())
    return found


def _message(shapes: Shapes, kind: type[messages.Message]) -> Shape:
    record = shapes.record(kind)
    return {"name": record["name"], "kind": kind.kind} | record


def _members(shapes: Shapes, union: object) -> list[Shape]:
    return [shapes.record(kind) for kind in get_args(union)]


def _codes() -> list[Shape]:
    named = {value: name for name, value in vars(codes).items() if name.isupper()}
    known = sorted({*named, 200, 401, 500, 599})
    return [{"code": c, "name": named.get(c), "outcome": outcome(c).value} for c in known]


def _verdict(verdict: ends_of_links.Verdict) -> Shape:
    told = {
        "reconnect": verdict.reconnect,
        "refreshToken": verdict.refresh_token,
        "counts": verdict.counts,
        "failedDelay": verdict.failed_delay,
        "blame": verdict.blame.value,
        "reason": verdict.reason,
    }
    assert len(told) == len(fields(verdict))
    return told


def _machine(table: machines.Table, kind: type, source: Source | None) -> Shape:
    docs = beside(kind, source)
    return {
        "doc": words(kind.__doc__),
        "initial": table.initial,
        "final": [state for state in table.states if state in table.final],
        "states": {state: docs.get(state, "") for state in table.states},
        "events": list(table.events),
        "next": {
            state: {event: to for at, event, to in table.edges() if at == state}
            for state in table.states
        },
    }


def _rule(rule: Any) -> Shape:
    return {
        "machine": rule.machine,
        "states": list(rule.states),
        "needs": [{"machine": machine, "states": list(states)} for machine, states in rule.needs],
        "why": rule.why,
    }


def _timers(module: Any, source: Source | None) -> Shape:
    docs = beside(module.Timer, source)
    of_the_link = getattr(module, "OF_THE_LINK", None)
    found = {}
    for timer in module.Timer:
        told = {
            "called": timer.value,
            "meaning": docs.get(timer.name, ""),
            "judges": timer in module.JUDGES,
        }
        if of_the_link is not None:
            told["ofTheLink"] = timer in of_the_link
        found[timer.name] = told
    return found


def _config(shapes: Shapes, kind: type[BaseModel], source: Source | None) -> Shape:
    record = shapes.record(kind)
    docs: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("im_proto.config."):
            docs |= beside(base, source)
    for name, field in zip(kind.model_fields, record["fields"], strict=True):
        if name in docs:
            field["doc"] = docs[name]
    return record


def _defaults(kind: type[BaseModel]) -> Shape:
    given = {name: field for name, field in kind.model_fields.items() if not field.is_required()}
    return {to_camel(name): plain(field.default) for name, field in given.items()}
