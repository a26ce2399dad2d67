"""What goes wrong on machines, in the store, with tokens and applications: a function each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...client import inputs as ci
from ...server.actions import StoreLogin
from ...wire import codes
from ...wire.session import SessionOp
from . import misused
from .registry import fault

if TYPE_CHECKING:
    from .chaos import Chaos

# ---------------------------------------------------------------- processes and machines


@fault
def client_killed(chaos: Chaos) -> bool:
    """A client's process is killed and started again, without a memory."""
    client = chaos.client()
    client.crash()
    chaos.restart(client)
    return True


@fault
def client_power_cut(chaos: Chaos) -> bool:
    """A client's machine loses power: nobody is told."""
    client = chaos.client()
    client.crash(silent=True)
    chaos.restart(client)
    return True


@fault
def server_killed(chaos: Chaos) -> bool:
    """The server's process is killed; what was being committed is in the store or not."""
    server = chaos.world.server
    if server.gateway is None:
        return False
    server.kill()
    chaos.undo(chaos.rng.uniform(0.1, 10), server.start)
    return True


@fault
def server_power_cut(chaos: Chaos) -> bool:
    """The server's machine loses power: no client is told."""
    server = chaos.world.server
    if server.gateway is None:
        return False
    server.kill(silent=True)
    chaos.undo(chaos.rng.uniform(1, 20), server.start)
    return True


@fault
def drain(chaos: Chaos) -> bool:
    """The server is asked to go down in good order, and is started again when it has."""
    server = chaos.world.server
    if server.gateway is None or chaos.draining:
        return False
    world, rng = chaos.world, chaos.rng
    chaos.draining = True
    if rng.random() < 0.5:  # with commits under way, and log-ins
        server.commit_time = 0.3
        chaos.undo(3.0, lambda: setattr(server, "commit_time", 0.005))
        server.failing = rng.choice((0.0, 0.0, 1.0))
        chaos.undo(2.0, lambda: setattr(server, "failing", 0.0))
        server.auth_time = rng.choice((0.005, 0.2))
        chaos.undo(3.0, lambda: setattr(server, "auth_time", 0.005))
        for client in world.clients:
            if not client.frozen and rng.random() < 0.7:
                client.disconnect()
                client.connect()
    world.later(rng.uniform(0.0, 0.1), chaos.drain, rng.choice((None, 0.5, 3.0)))
    return True


@fault
def sleep(chaos: Chaos) -> bool:
    """A machine sleeps: its network stands still, its monotonic clock may, its wall clock not."""
    world, rng = chaos.world, chaos.rng
    machine = rng.choice(world.machines) if rng.random() < 0.2 else chaos.client().machine
    if machine.asleep is not None:
        return False
    world.sleep(machine, rng.choice((0.5, 5.0, 60.0, 200.0)))
    if rng.random() < 0.5:  # whoever was on its links has given them up meanwhile
        for node in machine.nodes:
            for end in list(node.ends.values()):
                if end.connected:
                    world.network.cut(end, tell=False, tell_other=True)
    return True


@fault
def stall(chaos: Chaos) -> bool:
    """A process gets no processor time for a while; what comes in waits for it."""
    world, rng = chaos.world, chaos.rng
    node = world.server if rng.random() < 0.2 else chaos.client()
    if node.frozen:
        return False
    world.stall(node, rng.choice((0.1, 1.5, 8.0, 40.0)))
    return True


@fault
def wall_clock(chaos: Chaos) -> bool:
    """A machine's wall clock is set, forwards or back."""
    machine = chaos.rng.choice(chaos.world.machines)
    machine.wall_offset += chaos.rng.choice((-86_400.0, -3.0, -0.01, 0.01, 3.0, 3600.0))
    return True


@fault
def early_timer(chaos: Chaos) -> bool:
    """A timer fires early, or once more."""
    world = chaos.world
    node = world.server if chaos.rng.random() < 0.3 else chaos.client()
    if node.frozen:
        return False
    node.wake()
    return True


# ---------------------------------------------------------------- the store


