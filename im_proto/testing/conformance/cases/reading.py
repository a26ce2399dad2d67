"""Bytes that come in: in any chunking, up to their end, and no more than wanted."""

from __future__ import annotations

import socket
import time

from ....client import events as ev
from ....client.inputs import MessageHandled
from ....errors import IMErrorCode
from ....wire import AuthRequest, AuthResponse, HeartbeatResponse
from ..bench import Bench
from ..case import Chapter
from ..failure import Failed

READING = Chapter()
_LOOP = "the loop that reads the socket: each chunk is one BytesReceived, as it came, in order"


@READING.case(
    must="Bytes may come cut at any place; the engine puts frames together, not the adapter.",
    look=_LOOP,
)
def reads_split(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    connection = bench.log_in(peer)
    contents: list[str] = []
    # often behind few bytes: a client that is slow may read both parts as one
    for cut in [*range(1, 4), *range(1, 40, 3)] * 2:
        contents.append(f"message {len(contents)}, cut after {cut} bytes")
        frame = connection.push(contents[-1], len(contents))
        connection.write(frame[:cut])
        time.sleep(0.008)
        connection.write(frame[cut:])
    bench.received(contents, "messages cut in two did not come whole")


@READING.case(
    must="One read may hold the answer to the log-in and many frames behind it; all count.",
    look="the loop that reads the socket: what one read returned goes to the engine whole",
)
def reads_coalesced(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    connecting = bench.connecting()
    connection = peer.accept()
    connection.accept()
    connection.next(AuthRequest)
    contents = [f"message {n}" for n in range(60)]
    frames = [connection.push(content, n + 1) for n, content in enumerate(contents)]
    connection.write(connection.frame(AuthResponse(code=0)) + b"".join(frames))
    connecting.result()
    bench.received(contents, "of the frames in one segment some were lost or changed places")


@READING.case(
    must="A whole session may come one byte at a time.",
    look=_LOOP,
)
def reads_one_byte_at_a_time(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    connecting = bench.connecting()
    connection = peer.accept()
    connection.trickle(connection.accepting())
    connection.next(AuthRequest)
    connection.trickle(connection.frame(AuthResponse(code=0)))
    connecting.result()
    connection.trickle(connection.push("byte", 1) + connection.push("by byte", 2))
    bench.received(["byte", "by byte"], "what came byte by byte did not come whole")


@READING.case(
    must="A message of many reads comes whole, and nothing waits for more than there is.",
    look="the loop that reads the socket: it must hand over what there is, and not fill a buffer",
)
def reads_a_big_message(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    connection = bench.log_in(peer)
    big = "".join(f"{n:05}\u4e2d\u6587" for n in range(9000))
    connection.write(connection.push(big, 1) + connection.push("small", 2))
    bench.received([big, "small"], "a message of 100 kB did not come whole")


@READING.case(
    must="What came before the end of file counts: first the bytes, then TransportLost.",
    look="the end of the reading loop: deliver what was read before you tell of the end",
)
def reads_before_the_end(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    for n in range(1, 6):
        connection = bench.log_in(peer) if n == 1 else peer.accept()
        if n > 1:
            connection.log_in()
        connection.write(connection.push(f"last words {n}", n))
        connection.finish()
    bench.received([f"last words {n}" for n in range(1, 6)], "the end overtook the bytes before it")


@READING.case(
    must="Half a close is an end: the peer says no more, so the engine must hear TransportLost.",
    look="the reading loop: an empty read is the end; close the socket, feed TransportLost",
)
def half_close(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    connection = bench.log_in(peer)
    connection.half_close()
    bench.wait(ev.Disconnected, why="the peer has closed its direction (FIN)")
    connection.until_ended()
    peer.accept().log_in()
    bench.wait(ev.Reconnected)


@READING.case(
    must="A reset is an end like any other: TransportLost, and the engine comes back.",
    look="both loops: ConnectionResetError and BrokenPipeError are TransportLost",
)
def reset(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    connection = bench.log_in(peer)
    connection.reset()
    bench.wait(ev.Disconnected, why="the peer has sent a reset (RST)")
    again = peer.accept()
    again.log_in()
    bench.wait(ev.Reconnected)
    bench.send("after the reset")
    if again.take(1) != ["after the reset"]:
        raise Failed("the message after the reset is not the one that was sent")


@READING.case(
    must="A reset before the upgrade was answered fails the attempt; connect() tells it.",
    look="opening: between TransportOpened and the first byte a transport may be lost as well",
)
def reset_before_the_upgrade(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    connecting = bench.connecting()
    connection = peer.accept()
    connection.requested()
    connection.reset()
    error = connecting.im_error()
    if error.code is not IMErrorCode.CONNECTION_FAILED:
        raise Failed(f"connect() raised {error}; CONNECTION_FAILED was due")
    bench.nothing_left()


@READING.case(
    must="A peer that answers with garbage fails the attempt, and breaks nothing.",
    look="AbortTransport, which follows a broken upgrade: it closes the socket at once",
)
def garbage_for_an_answer(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    bench.log_in(peer).finish()
    connection = peer.accept()
    connection.requested()
    connection.put(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
    connection.until_ended()
    peer.accept().log_in()
    bench.wait(ev.Reconnected)


@READING.case(
    must="A frame above the limit ends the link with 1009; what goes on coming is not kept.",
    look="CloseTransport while the peer still writes, and the close deadline after it",
)
def oversized_frame(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), message_bytes=65_536)
    connection = bench.log_in(peer)
    connection.put(b"\x81\x7f" + (1 << 30).to_bytes(8, "big") + b"x" * 1000)
    code = connection.until_close_frame()
    if code != 1009:
        raise Failed(f"a frame of 1 GiB was answered with close code {code}; 1009 was due")
    connection.until_ended()
    bench.wait(ev.ProtocolViolation)
    peer.accept().log_in()
    bench.wait(ev.Reconnected)


@READING.case(
    must="After PauseReading nothing more is read, so a peer that floods is held back by TCP; "
    "after ResumeReading all of it comes.",
    look="PauseReading and ResumeReading: stop asking for bytes, and start again; they must also "
    "work while a read is under way",
)
def pause_reading(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), max_unhandled=10)
    connection = bench.log_in(peer)
    size, count = 60_000, 100
    raw = connection.raw
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    contents = [f"{n:03}" + "\u4e2d" * size for n in range(count)]
    pending = memoryview(b"".join(connection.push(c, n + 1) for n, c in enumerate(contents)))
    total = len(pending)
    raw.settimeout(1.0)
    try:
        while pending:
            pending = pending[raw.send(pending[:65_536]) :]
    except TimeoutError:
        pass
    finally:
        raw.settimeout(bench.patience)
    if not pending:
        raise Failed(f"the client took all of {total >> 20} MiB while its application was behind")
    bench.wait(ev.MessageReceived, 10)
    came = len(bench.of(ev.MessageReceived))
    if came > 20:
        raise Failed(f"{came} messages came in; the engine asked to pause after 10")
    writing = bench.call("the peer's flood", lambda: raw.sendall(pending))
    handled = 0
    while handled < count:
        bench.wait(ev.MessageReceived, handled + 1, why="reading was resumed")
        for event in bench.of(ev.MessageReceived)[handled:]:
            bench.subject.feed(MessageHandled(delivery=event.delivery))
            handled += 1
    writing.result()
    bench.received(contents, "over the pause messages were lost or changed places")


@READING.case(
    must="A client whose reading is paused can be disconnected, and leaves nothing.",
    look="CloseTransport and AbortTransport of a transport that is not being read",
)
def disconnect_while_paused(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), max_unhandled=5)
    connection = bench.log_in(peer)
    connection.write(b"".join(connection.push(f"{n}", n + 1) for n in range(8)))
    bench.wait(ev.MessageReceived, 5)
    connection.write(connection.push("nobody reads this", 9))
    time.sleep(0.02)
    bench.disconnect()
    bench.nothing_left()


@READING.case(
    must="An answer to a probe may come between any other bytes; heartbeats keep their pace "
    "while data flows.",
    look="the timer: a deadline must fire however busy the reading loop is, and a step that "
    "changes nothing about the deadline must not put the timer off",
)
def heartbeats_keep_their_pace(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), heartbeat={"interval": 0.05, "timeout": 5})
    connection = bench.log_in(peer)
    frame = connection.frame(HeartbeatResponse()) * 20
    begin = time.monotonic()
    while len(bench.of(ev.HeartbeatSent)) < 6:
        took = time.monotonic() - begin
        if took > bench.patience:
            told = len(bench.of(ev.HeartbeatSent))
            raise Failed(f"{told} heartbeats in {took:g} s of steady data; one each 0.05 s was due")
        connection.write(frame)
        time.sleep(0.001)
