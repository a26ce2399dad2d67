"""The traffic is read and written past the models, and nobody can tell."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from im_proto.testing import strategies as wire_st
from im_proto.wire import (
    CLIENT_MESSAGES,
    SERVER_MESSAGES,
    BadFrame,
    ChatAck,
    ChatRedirectToUser,
    ChatSendToOne,
    Invocation,
    Malformed,
    Message,
    ReceiptPush,
    UserId,
)
from im_proto.wire.quick import READERS, WRITERS

DETERMINISTIC = settings(derandomize=True, database=None, deadline=None, max_examples=300)
HOT = sorted(WRITERS, key=lambda model: model.kind)
CLIENT, SERVER = Invocation("client"), Invocation("server")
SIDES = dict.fromkeys(SERVER_MESSAGES, CLIENT) | dict.fromkeys(CLIENT_MESSAGES, SERVER)


def by_models(dialect: Invocation) -> Invocation:
    """The same dialect, reading everything by its models."""
    plain = copy.copy(dialect)
    plain._quick = {}
    return plain


def written(message: Message, *, inline: bool) -> str:
    """A message as its model writes it."""
    body = message.model_dump_json(by_alias=True, exclude_none=True)
    if inline:
        return f'{{"type":"{message.kind}","message":{body}}}'
    return to_json({"type": message.kind, "message": body}).decode()


def heard(dialect: Invocation, text: str, batch: int) -> object:
    """All that can be seen of what a dialect makes of a frame."""
    try:
        found = dialect.decode(text, batch=batch)
    except BadFrame as bad:
        return bad.reason, bad.close_code
    return found, [seen(message) if isinstance(message, Message) else 0 for message in found]


def seen(message: Message) -> object:
    """All that can be seen of a message."""
    return (
        type(message),
        repr(message),
        list(message.__dict__.items()),
        [type(value) for value in message.__dict__.values()],
        message.model_fields_set,
        message.model_extra,
        message.__pydantic_private__,
        message.model_dump_json(),
        pickle.loads(pickle.dumps(message)) == message,
    )


# ---------------------------------------------------------------- reading

#: What a peer may write where something else is expected, as JSON.
ODD_VALUES = [
    *("null", "true", "false", "0", "-1", "1", "7", "1.0", "1.5", "1e2", "-0", "NaN", "-Infinity"),
    *(str(2**53), str(2**63 - 1), str(2**63), str(10**30), "1e400", "9" * 4400, "-2147483649"),
    *('""', '"0"', '"7"', '"07"', '"-7"', '"+7"', '" 7"', '"7 "', '"7\\n"', '"1_0"', '"7.0"'),
    *('"1e2"', '"9007199254740993"', f'"{2**63 - 1}"', f'"{2**63}"', '"99999999999999999999"'),
    *('"bravo"', '"a b"', '" a"', '"1bravo"', '"bravo1"', '"a\\n"', '"br\u00e1vo"', '"\u0665"'),
    *('"\\u0000"', '"\\u007f"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\u200b"', '"text"', '"read"'),
    *('"delivered"', '"' + "x" * 64 + '"', '"' + "x" * 65 + '"', '"' + "x" * 128 + '"'),
    *('"' + "x" * 129 + '"', '"' + "x" * 65_536 + '"', '"' + "x" * 65_537 + '"'),
    *('"a\u00a0b"', f"[{','.join('7' * 1000)}]", f"[{','.join('7' * 1001)}]"),
    *("{}", "[]", '["7"]', "[7]", "[7,true]", '{"a":[{"b":null}]}', "[" * 300 + "]" * 300),
]
_odd_values = st.sampled_from(ODD_VALUES)
_json = wire_st.json_values.map(json.dumps)


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in pairs) + "}"


@st.composite
def _bodies(draw: st.DrawFn, model: type[Message]) -> str:
    """A message's fields as JSON: good, or with a value, a key or the order changed."""
    message = draw(wire_st.MESSAGES[model])
    fields = json.loads(message.model_dump_json(by_alias=True, exclude_none=draw(st.booleans())))
    pairs = [(key, json.dumps(value)) for key, value in fields.items()]
    keys = [key for key, _ in pairs]
    names = [*sorted(model.model_fields), "x", "type"]
    for change in draw(st.lists(st.integers(0, 5), max_size=2)):
        at = draw(st.integers(0, len(pairs) - 1)) if pairs else 0
        if change == 0 and pairs:
            pairs[at] = (pairs[at][0], draw(_odd_values | _json))
        elif change == 1 and pairs:
            del pairs[at]
        elif change == 2:
            pairs.insert(at, (draw(st.sampled_from(keys + names)), draw(_odd_values | _json)))
        elif change == 3:
            pairs = draw(st.permutations(pairs))
        elif change == 4 and pairs:
            pairs.insert(0, (pairs[at][0], draw(_odd_values)))
        elif pairs and isinstance(json.loads(pairs[at][1], parse_constant=str), int):
            pairs[at] = (pairs[at][0], f'"{pairs[at][1]}"')
    return _object(pairs)


