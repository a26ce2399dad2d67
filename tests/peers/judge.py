"""What section 1 forbids a client to send to a plain server."""

from dataclasses import dataclass, field

from peers.wire import (
    ID_KEYS,
    Message,
    as_id,
    as_user,
    content_units,
    id_offence,
    parse_json,
    read_message,
)

# Per type of a client: the keys that it must hold, and those that it may hold.
CLIENT_KEYS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "AUTH_REQUEST": (frozenset({"accessToken"}), frozenset({"userId"})),
    "HEARTBEAT_REQUEST": (frozenset(), frozenset()),
    "CHAT_SEND_TO_ONE_REQUEST": (
        frozenset({"msgId", "toUser", "content"}),
        frozenset({"sessionId", "messageType"}),
    ),
    "CHAT_SEND_TO_ALL_REQUEST": (frozenset({"msgId", "content"}), frozenset()),
    "CHAT_READ_RECEIPT_REQUEST": (frozenset({"msgId", "fromUser"}), frozenset()),
}
SENDS = frozenset({"CHAT_SEND_TO_ONE_REQUEST", "CHAT_SEND_TO_ALL_REQUEST"})
STRING_KEYS = frozenset({"accessToken", "content", "messageType"})
AUTH_EXTENSIONS = frozenset({"capabilities", "deviceId", "limits", "resume"})
EXTENSION_TYPES = frozenset(
    {
        "CHAT_ACK_REQUEST",
        "SYNC_REQUEST",
        "MESSAGE_STATUS_REQUEST",
        "SESSION_REQUEST",
        "TYPING",
        "PRESENCE",
    }
)
EVERYONE = "*"


def may_resend(code: int | None) -> bool:
    """Whether a client may send again what was answered so: a server error, or a login gone."""
    return code is not None and (code in (401, 40100, 40101, 500) or code >= 50000)


@dataclass
class Judge:
    """The judge of one connection: is shown what arrives and what is answered, in order."""

    number: int
    offences: list[str]
    extensions_allowed: bool = False
    string_ids_allowed: bool = False
    content_limit: int = 1000
    logged_in: bool = False
    # (recipient, msgId) of each one that waits; and of each answered one, its code.
    unanswered: list[tuple[object, int | None]] = field(default_factory=list)
    answers: dict[int, int | None] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Record an offence of this connection."""
        self.offences.append(f"#{self.number}: {text}")

    def see(self, raw: str | bytes) -> None:
        """Judge a data frame at its arrival."""
        if isinstance(raw, bytes):
            self.note("binary frame")
            return
        try:
            envelope = parse_json(raw)
        except ValueError:
            self.note(f"not JSON: {raw[:80]!r}")
            return
        if not isinstance(envelope, dict):
            self.note(f"not one JSON object: {raw[:80]!r}")
            return
        kind = envelope.get("type")
        if not isinstance(kind, str) or kind not in CLIENT_KEYS:
            known = "section 2" if kind in EXTENSION_TYPES else "unknown"
            self.note(f"{known} type: {kind!r}")
            return
        for key in sorted(envelope.keys() - {"type", "message"}):
            self.note(f"{kind}: unknown envelope key {key}")
        if not isinstance(envelope.get("message"), str):
            self.note(f"{kind}: message is not a string")
        message = read_message(envelope)
        if message is None or envelope.get("message") in ("", "null"):
            self.note(f"{kind}: message holds no JSON object")
        self._fields(kind, message or {})
        if kind.startswith("CHAT_") and not self.logged_in:
            self.note(f"{kind} before auth")
        if kind in SENDS:
            self._send(message or {})

    def answered(self, message: Message, code: int | None) -> None:
        """Hear that a send is about to be answered; None is an answer without a code."""
        msg_id = as_id(message.get("msgId"))
        self.unanswered = [waiting for waiting in self.unanswered if waiting[1] != msg_id]
        if msg_id is not None:
            self.answers[msg_id] = code

    def _fields(self, kind: str, message: Message) -> None:
        required, optional = CLIENT_KEYS[kind]
        for key in sorted(required - message.keys()):
            self.note(f"{kind}: no {key}")
        allowed = required | optional
        if kind == "AUTH_REQUEST" and self.extensions_allowed:
            allowed |= AUTH_EXTENSIONS
        for key in sorted(message.keys() - allowed):
            section = "section 2" if key in AUTH_EXTENSIONS else "unknown"
            self.note(f"{kind}: {section} key {key}")
        for key in sorted(message.keys() & STRING_KEYS):
            if not isinstance(message[key], str):
                self.note(f"{kind}: {key} is not a string")
        for key in sorted(message.keys() & ID_KEYS):
            wrong = id_offence(key, message[key], strings=self.string_ids_allowed)
            if wrong:
                self.note(f"{kind}: {wrong}")

    def _send(self, message: Message) -> None:
        content = message.get("content")
        if isinstance(content, str) and not 1 <= content_units(content) <= self.content_limit:
            self.note(f"content of {content_units(content)} UTF-16 units")
        msg_id = as_id(message.get("msgId"))
        recipient = as_user(message.get("toUser", EVERYONE))
        waiting = any(msg_id == other for _, other in self.unanswered)
        if waiting or (msg_id in self.answers and not may_resend(self.answers[msg_id])):
            self.note(f"msgId {msg_id} sent again on the same connection")
        elif any(recipient == other for other, _ in self.unanswered):
            self.note(f"a second unanswered message to {recipient}: msgId {msg_id}")
        self.unanswered.append((recipient, msg_id))
