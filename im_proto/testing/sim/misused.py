"""Inputs that no adapter may give, or gives too late: an engine refuses or ignores them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...client import ClientCore
from ...client import inputs as ci
from ...errors import LocalProtocolError
from ...server import Hub, ServerCore
from ...server import inputs as si
from ...server.records import Login

if TYPE_CHECKING:
    from .chaos import Chaos


def tell_client(chaos: Chaos) -> bool:
    """A client is told something wrong."""
    client = chaos.client()
    engine = client.engine
    if client.frozen or engine is None:
        return False
    core, rng = engine.core, chaos.rng
    gone = core.transport - 1
    # too late: nobody waits for it
    client.feed(
        rng.choice(
            (
                ci.TransportLost(transport=gone),
                ci.TransportFailed(transport=gone),
                ci.WriteReady(transport=gone),
                ci.BytesReceived(transport=gone, data=b"late"),
                ci.TokenReady(request=0, token="late"),  # noqa: S106 - no password
                ci.TokenFailed(request=0, reason="late"),
                ci.HttpFailed(request=0, reason="late"),
                ci.MessageHandled(delivery=-1),
            )
        )
    )
    wrong: list[Any] = [object(), ci.UpdateToken(token=""), ci.Cancel(ref=-1)]
    if core.connection not in ("disconnected", "opening"):
        wrong += [ci.TransportOpened(transport=gone + 1)]
        wrong.append(ci.TransportFailed(transport=gone + 1))
    if core.connection not in ("disconnected", "handshaking"):
        wrong.append(ci.LinkRefused(transport=gone + 1, status=503))
    if core.connection in ("opening", "handshaking"):
        wrong.append(ci.PeerClosed(transport=gone + 1, code=1000))
    now = client.now
    before = (engine.state(now), engine.next_deadline())
    for event in wrong:
        _refused(chaos, core, event, now)
        if (engine.state(now), engine.next_deadline()) != before:
            chaos.world.fail(f"{event} was refused, and has changed something")
    return True


def _refused(chaos: Chaos, core: ClientCore | ServerCore | Hub, event: Any, now: float) -> None:
    try:
        core.step(event, now=now)
    except LocalProtocolError:
        return
    chaos.world.fail(f"{event} was not refused")


def tell_server(chaos: Chaos) -> bool:
    """The server is told something that nobody waits for."""
    server, rng = chaos.world.server, chaos.rng
    gateway = server.gateway
    if gateway is None:
        return False
    settled = [name for name, e in gateway.engines.items() if e.core.state != "verifying"]
    name = rng.choice(settled) if settled else 0
    login = Login(
        generation=1, last_msg_id=0, cursor=None, epoch="e", head=0, oldest=1, resume_entry=None
    )
    for event in (
        si.TokenVerified(connection=name, user=1),
        si.TokenRefused(connection=name, code=40101, reason="late"),
        si.WriteReady(connection=0),
        si.LoginStored(request=0, login=login),
        si.ReadDone(request=0, entries=(), head=0),
        si.Committed(request=0, results=()),
        si.StoreFailed(request=0, reason="late"),
    ):
        server.feed(event)
    cores: list[Hub | ServerCore] = [gateway.hub]
    for core in cores + [engine.core for engine in gateway.engines.values()]:
        _refused(chaos, core, object(), server.now)
    return True