@st.composite
def _envelopes(draw: st.DrawFn) -> str:
    model = draw(st.sampled_from([*HOT, *HOT, *SIDES]))
    body = draw(_bodies(model) | _odd_values) if model in HOT else draw(_bodies(model))
    pairs = [
        ("type", json.dumps(model.kind)),
        ("message", body if draw(st.booleans()) else json.dumps(body)),
    ]
    if draw(st.integers(0, 7)) == 0:
        at = draw(st.integers(0, 2))
        key = draw(st.sampled_from(["type", "message", "x"]))
        pairs.insert(at, (key, draw(_odd_values | _json)))
    if draw(st.integers(0, 15)) == 0:
        del pairs[draw(st.integers(0, 1))]
    return _object(pairs)


_frames = st.one_of(
    _envelopes(),
    st.lists(_envelopes() | _envelopes() | _odd_values, max_size=4).map(
        lambda some: f"[{', '.join(some)}]"
    ),
)


@given(_frames, st.sampled_from([64, 64, 2, 0]), st.sampled_from([CLIENT, SERVER]))
@DETERMINISTIC
def test_every_frame_is_read_as_the_models_read_it(
    text: str, batch: int, dialect: Invocation
) -> None:
    assert heard(dialect, text, batch) == heard(by_models(dialect), text, batch)


@given(wire_st.garbage_frames, st.sampled_from([CLIENT, SERVER]))
@DETERMINISTIC
def test_garbage_is_read_as_the_models_read_it(text: str, dialect: Invocation) -> None:
    assert heard(dialect, text, 64) == heard(by_models(dialect), text, 64)


def _one_odd(model: type[Message]) -> list[str]:
    """A good message of the class with each of its fields odd in each way, in both forms."""
    good = {
        "content": '"hi"', "msgId": "5", "toUser": "6", "fromUser": '"bravo"', "code": "0",
        "sessionId": "7", "messageType": '"text"', "timestamp": "8", "seq": "9", "user": "3",
        "deviceId": '"d"', "msgIds": "[5]", "status": '"read"', "message": '"m"',
    }  # fmt: skip
    fields = {str(field.alias): good[str(field.alias)] for field in model.model_fields.values()}
    bodies = [_object([*fields.items(), ("more", value)]) for value in ODD_VALUES]
    bodies += [_object([*fields.items(), (name, "77")]) for name in model.model_fields]
    for name, key in zip(model.model_fields, fields, strict=True):
        renamed = {name if other == key else other: value for other, value in fields.items()}
        bodies.append(_object([*renamed.items()]))
        bodies.append(_object([pair for pair in fields.items() if pair[0] != key]))
        bodies += [_object([*(fields | {key: value}).items()]) for value in ODD_VALUES]
        bodies += [_object([(key, value), *fields.items()]) for value in ODD_VALUES]
    return [_object([("type", f'"{model.kind}"'), ("message", body)]) for body in bodies] + [
        _object([("type", f'"{model.kind}"'), ("message", json.dumps(body))]) for body in bodies
    ]


@pytest.mark.parametrize("model", HOT, ids=lambda model: model.kind)
def test_each_field_that_is_odd_is_read_as_the_model_reads_it(model: type[Message]) -> None:
    dialect, plain = SIDES[model], by_models(SIDES[model])
    for text in _one_odd(model):
        assert heard(dialect, text, 0) == heard(plain, text, 0), text[:300]


USERS: list[UserId] = [1, 2**53 + 1, 2**63 - 1, "bravo", "a b", "~"]