@fault
def store_fails(chaos: Chaos) -> bool:
    """The store refuses some or all commits, log-ins and reads for a while: StoreFailed."""
    server = chaos.world.server
    server.failing = chaos.rng.choice((0.3, 1.0))
    chaos.undo(chaos.rng.uniform(0.1, 8), lambda: setattr(server, "failing", 0.0))
    if chaos.rng.random() < 0.5:  # after a long time, when links have gone meanwhile
        server.commit_time = 0.5
        chaos.undo(8.0, lambda: setattr(server, "commit_time", 0.005))
        for end in list(chaos.world.network.ends):
            if end.open and chaos.rng.random() < 0.3:
                chaos.world.later(chaos.rng.uniform(0.2, 2.0), chaos.world.network.drop, end)
    return True


@fault
def store_slow(chaos: Chaos) -> bool:
    """Each commit and read takes up to seconds for a while."""
    server = chaos.world.server
    server.commit_time = chaos.rng.choice((0.2, 1.0, 4.0))
    chaos.undo(chaos.rng.uniform(1, 20), lambda: setattr(server, "commit_time", 0.005))
    return True


@fault
def unstorable(chaos: Chaos) -> bool:
    """The store can't hold one message, today or ever, and takes those around it."""
    chaos.world.server.unstorable = True
    return True


