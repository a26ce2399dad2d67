"""A journal: what is on disk before anything is said, and what the next process makes of it."""

from __future__ import annotations

from ....client import events as ev
from ....client.inputs import MessageHandled
from ....errors import IMErrorCode
from ....wire import (
    AuthData,
    AuthRequest,
    AuthResponse,
    ChatAck,
    ChatSendResponse,
    ChatSendToOne,
    HeartbeatRequest,
    HeartbeatResponse,
)
from ..bench import Bench
from ..case import Chapter, Level
from ..failure import Failed
from ..peer import Connection, Peer
from ..subject import Feature

JOURNAL = Chapter(Level.EXTRAS)
_ORDER = (
    "WriteJournal: write the changes in one transaction, in the order of the requests; feed "
    "JournalWritten when they are on disk, not before"
)
_LOAD = (
    "loading: JournalState holds all that was ever written, as JournalState.apply() says; give it "
    "to the engine"
)
_EPOCH = "e0"


def _log_in(bench: Bench, peer: Peer) -> tuple[Connection, AuthRequest]:
    """Log in as a server with mailboxes; what the client asked for, too."""
    connecting = bench.connecting()
    connection = peer.accept()
    connection.accept()
    request = connection.next(AuthRequest)
    resume = request.resume
    data = AuthData(
        device_id=request.device_id,
        capabilities=["seq"],
        epoch=_EPOCH,
        resume=None if resume is None else "recovered",
        seq=0 if resume is None else resume.seq,
    )
    connection.say(AuthResponse(code=0, message="", data=data))
    connecting.result()
    return connection, request


def _handle(bench: Bench, *contents: str) -> None:
    for event in bench.of(ev.MessageReceived):
        if event.content in contents:
            bench.subject.feed(MessageHandled(delivery=event.delivery))


@JOURNAL.case(
    needs=Feature.JOURNAL,
    must="A message is on disk before a byte of it goes out: a process that dies as it goes sends "
    "it again in its next life, under the same msgId.",
    look=_ORDER,
)
def a_record_before_the_bytes(bench: Bench) -> None:
    peer = bench.peer()
    bench.storing_client(peer.url())
    connection = bench.idempotent(peer)
    bench.send("on its way")
    first = connection.next(ChatSendToOne)
    bench.kill()
    bench.storing_client(peer.url())
    again = bench.idempotent(peer).next(ChatSendToOne)
    if (again.msg_id, again.content) != (first.msg_id, first.content):
        raise Failed(f"before its end the client sent {first!r}, in its next life {again!r}")


@JOURNAL.case(
    needs=Feature.JOURNAL,
    must="A client that was killed sends, in its next life, what has no answer yet, in order and "
    "under the same msgIds, and nothing else.",
    look=f"{_LOAD}. What was accepted is written as OutgoingGone",
)
def killed_and_begun_again(bench: Bench) -> None:
    peer = bench.peer()
    bench.storing_client(peer.url(), in_flight=4)
    connection = bench.idempotent(peer)
    contents = [str(n) for n in range(6)]
    for content in contents:
        bench.send(content)
    sent = [connection.next(ChatSendToOne) for _ in range(4)]
    for message in sent[:2]:
        connection.say(ChatSendResponse(msg_id=message.msg_id, code=0))
    bench.wait(ev.MessageAccepted, 2)
    # what follows goes out after that is on disk
    sent += [connection.next(ChatSendToOne) for _ in range(2)]
    bench.wait(ev.MessageQueued, len(contents))
    bench.kill()
    bench.storing_client(peer.url(), in_flight=4)
    connection = bench.idempotent(peer)
    again = []
    for _ in sent[2:]:
        again.append(connection.next(ChatSendToOne))
        connection.say(ChatSendResponse(msg_id=again[-1].msg_id, code=0))
    due, came = ([(m.msg_id, m.content) for m in half] for half in (sent[2:], again))
    if due != came:
        raise Failed(f"unanswered were {due}; in its next life the client sent {came}")
    bench.wait(ev.MessageAccepted, len(again))
    bench.send("new")
    if connection.take(1) != ["new"]:
        raise Failed("the client sent more than what had no answer")


@JOURNAL.case(
    needs=Feature.JOURNAL,
    must="What the application may have seen and has not handled comes again in the next life, "
    "marked as redelivered; what it has handled does not.",
    look=f"{_ORDER}. {_LOAD}",
)
def what_comes_again_is_flagged(bench: Bench) -> None:
    peer = bench.peer()
    bench.storing_client(peer.url())
    connection, _ = _log_in(bench, peer)
    for seq in (1, 2, 3):
        connection.write(connection.push(f"m{seq}", seq, seq))
    bench.wait(ev.MessageReceived, 3)
    if any(event.redelivered for event in bench.of(ev.MessageReceived)):
        raise Failed("a message that nobody can have seen came as redelivered")
    _handle(bench, "m1")
    _until_acked(connection, 1)
    bench.kill()
    bench.storing_client(peer.url())
    connection, request = _log_in(bench, peer)
    if request.resume is None or request.resume.seq != 1:
        raise Failed(f"up to 1 was handled, and the client resumes from {request.resume!r}")
    for seq in (2, 3, 4):
        connection.write(connection.push(f"m{seq}", seq, seq))
    bench.received(["m2", "m3", "m4"], "behind what was handled everything comes again, once")
    flags = [event.redelivered for event in bench.of(ev.MessageReceived)]
    if flags != [True, True, False]:
        raise Failed(f"the application may have seen m2 and m3, not m4; redelivered is {flags}")


@JOURNAL.case(
    needs=Feature.JOURNAL,
    must="What is acknowledged is on disk: after its death a client resumes from there, or from "
    "further on.",
    look=_ORDER,
)
def acknowledged_is_on_disk(bench: Bench) -> None:
    peer = bench.peer()
    bench.storing_client(peer.url())
    connection, _ = _log_in(bench, peer)
    for seq in (1, 2, 3):
        connection.write(connection.push(f"m{seq}", seq, seq))
    bench.wait(ev.MessageReceived, 3)
    _handle(bench, "m1", "m2", "m3")
    _until_acked(connection, 3)
    bench.kill()
    bench.storing_client(peer.url())
    _, request = _log_in(bench, peer)
    if request.resume is None or request.resume.seq < 3:
        raise Failed(f"3 was acknowledged, and the client resumes from {request.resume!r}")


@JOURNAL.case(
    needs=Feature.JOURNAL,
    must="One file has one user: a second client is refused (JOURNAL_FAILED) as long as the first "
    "is there, and takes the file when it is closed.",
    look="a lock on the file, from the constructor until close()",
)
def a_second_user_of_the_file(bench: Bench) -> None:
    peer = bench.peer()
    bench.storing_client(peer.url())
    error = bench.storing(peer.url()).im_error()
    if error.code is not IMErrorCode.JOURNAL_FAILED:
        raise Failed(f"the second client was refused with {error.code}, not JOURNAL_FAILED")
    bench.close()
    bench.storing_client(peer.url())
    bench.idempotent(peer)


def _until_acked(connection: Connection, seq: int) -> None:
    while True:
        message = connection.receive()
        if isinstance(message, ChatAck):
            if message.seq > seq:
                raise Failed(f"{seq} was handled, and the client acknowledges {message.seq}")
            if message.seq == seq:
                return
        elif isinstance(message, HeartbeatRequest):
            connection.say(HeartbeatResponse())
        else:
            raise Failed(f"an acknowledgement of {seq} was due, and there came {message!r}")
