"""messages() and the message_received callback of the threads client."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest

from adapters.threads_kit import (
    LONGEST,
    Background,
    Connection,
    Peer,
    client_of,
    nothing_left,
    plain,
    until,
    within,
)
from im_proto.wire import AuthRequest, AuthResponse, ChatAck, ChatSendResponse, ChatSendToOne
from im_threads import IMClient, IMError, LocalProtocolError, Message

__all__ = ["nothing_left"]
pytestmark = pytest.mark.usefixtures("nothing_left")


class Pusher:
    """A server with `seq`: pushes what it is told to, and notes what is acknowledged."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.acked = 0
        self._changed = threading.Condition()
        self.lose = threading.Event()
        self.resumed: list[int] = []

    def __call__(self, connection: Connection) -> None:
        request = connection.login_with_seq(seq=self.acked, resume=None)
        if request.resume is not None:
            self.resumed.append(request.resume.seq)
        for seq in range(self.acked + 1, self._count + 1):
            connection.push(f"m{seq}", msg_id=1000 + seq, seq=seq)
        while not self.lose.is_set():
            message = connection.receive()
            if isinstance(message, ChatSendToOne):
                connection.send(ChatSendResponse(msg_id=message.msg_id))
            if isinstance(message, ChatAck):
                with self._changed:
                    assert message.seq > self.acked
                    self.acked = message.seq
                    self._changed.notify_all()
        self.lose.clear()

    def until(self, seq: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.acked >= seq, LONGEST)


def push_plain(*contents: str) -> Any:
    """A plain server that pushes something after the log-in."""

    def script(connection: Connection) -> None:
        connection.login()
        for number, content in enumerate(contents, 1):
            connection.push(content, msg_id=number)
        connection.answer_all()

    return script


def received(client: IMClient, count: int) -> None:
    """Wait until the engine has delivered so many."""
    until(lambda: client.counters.received >= count)


def collect(client: IMClient, count: int) -> list[str]:
    """The contents of so many messages, the last one acknowledged too."""
    messages = client.messages()
    contents = [next(messages).content for _ in range(count)]
    messages.acknowledge()
    messages.close()
    return contents


# ------------------------------------------------------------ the iterator


def test_messages_come_in_order_with_their_fields() -> None:
    with Peer(push_plain("a", "b")) as peer, client_of(peer) as client:
        client.connect()
        messages = client.messages()
        first = next(messages)
        assert isinstance(first, Message)
        assert (first.content, first.from_user, first.msg_id) == ("a", 2, 1)
        assert next(messages).content == "b"


def test_asking_for_the_next_acknowledges_the_one_before() -> None:
    pusher = Pusher(3)
    with Peer(pusher) as peer, client_of(peer) as client:
        client.connect()
        messages = client.messages()
        next(messages)
        next(messages)
        pusher.until(1)
        next(messages)
        pusher.until(2)
        assert pusher.acked == 2


@pytest.mark.parametrize("how", ["break", "close", "raise"])
def test_what_was_left_comes_again(how: str) -> None:
    with Peer(Pusher(2)) as peer, client_of(peer) as client:
        client.connect()
        messages = client.messages()
        with pytest.raises(ValueError, match="boom") if how == "raise" else within(LONGEST):
            for _ in messages:
                if how == "raise":
                    raise ValueError("boom")
                if how == "close":
                    messages.close()
                break
        assert collect(client, 2) == ["m1", "m2"]


def test_what_is_not_acknowledged_comes_again_after_a_reconnect() -> None:
    pusher = Pusher(3)
    with Peer(pusher) as peer, client_of(peer) as client:
        client.connect()
        for message in client.messages():
            if message.content == "m2":
                break
        client.disconnect()
        pusher.until(1)
        assert pusher.acked == 1
        client.connect()
        assert collect(client, 2) == ["m2", "m3"]
        pusher.until(3)
        assert pusher.resumed == [1]
        assert client.counters.received == 3  # the engine knew them; each came once


def test_acknowledge_says_it_before() -> None:
    pusher = Pusher(1)
    with Peer(pusher) as peer, client_of(peer) as client:
        client.connect()
        messages = client.messages()
        next(messages)
        messages.acknowledge()
        pusher.until(1)
        messages.acknowledge()  # twice is nothing
        messages.close()
        with pytest.raises(StopIteration):
            next(messages)


def test_it_ends_after_disconnect() -> None:
    with Peer(plain) as peer, client_of(peer) as client:
        client.connect()
        messages = client.messages()
        consuming = Background(lambda: len(list(messages)))
        until(lambda: messages.waiting)
        client.disconnect()
        assert consuming.result() == 0
        assert list(client.messages()) == []  # and after it, at once


