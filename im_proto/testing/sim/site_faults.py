"""What a site does, and what goes wrong with it: a function each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...server import inputs as si
from .registry import fault

if TYPE_CHECKING:
    from .chaos import Chaos


@fault
def site_forbids(chaos: Chaos) -> bool:
    """The site does not allow one user to write to another, for a while."""
    server, one, other = chaos.world.server, chaos.client(), chaos.client()
    if not server.has_site:
        return False
    pair = (one.config.user_id, other.config.user_id)
    server.site.forbidden[pair] = None
    chaos.undo(chaos.rng.uniform(1.0, 20.0), lambda: server.site.forbidden.pop(pair, None))
    for _ in range(3):
        chaos.world.say_something(one)
    return True


@fault
def site_is_down(chaos: Chaos) -> bool:
    """The site can't say who may write to whom, or takes its time."""
    server = chaos.world.server
    if not server.has_site:
        return False
    site = server.site
    site.silent, site.answer_time = chaos.rng.choice(((1.0, 0.002), (0.3, 1.0), (0.0, 2.0)))

    def mend() -> None:
        site.silent, site.answer_time = 0.0, 0.002

    chaos.undo(chaos.rng.uniform(0.5, 8.0), mend)
    chaos.world.say_something(chaos.client())
    return True


@fault
def site_writes(chaos: Chaos) -> bool:
    """The site writes as a user, and makes calls about sessions; some of it is nonsense."""
    server, rng = chaos.world.server, chaos.rng
    if not server.has_site or not server.alive or server.frozen:
        return False
    user, other = chaos.client().config.user_id, chaos.client().config.user_id
    chaos.world.site_says_something(user, other)
    server.site.call(user, rng.choice(("getCurrent", "get", "nonsense")), sessionId=1)
    server.site.call(user, "create", bookId=1, buyerId=user, sellerId=other)
    return True


@fault
def kicked(chaos: Chaos) -> bool:
    """The site ends the connections of a user, or of one device, for now or for good."""
    server, client = chaos.world.server, chaos.client()
    if client.engine is None or not server.alive:
        return False
    server.feed(
        si.KickAsked(
            user=client.config.user_id,
            device=chaos.rng.choice((None, client.engine.device_id)),
            reconnect=chaos.rng.choice((True, True, False)),
            retry_after=chaos.rng.choice((None, 1.0)),
        )
    )
    return True