@fault
def retention(chaos: Chaos) -> bool:
    """The store drops the oldest part of a mailbox, read or not."""
    world = chaos.world
    user = chaos.client().config.user_id
    held = world.server.store.entries(user)
    if len(held) < 2:
        return False
    # old ones as a rule; now and then what nobody has read yet
    most = len(held) if chaos.rng.random() < 0.3 else max(1, len(held) // 2)
    oldest = held[0].seq + chaos.rng.randrange(1, most + 1)
    world.server.store.trim(user, oldest)
    world.ledger.trimmed(user, oldest)
    return True


@fault
def retention_race(chaos: Chaos) -> bool:
    """The store drops a whole mailbox, while what is in it is being read."""
    world = chaos.world
    user, server = chaos.client().config.user_id, world.server
    server.commit_time = 1.0
    chaos.undo(4.0, lambda: setattr(server, "commit_time", 0.005))
    for client in world.clients:
        world.say_something(client)

    def trim() -> None:
        oldest = server.store.oldest(user) + len(server.store.entries(user))
        server.store.trim(user, oldest)
        world.ledger.trimmed(user, oldest)

    world.later(chaos.rng.uniform(1.0, 3.0), trim)
    return True


@fault
def new_epoch(chaos: Chaos) -> bool:
    """A mailbox gets a new epoch, as after a move: nobody can resume in it."""
    world = chaos.world
    chaos.epochs += 1
    # it is moved while the server is down
    server = world.server
    if server.gateway is None:
        return False
    server.kill()
    user = chaos.client().config.user_id
    server.store.renew(user, f"e{chaos.epochs}")
    chaos.undo(chaos.rng.uniform(0.1, 2), server.start)
    return True


@fault
def login_elsewhere(chaos: Chaos) -> bool:
    """A device logs in at another gateway on the same store: this one's login is fenced."""
    client = chaos.client()
    if client.engine is None or not client.config.extensions:
        return False
    user, device = client.config.user_id, client.engine.device_id
    server = chaos.world.server
    at = int(server.machine.wall(chaos.world.now) * 1000)
    server.store.login(StoreLogin(request=0, user=user, device=device, resume_seq=None, at=at))
    return True


# ---------------------------------------------------------------- tokens


@fault
def token_refused(chaos: Chaos) -> bool:
    """The authenticator refuses a user's tokens for a while, or fails on them."""
    tokens, user = chaos.world.tokens, chaos.client().config.user_id
    tokens.refused[user] = chaos.rng.choice(
        (40101, codes.NOT_LOGGED_IN, codes.SERVER_ERROR, 403, 2**40)
    )
    chaos.undo(chaos.rng.uniform(0.5, 10), lambda: tokens.refused.pop(user, None) and None)
    end = chaos.link()
    if end is not None:
        chaos.world.network.cut(end)
    return True


@fault
def token_trouble(chaos: Chaos) -> bool:
    """A user's tokens expire, and the token function fails, is slow, silent, or behind the time."""
    world, client = chaos.world, chaos.client()
    client.token_trouble = chaos.rng.choice(("fails", "slow", "never", "expired", "nonsense"))
    chaos.undo(chaos.rng.uniform(0.5, 40), lambda: setattr(client, "token_trouble", None))
    world.tokens.expire(client.config.user_id)
    end = client.end
    if end is not None:
        world.network.cut(end)
    if chaos.rng.random() < 0.3:  # the application has another
        token = world.tokens.make(client.config.user_id)
        world.later(chaos.rng.uniform(0.5, 5.0), client.feed, ci.UpdateToken(token=token))
    if chaos.rng.random() < 0.3 and not client.frozen:  # and wants one for something else
        world.later(0.5, client.ask, SessionOp.GET_CURRENT)
    return not isinstance(client.config.token, str)


@fault
def new_token(chaos: Chaos) -> bool:
    """An application gives its client another token at a random moment."""
    client = chaos.client()
    if client.frozen:
        return False
    expired = chaos.rng.random() < 0.2
    token = chaos.world.tokens.make(client.config.user_id, expired=expired)
    client.feed(ci.UpdateToken(token=token))
    return True


@fault
def slow_authenticator(chaos: Chaos) -> bool:
    """The authenticator takes its time for a while, or never answers."""
    server = chaos.world.server
    server.auth_time = chaos.rng.choice((None, 1.0, 8.0))
    chaos.undo(chaos.rng.uniform(1, 15), lambda: setattr(server, "auth_time", 0.005))
    return True


# ---------------------------------------------------------------- applications


@fault
def disconnect(chaos: Chaos) -> bool:
    """An application disconnects, and connects again soon."""
    client = chaos.client()
    if client.frozen:
        return False
    end = client.end
    if end is not None and chaos.rng.random() < 0.3:  # a goodbye that nobody hears
        chaos.world.network.cut(end, tell=False, tell_other=False)
    client.disconnect()
    chaos.undo(chaos.rng.uniform(0, 5), client.connect)
    return True


@fault
def network_changed(chaos: Chaos) -> bool:
    """A client is told that its network has changed, whether that is so or not."""
    client, world = chaos.client(), chaos.world
    client.feed(ci.NetworkChanged())
    end = client.end
    if end is not None and chaos.rng.random() < 0.5:  # it has, and is told of several times
        world.network.cut(end)
        for delay in (0.3, 0.5, 0.9, 2.0):
            world.later(delay, client.feed, ci.NetworkChanged())
    return True


@fault
def session_call(chaos: Chaos) -> bool:
    """An application asks for sessions over HTTP, and the answer is wrong, late, or never comes."""
    client, choice = chaos.client(), chaos.rng.choice
    if client.frozen:
        return False
    client.http_well = choice((True, False, False))
    chaos.undo(20.0, lambda: setattr(client, "http_well", True))
    if not client.http_well and choice((True, False)):
        client.token_trouble = "fails"  # noqa: S105 - no password
        chaos.undo(10.0, lambda: setattr(client, "token_trouble", None))
    for op in chaos.rng.choices(list(SessionOp), k=choice((1, 3))):
        if op in (SessionOp.CREATE, SessionOp.START_CHAT):
            client.ask(op, book_id=1, buyer_id=1, seller_id=2)
        elif op is SessionOp.HISTORY:
            peer = chaos.client().config.user_id
            client.ask(op, peer_id=peer, direction=choice(("before", "after")), page_size=3)
        else:
            client.ask(op, session_id=7 if op is SessionOp.GET else None)
    return True


@fault
def cancel(chaos: Chaos) -> bool:
    """An application withdraws a message, in time or not."""
    client = chaos.client()
    pending = chaos.world.ledger.any_pending(client)
    if not pending or client.frozen:
        return False
    client.cancel(chaos.rng.choice(pending))
    return True


@fault
def app_stops(chaos: Chaos) -> bool:
    """An application handles nothing for a while."""
    chaos.stop_handling(chaos.client(), chaos.rng.uniform(1, 60))
    return True


@fault
def same_device(chaos: Chaos) -> bool:
    """A second process logs in as the same device, until it is killed."""
    return chaos.twin(chaos.client())


@fault
def same_moment(chaos: Chaos) -> bool:
    """All devices of a user send at the same moment, with the same wall clock."""
    return chaos.burst(chaos.client().config.user_id)


@fault
def misuse(chaos: Chaos) -> bool:
    """An adapter tells an engine what is over, or can't be: it raises or ignores it, no more."""
    return misused.tell_client(chaos) and misused.tell_server(chaos)