def test_it_ends_when_nothing_came_for_too_long() -> None:
    with Peer(push_plain("a", "b")) as peer, client_of(peer) as client:
        client.connect()
        received(client, 2)
        messages = client.messages(timeout=0.02)
        with within(15.0):
            assert [m.content for m in messages] == ["a", "b"]
        assert messages.finished
        assert list(client.messages(timeout=0.0)) == []  # "b" was handled: the next was asked for


def test_a_message_within_the_timeout_begins_it_anew() -> None:
    with Peer(push_plain("a")) as peer, client_of(peer) as client:
        messages = client.messages(timeout=60)
        first = Background(next, messages)
        until(lambda: messages.waiting)
        client.connect()
        assert first.result().content == "a"


def test_it_is_ended_by_another_thread() -> None:
    with client_of("ws://127.0.0.1:1/") as client:
        messages = client.messages()
        consuming = Background(list, messages)
        until(lambda: messages.waiting)
        messages.close()
        assert consuming.result() == []


def test_after_disconnect_only_what_nobody_would_send_again() -> None:
    with Peer(push_plain("a", "b")) as peer, client_of(peer) as client:
        client.connect()
        received(client, 2)
        client.disconnect()
        assert [m.content for m in client.messages()] == ["a", "b"]
    with Peer(Pusher(2)) as peer, client_of(peer) as client:
        client.connect()
        received(client, 2)
        client.disconnect()
        assert list(client.messages()) == []
        client.connect()
        assert collect(client, 2) == ["m1", "m2"]


def test_it_may_begin_before_connect_and_goes_on_over_lost_links() -> None:
    lose = threading.Event()

    def first(connection: Connection) -> None:
        connection.login()
        connection.push("before", msg_id=1)
        lose.wait()
        connection.reset()

    def after(connection: Connection) -> None:
        connection.login()
        connection.push("after", msg_id=2)
        connection.until_gone()

    with Peer(first, after) as peer, client_of(peer) as client:
        contents: list[str] = []

        def consume() -> None:
            for message in client.messages():
                contents.append(message.content)
                if message.content == "after":
                    return
                lose.set()

        consuming = Background(consume)
        client.connect()
        consuming.result()
        assert contents == ["before", "after"]


def test_a_terminal_error_is_raised_out_of_it() -> None:
    lose = threading.Event()

    def first(connection: Connection) -> None:
        connection.login()
        lose.wait()

    def refuse(connection: Connection) -> None:
        connection.accept()
        connection.next(AuthRequest)
        connection.send(AuthResponse(code=403))
        connection.until_gone()

    with Peer(first, refuse) as peer, client_of(peer) as client:
        client.connect()
        messages = client.messages()
        waiting = Background(next, messages)
        until(lambda: messages.waiting)
        lose.set()
        with pytest.raises(IMError) as caught:
            waiting.result()
        assert caught.value.terminal
        with pytest.raises(StopIteration):
            next(messages)
        with pytest.raises(IMError):  # as long as the client has given up
            next(client.messages())


