"""The rules by name, and that they are the ones that the client applies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core.client_kit import Driver, make_config
from im_proto import RULES, IMError, IMErrorCode, LocalProtocolError, validate
from im_proto.client import inputs as inp
from im_proto.validation import content

DETERMINISTIC = settings(derandomize=True, database=None, deadline=None, max_examples=150)
BIG = 2**63 - 1

GOOD: list[tuple[str, Any]] = [
    ("content", "x"), ("content", " x "), ("content", "😀" * 500), ("content", " " * 2000 + "x"),
    ("user_id", 1), ("user_id", BIG), ("user_id", "bravo"), ("user_id", "007"), ("user_id", "用户"),
    ("msg_id", 1), ("msg_id", BIG), ("session_id", 1), ("session_id", BIG),
    ("message_type", "text"), ("message_type", "图"), ("message_type", "x" * 64),
    ("token", "t"), ("token", "x" * 8192), ("token", "токен"),
    ("device_id", "a"), ("device_id", "A-z_0.9:" * 8),
    ("ws_url", "ws://localhost:8080/ws"), ("ws_url", "wss://chat.example/ws?v=1"),
]  # fmt: skip

BAD: list[tuple[str, Any]] = [
    ("content", ""), ("content", " \ufeff\u3000\n"), ("content", "x" * 1001), ("content", None),
    ("content", "a\x00"), ("content", "\ud800"), ("content", b"x"), ("content", 5),
    ("user_id", 0), ("user_id", -1), ("user_id", BIG + 1), ("user_id", ""), ("user_id", "a\nb"),
    ("user_id", "x" * 129), ("user_id", True), ("user_id", 1.0), ("user_id", None),
    ("msg_id", 0), ("msg_id", BIG + 1), ("msg_id", "1"), ("msg_id", True), ("msg_id", None),
    ("session_id", 0), ("session_id", BIG + 1), ("session_id", "1"), ("session_id", 1.0),
    ("message_type", ""), ("message_type", "x" * 65), ("message_type", "a\n"),
    ("message_type", 1), ("message_type", None),
    ("token", ""), ("token", "x" * 8193), ("token", "\ud800"), ("token", None), ("token", b"t"),
    ("device_id", ""), ("device_id", "a b"), ("device_id", "x" * 65), ("device_id", 5),
    ("device_id", "a\n"), ("device_id", b"a"),
    ("ws_url", "http://x"), ("ws_url", "ws://"), ("ws_url", "ws://u:p@x"), ("ws_url", "ws://x#y"),
    ("ws_url", "ws://x y"), ("ws_url", "ws://x:99999"), ("ws_url", "ws://["), ("ws_url", None),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "value"), GOOD, ids=lambda value: ascii(value)[:20])
def test_what_is_right_comes_back(rule: str, value: object) -> None:
    assert validate(rule, value) == value


def test_a_user_id_of_digits_comes_back_as_the_number() -> None:
    assert validate("user_id", "7") == 7


@pytest.mark.parametrize(("rule", "value"), BAD, ids=lambda value: ascii(value)[:20])
def test_what_is_wrong_is_said(rule: str, value: object) -> None:
    with pytest.raises(IMError) as raised:
        validate(rule, value)
    assert raised.value.code is IMErrorCode.MESSAGE_FORMAT_ERROR
    assert raised.value.text
    assert not raised.value.retryable
    with pytest.raises(ValueError) as plain:
        RULES[rule](value)
    assert str(plain.value) == raised.value.text


def test_every_rule_is_tried_above_and_says_what_it_is() -> None:
    assert {rule for rule, _ in GOOD} == {rule for rule, _ in BAD} == set(RULES)
    for name, rule in RULES.items():
        assert rule.__name__ == name and rule.__doc__


def test_an_unknown_rule_is_the_callers_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="no rule 'mesage'; there are content, user_id"):
        validate("mesage", "x")


def test_the_limit_of_a_content_can_be_another_one() -> None:
    assert content("😀" * 5, 10) == "😀" * 5
    with pytest.raises(ValueError, match="11 UTF-16 units, the limit is 10"):
        content("😀" * 5 + "x", 10)


@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("value", ["n33dle\x00\ud800 " * 2000, ["n33dle"], {"n33dle": 1}])
def test_no_error_shows_the_value(rule: str, value: object) -> None:
    with pytest.raises(IMError) as raised:
        validate(rule, value)
    assert "n33dle" not in str(raised.value)


def test_no_error_shows_a_password_in_an_url() -> None:
    for url in ("ws://ann:n33dle@x/", "ws://ann:n33dle@[", "ws://ann:n33dle@x:n33dle/"):
        with pytest.raises(IMError) as raised:
            validate("ws_url", url)
        assert "n33dle" not in str(raised.value)


# ---------------------------------------------------------------- the client's own rules

_odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(1, BIG), st.floats(), st.text(),
    st.text(st.characters(codec="ascii"), min_size=1, max_size=70), st.binary(),
    st.sampled_from([value for _, value in GOOD + BAD]),
)  # fmt: skip


def passes(rule: str, value: object) -> bool:
    """Does the rule let it pass?"""
    try:
        validate(rule, value)
    except IMError:
        return False
    return True


@pytest.mark.parametrize("rule", ["content", "user_id", "session_id", "message_type"])
def test_the_client_sends_what_the_rule_lets_pass_and_nothing_else(rule: str) -> None:
    field = "to_user" if rule == "user_id" else rule

    @DETERMINISTIC
    @given(value=_odd)
    def check(value: Any) -> None:
        if rule == "session_id" and value is None:
            return  # there need not be one
        d = Driver()
        fields: dict[str, Any] = {"ref": 1, "to_user": 2, "content": "x"} | {field: value}
        try:
            d.do(inp.Send(**fields))
        except IMError as error:
            assert error.code is IMErrorCode.MESSAGE_FORMAT_ERROR
            assert not passes(rule, value)
        else:
            assert passes(rule, value)

    check()


@pytest.mark.parametrize("rule", ["user_id", "token", "device_id", "ws_url"])
def test_a_configuration_takes_what_the_rule_lets_pass_and_nothing_else(rule: str) -> None:
    @DETERMINISTIC
    @given(value=_odd)
    def check(value: Any) -> None:
        if isinstance(value, bytes) or (rule == "device_id" and value is None):
            return  # a configuration reads bytes as text, and needs no device_id
        try:
            make_config(**{rule: value})
        except ValidationError:
            assert not passes(rule, value)
        else:
            assert passes(rule, value)

    check()