@pytest.mark.parametrize("inline", [False, True], ids=["double", "inline"])
@pytest.mark.parametrize("model", HOT, ids=lambda model: model.kind)
@given(data=st.data())
@settings(DETERMINISTIC, max_examples=40)
def test_what_an_ordinary_peer_writes_needs_no_model(
    model: type[Message], inline: bool, data: st.DataObject
) -> None:
    drawn = data.draw(wire_st.MESSAGES[model])
    plain = {"message_type": "text"} if "message_type" in model.model_fields else {}
    plain |= {
        name: data.draw(st.sampled_from(USERS))
        for name in ("to_user", "from_user", "user")
        if name in model.model_fields
    }
    message = drawn.model_copy(update=plain)
    nulls = data.draw(st.booleans())
    body = json.loads(message.model_dump_json(by_alias=True, exclude_none=not nulls))
    reader = READERS[model.kind]
    values, _, given_names = reader.by_python(body) if inline else reader.by_json(json.dumps(body))
    assert list(values.items()) == list(message.__dict__.items())
    assert given_names == {name for name, value in message if nulls or value is not None}


def test_a_bad_envelope_takes_no_neighbour_along() -> None:
    good, bad = CLIENT.encode(ChatSendToOne(msg_id=5, to_user=2, content="x")), ChatAck.kind
    text = f'[{good},{{"type":"{bad}","message":"{{}}"}},{good}]'
    first, second, third = SERVER.decode(text, batch=3)
    assert first == third == ChatSendToOne(msg_id=5, to_user=2, content="x")
    assert second == Malformed(kind=bad, reason="seq: missing")


# ---------------------------------------------------------------- writing


@pytest.mark.parametrize("inline", [False, True], ids=["double", "inline"])
@pytest.mark.parametrize("model", sorted(SIDES, key=lambda model: model.__name__))
@given(data=st.data())
@settings(DETERMINISTIC, max_examples=60)
def test_every_message_is_written_as_its_model_writes_it(
    model: type[Message], inline: bool, data: st.DataObject
) -> None:
    message = data.draw(wire_st.MESSAGES[model])
    text = CLIENT.encode(message, inline=inline)
    assert text == written(message, inline=inline)
    assert SIDES[model].decode(text, batch=0) == [message]
    copied = type(message).trusted(**{n: v for n, v in message if v is not None})
    assert CLIENT.encode(copied, inline=inline) == text


TEXTS = ["", '"', "\\", "\n\x00\x1f\x7f", "\u2028", "\U0001f600", "\\u0041", "</script>"]


@pytest.mark.parametrize("inline", [False, True], ids=["double", "inline"])
@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_every_character_is_written_as_the_models_write_it(text: str, inline: bool) -> None:
    everywhere = [
        ChatSendToOne.trusted(msg_id=1, to_user=text, content=text, message_type=text),
        ChatRedirectToUser.trusted(
            content=text, from_user=text, to_user=text, message_type=text, device_id=text
        ),
        ReceiptPush.trusted(msg_ids=[], user=text, status="read"),
    ]
    for message in everywhere:
        assert CLIENT.encode(message, inline=inline) == written(message, inline=inline)


def test_a_lone_surrogate_is_refused_as_ever() -> None:
    message = ChatSendToOne.trusted(msg_id=1, to_user=2, content="\ud800")
    for write in (lambda: CLIENT.encode(message), lambda: written(message, inline=True)):
        with pytest.raises(PydanticSerializationError):
            write()


# ---------------------------------------------------------------- `trusted`


@pytest.mark.parametrize("model", sorted(SIDES, key=lambda model: model.__name__))
@given(data=st.data())
@settings(DETERMINISTIC, max_examples=20)
def test_a_trusted_message_is_what_model_construct_makes(
    model: type[Message], data: st.DataObject
) -> None:
    drawn = dict(data.draw(wire_st.MESSAGES[model]))
    needed = {name for name, field in model.model_fields.items() if field.is_required()}
    names = data.draw(st.permutations(sorted(drawn)))
    kept = data.draw(st.sets(st.sampled_from(names))) | needed if names else set()
    values = {name: drawn[name] for name in names if name in kept}

    one, other = model.trusted(**values), model.model_construct(**values)
    assert one == other and seen(one) == seen(other)
    assert one.model_fields_set is not model.trusted(**values).model_fields_set
    for again in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert again == other and seen(again) == seen(other)
    assert one.model_copy(update=values) == other
    with pytest.raises(ValidationError, match="frozen"):
        setattr(one, names[0] if names else "kind", 1)


def test_no_default_can_be_changed_through_a_message() -> None:
    for model in SIDES:
        for field in model.model_fields.values():
            assert field.default_factory is None
            hash(field.default)
