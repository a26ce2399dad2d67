"""The tables of codes and closes are total, and say what protocol.md says; errors travel well."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from im_proto.errors import RETRYABLE, TERMINAL, IMError, IMErrorCode, LocalProtocolError, printable
from im_proto.wire import (
    BadFrame,
    Blame,
    Outcome,
    Verdict,
    codes,
    outcome,
    verdict_of_close,
    verdict_of_http,
)
from im_proto.wire.closes import AUTH_REFUSALS, CLOSES, HTTP_STATUSES

DETERMINISTIC = settings(derandomize=True, database=None, deadline=None, max_examples=100)
#: any int that anything could come up with
INTS = st.integers(-70_000, 70_000) | st.integers()


def test_every_int_has_an_outcome() -> None:
    auth, server = {401, 40100, 40101}, {50000, *range(500, 600)}
    for code in range(-1000, 70_000):
        expected = Outcome.REFUSED
        if code in (0, 200):
            expected = Outcome.SUCCESS
        elif code in auth:
            expected = Outcome.AUTH
        elif code == 40900:
            expected = Outcome.CONFLICT
        elif code in server or code > 50000:
            expected = Outcome.SERVER_ERROR
        assert outcome(code) is expected, code
    assert outcome(None) is Outcome.SUCCESS


@DETERMINISTIC
@given(INTS)
def test_outcome_and_both_verdicts_are_total(code: int) -> None:
    assert isinstance(outcome(code), Outcome)
    for verdict in (verdict_of_close(code), verdict_of_http(code)):
        assert isinstance(verdict, Verdict)
        assert verdict.reason
    if code not in CLOSES:
        assert verdict_of_close(code).reconnect  # "any other: yes"
        assert str(code) in verdict_of_close(code).reason


#: protocol.md section 2, "Closes": reconnect, token, counts, failed delay, blame
TABLE = {
    **dict.fromkeys((1000, 1001, 1005, 1006, 1011, 1012), (True, False, True, False, Blame.NOBODY)),
    1013: (True, False, False, False, Blame.NOBODY),
    **dict.fromkeys((1002, 1003, 1007, 1008, 1010), (True, False, True, True, Blame.OLDEST)),
    1009: (True, False, True, True, Blame.LARGEST),
    4001: (False, False, True, False, Blame.NOBODY),
    4002: (True, False, True, False, Blame.NOBODY),
    4003: (True, True, True, False, Blame.NOBODY),
    4004: (False, False, True, False, Blame.NOBODY),
    4008: (True, False, True, False, Blame.NOBODY),
    4009: (True, False, True, False, Blame.NOBODY),
}


@pytest.mark.parametrize("code", sorted(TABLE))
def test_each_close_means_what_the_protocol_says(code: int) -> None:
    seen = verdict_of_close(code)
    assert (
        seen.reconnect,
        seen.refresh_token,
        seen.counts,
        seen.failed_delay,
        seen.blame,
    ) == TABLE[code]
    assert set(CLOSES) == set(TABLE)


def test_each_http_status_means_what_the_protocol_says() -> None:
    again = {status for status, verdict in HTTP_STATUSES.items() if verdict.reconnect}
    assert again == {429, 503}
    assert set(HTTP_STATUSES) - again == {400, 401, 403, 404, 426}
    assert not any(HTTP_STATUSES[status].counts for status in again)
    assert verdict_of_http(500).reconnect and verdict_of_http(302).reconnect
    assert {4001, 401, 403} == AUTH_REFUSALS
    assert not any(HTTP_STATUSES[s].reconnect for s in AUTH_REFUSALS & HTTP_STATUSES.keys())


def test_the_codes_have_the_numbers_of_the_protocol() -> None:
    assert (codes.OK, codes.BAD_REQUEST, codes.FORBIDDEN) == (0, 400, 403)
    assert (codes.NOT_LOGGED_IN, codes.TOKEN_INVALID) == (40100, 40101)
    assert (codes.SESSION_CLOSED, codes.NOT_FOUND, codes.CONFLICT) == (40300, 40400, 40900)
    assert codes.SERVER_ERROR == 50000


# ------------------------------------------------------------ errors


@pytest.mark.parametrize("code", IMErrorCode)
def test_an_error_survives_pickle_and_copy(code: IMErrorCode) -> None:
    error = IMError(code, "words", server_code=40400, server_text="no such user", retryable=True)
    error.add_note("seen on Monday")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is IMError
        assert (twin.code, twin.text) == (code, "words")
        assert (twin.server_code, twin.server_text) == (40400, "no such user")
        assert (twin.retryable, twin.terminal) == (error.retryable, error.terminal)
        assert (str(twin), repr(twin), twin.args) == (str(error), repr(error), error.args)
        assert twin.__notes__ == ["seen on Monday"]


def test_an_error_says_what_it_knows_and_no_more() -> None:
    assert str(IMError(IMErrorCode.AUTH_FAILED, "no")) == "AUTH_FAILED: no"
    full = IMError(IMErrorCode.AUTH_FAILED, "no", server_code=0, server_text="bad\n\x1b[31mred")
    said = "AUTH_FAILED: no (server code 0) (server says 'bad\\\\n\\\\x1b[31mred')"
    assert str(full) == said
    assert repr(full) == f"<IMError {said}>"
    assert not RETRYABLE & TERMINAL - {IMErrorCode.RECONNECT_FAILED}
    for code in IMErrorCode:
        assert IMError(code, "").retryable is (code in RETRYABLE)
        assert IMError(code, "").terminal is (code in TERMINAL)


def test_bad_frame_says_its_reason_and_its_code() -> None:
    bad = BadFrame("the frame is not JSON")
    assert (str(bad), bad.reason, bad.close_code) == ("the frame is not JSON",) * 2 + (1007,)
    assert not issubclass(BadFrame, LocalProtocolError)


@DETERMINISTIC
@given(st.text(st.characters(), max_size=300), st.integers(1, 250))
def test_printable_text_holds_nothing_that_moves_a_terminal(text: str, limit: int) -> None:
    said = printable(text, limit)
    assert said.isprintable()
    said.encode()
    if text.isprintable() and len(text) <= limit:
        assert said == text
    # an escape takes up to ten characters
    assert len(said) <= 10 * limit
