"""`ClientEngineMachine`: it finds nothing wrong with the client, and every sabotage of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from im_proto.client import ClientEngine
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.core import ClientCore
from im_proto.client.incoming import Inbox, Seen
from im_proto.client.lifecycle import Lifecycle
from im_proto.client.liveness import Liveness
from im_proto.client.login import Login
from im_proto.client.outgoing import Outbox
from im_proto.client.receiving import Receiving
from im_proto.client.sending import Sending
from im_proto.client.timers import Timer
from im_proto.errors import IMErrorCode
from im_proto.testing.machines import ClientEngineMachine
from im_proto.timers import Timers
from im_proto.wire import AuthData, AuthResponse, ChatRedirectToUser, SessionResponse
from im_proto.wire.types import MAX_ID
from testing_kit.machine_kit import SABOTAGED, SOUND, client_machine, fails, reached, wrap

Patch = pytest.MonkeyPatch
A = Any


class TestAnyClient(ClientEngineMachine.TestCase):  # type: ignore[name-defined,misc]
    settings = SOUND


def test_the_machine_gets_where_it_is_meant_to_get() -> None:
    """Guards the machine itself: without log-ins and messages it would prove nothing."""
    seen = reached(ClientEngineMachine, 150)
    for name in ("Authenticated", "MessageHandedOver", "MessageReceived", "Reconnected"):
        assert seen[name] > 10, seen
    for name in ("MessageAccepted", "MessageFailed", "DuplicateSuppressed", "FetchToken"):
        assert seen[name] > 4, seen
    for name in ("MessagesMayBeMissing", "HeartbeatSent", "AuthFailed", "ProtocolViolation"):
        assert seen[name] > 0, seen


class TakesEverything(client_machine(token=str)):  # type: ignore[misc]
    """… whose server takes new tokens and calls about sessions over the link."""

    @precondition(lambda self: not self.logged_in)
    @rule()
    def gets_on_well(self) -> None:
        welcome = {"ours": True, "epoch": "e0", "reset": False, "seq": 0}
        for _ in range(8):
            if not self.logged_in:
                self._get_on(
                    welcome | {"in_flight": None, "hint": False, "more": True, "expires_in": 20.0}
                )

    @precondition(lambda self: self.token_request is not None and self.logged_in)
    @rule()
    def the_token_function_has_a_new_one(self) -> None:
        self.last_ref += 1
        self.do(inp.TokenReady(request=self.token_request, token=f"t{self.last_ref}"))

    @precondition(lambda self: self.model.renewing)
    @rule(code=st.sampled_from([0, 0, 40100]))
    def it_is_taken_or_not(self, code: int) -> None:
        self.say(AuthResponse(code=code, message="so", data=AuthData(expires_in=20.0)))

    @precondition(lambda self: self.model.questions)
    @rule()
    def a_call_is_answered(self) -> None:
        for name in list(self.model.questions):
            self.say(SessionResponse(id=name, code=0, data=[]))


def test_the_machine_renews_tokens_and_asks_for_sessions() -> None:
    seen = reached(TakesEverything, 40)
    for name in ("TokenRefreshed", "SessionFetched", "SessionFailed"):
        assert seen[name] > 0, seen


def test_the_machine_finds_a_refused_token_that_counts_as_new(monkeypatch: Patch) -> None:
    from im_proto.client.refresh import Refresh

    def answered(_: None, self: A, response: A) -> None:
        self._fx.notify(ev.TokenRefreshed(expires_in=None))

    wrap(monkeypatch, Refresh, "answered", answered)
    fails(TakesEverything, "'renewed' follows from nothing")


def test_the_machine_finds_a_second_token_before_the_answer(monkeypatch: Patch) -> None:
    from im_proto.client.refresh import Refresh

    offer = Refresh.offer

    def again(self: A) -> A:
        if self.out is None or not self._granted:
            return offer(self)
        return self.out

    monkeypatch.setattr(Refresh, "offer", again)
    fails(TakesEverything, "the one before has no answer")


# --- each a bug that somebody could write: what must be said about it, and where it is met


def replace(patch: Patch, owner: type, name: str, method: Callable[..., Any]) -> None:
    patch.setattr(owner, name, method)


def no_dedupe(p: Patch) -> None:
    wrap(p, Inbox, "look_at", lambda seen, *a, **k: Seen.NEW if seen is Seen.REPEAT else seen)


def every_push_is_lost(p: Patch) -> None:
    replace(p, Receiving, "pushed", lambda self, push: None)


def the_last_goes_first(p: Patch) -> None:
    def add(_: None, self: A, message: A) -> None:
        self._conversations[message.to_user].waiting.move_to_end(message.ref, last=False)

    wrap(p, Outbox, "add", add)


def accepted_twice(p: Patch) -> None:
    wrap(p, Sending, "_accept", lambda _, self, *a: self._fx.actions.append(self._fx.actions[-1]))


def withdrawn_twice(p: Patch) -> None:
    wrap(p, Sending, "cancel", lambda _, self, *a: self._fx.actions.append(self._fx.actions[-1]))


def a_message_is_forgotten(p: Patch) -> None:
    def accept(self: A, message: A, response: A) -> None:
        self.outbox.finish(message, "acked")

    replace(p, Sending, "_accept", accept)


def a_deadline_in_the_past(p: Patch) -> None:
    def start(_: None, self: A, hint: A, now: float, *, rtt: float) -> None:
        self._timers.set(Timer.HEARTBEAT_DUE, now - 1.0)

    wrap(p, Liveness, "start", start)


def a_deadline_that_does_not_move(p: Patch) -> None:
    def due(beat: A, self: A, now: float) -> A:
        self._timers.set(Timer.HEARTBEAT_DUE, now)
        return beat

    wrap(p, Liveness, "due", due)


def no_deadline_while_connecting(p: Patch) -> None:
    original = Timers.set

    def set_(self: A, timer: A, deadline: float) -> None:
        if timer is not Timer.CONNECT:
            original(self, timer, deadline)

    replace(p, Timers, "set", set_)


def a_deadline_that_survives(p: Patch) -> None:
    def again(_: None, self: A) -> None:
        self._timers.set(Timer.RETRY, self._fx.now + 1e6)

    wrap(p, Sending, "retry_due", again)
    wrap(p, Sending, "offline", lambda _, self, blame: again(None, self))


def stale_tokens_count(p: Patch) -> None:
    replace(p, Lifecycle, "_fetching", lambda self, request: self.login.state == "fetching_token")


def a_refused_input_changes_something(p: Patch) -> None:
    original = ClientEngine.step

    def step(self: A, event: A, now: float) -> A:
        try:
            return original(self, event, now)
        except Exception:
            self.core.reason = "something"
            raise

    replace(p, ClientEngine, "step", step)


def a_peer_can_raise(p: Patch) -> None:
    def dispatch(self: A, message: A) -> None:
        raise AssertionError("raised by what a peer said")

    from im_proto.client import hearing

    for kind in hearing._SAID:
        p.setitem(hearing._SAID, kind, dispatch)


def no_window(p: Patch) -> None:
    wrap(p, Sending, "online", lambda _, self, **k: setattr(self, "_window", 10**6))


def no_window_per_recipient(p: Patch) -> None:
    def online(_: None, self: A, **k: A) -> None:
        self.outbox.per_conversation = None
        self.outbox.relist()

    wrap(p, Sending, "online", online)


def sent_again_on_the_same_link(p: Patch) -> None:
    def overdue(self: A, *a: A, **k: A) -> None:
        self.outbox.retry(self.outbox.oldest, None)

    replace(p, Sending, "ack_overdue", overdue)


def acknowledged_unhandled(p: Patch) -> None:
    replace(p, Inbox, "to_acknowledge", lambda self: self.pushed)
    replace(p, Inbox, "unsettled", property(lambda self: False))  # type: ignore[arg-type]


def given_up_too_early(p: Patch) -> None:
    replace(
        p, Sending, "_doubt", lambda self: self._end_in_doubt(list(self.outbox.all_unanswered()))
    )


def failed_for_nothing(p: Patch) -> None:
    def overdue(self: A, *a: A, **k: A) -> None:
        code = IMErrorCode.MESSAGE_SEND_FAILED
        self._fail(self.outbox.oldest, "refused", code, "for no reason")

    replace(p, Sending, "ack_overdue", overdue)


def a_content_is_altered(p: Patch) -> None:
    original = Outbox.add

    def add(self: A, message: A) -> None:
        message.content += "!"
        original(self, message)

    replace(p, Outbox, "add", add)


def the_network_wakes_the_unwilling(p: Patch) -> None:
    def changed(self: A, event: A) -> None:
        if self.reconnect == "idle":
            self._on_connect(event)

    from im_proto.client import core, inputs

    p.setitem(core._HANDLERS, inputs.NetworkChanged, changed)


def disconnect_does_nothing(p: Patch) -> None:
    from im_proto.client import core, inputs

    p.setitem(core._HANDLERS, inputs.Disconnect, lambda self, event: None)


def heartbeats_go_on(p: Patch) -> None:
    replace(p, Liveness, "stop", lambda self: None)


def more_bytes_after_the_end(p: Patch) -> None:
    def carry_out(done: A, self: A, actions: A) -> A:
        for action in list(done):
            if isinstance(action, act.CloseTransport):
                done.append(act.SendBytes(transport=action.transport, data=b"more"))
        return done

    wrap(p, ClientEngine, "_carry_out", carry_out)


def frames_without_a_mask(p: Patch) -> None:
    def write(done: A, transport: int, data: bytes) -> None:
        if not data.startswith(b"GET"):
            data = bytes([data[0], data[1] & 0x7F]) + data[2:]
        done.append(act.SendBytes(transport=transport, data=data))

    p.setattr(ClientEngine, "_write", staticmethod(write))


def changes_are_not_told(p: Patch) -> None:
    def carry_out(done: A, self: A, actions: A) -> A:
        told = [a for a in done if isinstance(a, act.Notify)]
        quiet = {
            id(a) for a in told if isinstance(a.event, ev.StateChanged) and self.core.transport
        }
        return [a for a in done if id(a) not in quiet]

    wrap(p, ClientEngine, "_carry_out", carry_out)


def reading_never_stops(p: Patch) -> None:
    replace(p, ClientCore, "_pace_reading", lambda self, behind: None)


def reading_stops_for_nothing(p: Patch) -> None:
    replace(p, Receiving, "look_behind", lambda self: True)


def nobody_is_told_that_it_is_behind(p: Patch) -> None:
    replace(p, Receiving, "look_behind", lambda self: False)


def told_at_every_step(p: Patch) -> None:
    def forget(behind: bool, self: A) -> bool:
        self._behind = False
        return behind

    wrap(p, Receiving, "look_behind", forget)


def nothing_is_read_while_an_answer_is_awaited(p: Patch) -> None:
    original = ClientCore._resume_reading

    def resume(self: A) -> None:
        if self.login.state != "authenticated" or not len(self.sending.outbox):
            original(self)

    replace(p, ClientCore, "_resume_reading", resume)


def nothing_is_dropped(p: Patch) -> None:
    replace(p, Receiving, "_drop_oldest", lambda self: None)


def what_was_begun_is_dropped(p: Patch) -> None:
    replace(p, Inbox, "take", lambda self, delivery: None)


def the_password_is_never_checked(p: Patch) -> None:
    from im_proto.client.login import Answer, Judgement

    replace(p, Login, "judge", lambda self, response: Judgement(answer=Answer.WELCOME))


def a_hole_is_passed_over(p: Patch) -> None:
    wrap(p, Inbox, "look_at", lambda seen, *a, **k: Seen.NEW if seen is Seen.HOLE else seen)


ONE = {"max_unhandled": 1}
SLOW = {"timeouts": {"ack": 0.5}, "in_flight": 3}
DROPS = {"max_unhandled": 2, "when_full": "drop_oldest"}
#: met in the first few runs: these go with every run of the tests
QUICK = {
    no_dedupe,
    every_push_is_lost,
    a_hole_is_passed_over,
    a_content_is_altered,
    acknowledged_unhandled,
    given_up_too_early,
    a_deadline_in_the_past,
    a_refused_input_changes_something,
    frames_without_a_mask,
    reading_never_stops,
}
SABOTAGES: list[tuple[Callable[[Patch], None], str, dict[str, Any]]] = [
    (
        no_dedupe,
        "'message' follows from nothing|delivered .*, the server sent|should have come",
        {},
    ),
    (every_push_is_lost, "nothing came of it|nobody asks for what is missing", {}),
    (a_hole_is_passed_over, "'(message|told)' follows from nothing", {}),
    (the_last_goes_first, "it overtakes message", {}),
    (accepted_twice, "'accepted' follows from nothing", {}),
    (withdrawn_twice, "ended twice", {}),
    (a_message_is_forgotten, "nothing came of it", {}),
    (failed_for_nothing, "'failed' follows from nothing", SLOW),
    (a_content_is_altered, "altered", {}),
    (given_up_too_early, r"given up after \d of 5 sends", {}),
    (no_window, "the window is 2", {"in_flight": 2}),
    (no_window_per_recipient, "the same recipient is unanswered at a plain", {"extensions": False}),
    (sent_again_on_the_same_link, "it is unanswered on this link|the window is", SLOW),
    (acknowledged_unhandled, "acknowledges .*, which is not handled", {}),
    (a_deadline_in_the_past, "a deadline in the past", {}),
    (a_deadline_that_does_not_move, "no time would pass", {}),
    (no_deadline_while_connecting, "wants a link and waits for nothing", {}),
    (a_deadline_that_survives, "still waits for something", {}),
    (stale_tokens_count, "not what was asked|what it did not ask for", {"token": str}),
    (a_refused_input_changes_something, "was refused, and changed something", {}),
    (a_peer_can_raise, "raised by what a peer said", {}),
    (the_network_wakes_the_unwilling, "a transport for nothing", {}),
    (disconnect_does_nothing, "wants a link: False", {}),
    (heartbeats_go_on, "only a logged-in link is probed|deadline", {}),
    (more_bytes_after_the_end, "SendBytes", {}),
    (frames_without_a_mask, "the client broke RFC 6455", {}),
    (changes_are_not_told, "was not told", {}),
    (reading_never_stops, "goes on reading", ONE),
    (reading_stops_for_nothing, "paused for nothing|told of it", ONE),
    (nobody_is_told_that_it_is_behind, "told of it: False", ONE),
    (told_at_every_step, "told twice|told of it", ONE),
    (nothing_is_read_while_an_answer_is_awaited, "paused for nothing", ONE),
    (nothing_is_dropped, "more wait than max_unhandled", DROPS),
    (the_password_is_never_checked, "'welcome' follows from nothing", {}),
]


@pytest.mark.parametrize(
    ("sabotage", "words", "config"),
    [
        pytest.param(*s, id=s[0].__name__, marks=[] if s[0] in QUICK else [pytest.mark.slow])
        for s in SABOTAGES
    ],
)
def test_the_machine_finds_a_client_in_which(
    sabotage: Callable[[Patch], None],
    words: str,
    config: dict[str, Any],
    monkeypatch: Patch,
) -> None:
    sabotage(monkeypatch)
    fails(client_machine(**config), words)


def test_a_machine_may_have_more_rules_such_as_one_that_finds_what_is_rare(
    monkeypatch: Patch,
) -> None:
    class Behind(client_machine(**DROPS)):  # type: ignore[misc]
        @precondition(lambda self: self.logged_in)
        @rule()
        def much_comes_while_something_is_being_handled(self) -> None:
            for n in range(4):
                self.say(ChatRedirectToUser(content=f"n{n}"))
                for delivery in list(self.model.unhandled):
                    self.do(inp.MessageTaken(delivery=delivery))

    run_state_machine_as_test(Behind, settings=settings(SABOTAGED, max_examples=10))
    what_was_begun_is_dropped(monkeypatch)
    fails(Behind, "had begun with")


def test_a_mailbox_that_has_used_all_numbers_stays_at_the_last() -> None:
    class AtTheEnd(client_machine()):  # type: ignore[misc]
        @precondition(lambda self: not self.logged_in)
        @rule()
        def gets_on_to_the_last_but_one(self) -> None:
            welcome = {"ours": True, "epoch": "e0", "reset": False, "seq": MAX_ID - 1, "more": True}
            for _ in range(8):
                if not self.logged_in:
                    self._get_on(welcome | {"in_flight": None, "hint": False, "expires_in": None})

        @precondition(lambda self: self.logged_in)
        @rule()
        def more_comes(self) -> None:
            kinds = ["message", "read", "receipt", "own", "copy"]
            self.the_server_pushes(
                steps=[1, 3, 1, 1, 1], kinds=kinds, from_user=2, twin=False, under_way=0
            )

    run_state_machine_as_test(AtTheEnd, settings=SOUND)