def test_an_interrupted_wait_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C may hit when the message is taken already, and nobody has it."""
    pusher = Pusher(3)
    with Peer(pusher) as peer, client_of(peer) as client:
        client.connect()
        received(client, 3)
        messages = client.messages()
        assert next(messages).content == "m1"
        ask = client._loop.ask

        def interrupted(function: Any, *args: Any) -> Any:
            result = ask(function, *args)
            if threading.current_thread() is threading.main_thread():
                raise KeyboardInterrupt
            return result

        with monkeypatch.context() as patch:
            patch.setattr(client._loop, "ask", interrupted)
            with pytest.raises(KeyboardInterrupt):
                next(messages)
        assert next(messages).content == "m2"
        assert next(messages).content == "m3"
        pusher.until(2)


def test_an_interrupted_wait_is_no_wait_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with Peer(push_plain("a")) as peer, client_of(peer) as client:
        messages = client.messages()

        def interrupted(*_: Any) -> bool:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("threading.Event.wait", interrupted)
            with pytest.raises(KeyboardInterrupt):
                next(messages)
        until(lambda: not messages.waiting)
        client.connect()
        assert next(messages).content == "a"


def test_only_one_at_a_time() -> None:
    with Peer(push_plain("a")) as peer, client_of(peer) as client:
        client.connect()
        first = client.messages()
        assert next(first).content == "a"
        waiting = Background(next, first, None)
        until(lambda: first.waiting)
        with pytest.raises(LocalProtocolError, match="another one"):
            next(first)
        with pytest.raises(LocalProtocolError, match="another one"):
            client.messages()
        first.close()
        assert waiting.result() is None
        second = client.messages()
        third = client.messages()
        with pytest.raises(LocalProtocolError, match="taken over"):
            next(second)
        third.close()


# ------------------------------------------------------------ the callback


def test_iterator_and_callback_together_are_refused() -> None:
    with client_of("ws://127.0.0.1:1/") as client:
        client.on("message_received", print)
        with pytest.raises(LocalProtocolError, match="message_received"):
            client.messages()
        client.off("message_received", print)
        messages = client.messages()
        for register in (
            lambda: client.on("message_received", print),
            lambda: client.once("message_received", print),
            lambda: client.set_callbacks(message_received=print, error=print),
        ):
            with pytest.raises(LocalProtocolError, match=r"messages\(\)"):
                register()
        assert "error" not in client._callbacks  # nothing was set
        messages.close()
        client.on("message_received", print)


def test_an_iterator_left_by_break_does_not_stand_in_the_way() -> None:
    with Peer(push_plain("a")) as peer, client_of(peer) as client:
        client.connect()
        for _ in client.messages():
            break
        gc.collect()
        got: list[Message] = []
        client.on("message_received", got.append)
        until(lambda: got)
        assert got[0].content == "a"


def test_a_message_is_acknowledged_when_its_callback_has_returned() -> None:
    pusher = Pusher(2)
    inside, go = threading.Event(), threading.Event()

    def callback(_: Message) -> None:
        inside.set()
        go.wait()

    with Peer(pusher) as peer, client_of(peer) as client:
        client.on("message_received", callback)
        client.connect()
        inside.wait()
        assert pusher.acked == 0
        go.set()
        pusher.until(2)


def test_a_message_whose_callback_raised_is_offered_again_before_those_behind_it() -> None:
    pusher = Pusher(3)
    calls: list[tuple[str, int, bool]] = []

    def callback(message: Message) -> None:
        calls.append((message.content, message.attempt, message.redelivered))
        if message.content == "m1" and message.attempt == 1:
            received(client, 3)  # all are here by then
            raise ValueError("boom")

    with Peer(pusher) as peer, client_of(peer) as client:
        client.on("message_received", callback)
        client.connect()
        pusher.until(3)
        assert calls == [("m1", 1, False), ("m1", 2, True), ("m2", 1, False), ("m3", 1, False)]


def test_what_came_before_the_callback_goes_to_it() -> None:
    with Peer(push_plain("a", "b", "c")) as peer, client_of(peer) as client:
        client.connect()
        received(client, 3)
        got: list[str] = []

        def callback(message: Message) -> None:
            got.append(message.content)

        client.once("message_received", callback)
        until(lambda: got and not client._dispatcher.busy)
        assert got == ["a"]  # once is once; the others wait
        client.on("message_received")(callback)
        until(lambda: len(got) == 3)
        assert got == ["a", "b", "c"]


def test_with_neither_they_are_kept_for_a_later_iterator() -> None:
    with Peer(push_plain("a", "b")) as peer, client_of(peer) as client:
        client.connect()
        received(client, 2)
        assert collect(client, 2) == ["a", "b"]


def test_after_disconnect_no_callback_for_what_comes_again() -> None:
    pusher = Pusher(3)
    calls: list[str] = []
    inside, go = threading.Event(), threading.Event()

    def callback(message: Message) -> None:
        calls.append(message.content)
        inside.set()
        go.wait()

    with Peer(pusher) as peer, client_of(peer) as client:
        client.on("message_received", callback)
        client.connect()
        inside.wait()
        ending = Background(client.disconnect)
        peer.idle()
        go.set()
        ending.result()
        assert calls == ["m1"]
        client.connect()
        pusher.until(3)
        assert calls == ["m1", "m2", "m3"]


# ------------------------------------------------------------ too many of them


def test_a_slow_application_stops_the_reading_and_nothing_is_lost() -> None:
    """`when_full="block"`: the engine pauses the socket, heartbeats and answers go on."""
    count = 600
    with Peer(Pusher(count)) as peer, client_of(peer, max_unhandled=100) as client:
        client.connect()
        received(client, 100)
        until(lambda: "Nothing more is read" in client.explain())
        assert client.send_message(2, "answers are heard").done
        assert collect(client, count) == [f"m{n}" for n in range(1, count + 1)]


def test_what_nobody_takes_is_dropped_where_that_was_chosen() -> None:
    contents = [f"{n}" for n in range(30)]
    more = {"max_unhandled": 10, "when_full": "drop_oldest"}
    with Peer(push_plain(*contents)) as peer, client_of(peer, **more) as client:
        client.connect()
        received(client, 30)
        assert collect(client, 10) == contents[20:]
