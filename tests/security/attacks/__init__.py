"""What a hostile peer does to a server, and what the server answers.

Each `Attack` is used twice: once by tests/security/test_attacks.py, and again and again by
benchmarks/siege.py.
"""

from __future__ import annotations

from typing import Final

from .attack import BUSY, Attack, once, rage
from .floods import FLOODS
from .frames import FRAMES
from .handshake import HANDSHAKE
from .http import HTTP
from .messages import MESSAGES
from .peer import DROPPED, NOTHING, SLOWED, Aim, Gone, Peer, Tally

__all__ = [
    "ATTACKS",
    "BUSY",
    "DROPPED",
    "NOTHING",
    "SLOWED",
    "Aim",
    "Attack",
    "Gone",
    "Peer",
    "Tally",
    "once",
    "rage",
]

ATTACKS: Final[dict[str, Attack]] = {
    attack.name: attack
    for group in (HANDSHAKE, FRAMES, MESSAGES, FLOODS, HTTP)
    for attack in group.attacks
}
assert len(ATTACKS) == sum(
    len(group.attacks) for group in (HANDSHAKE, FRAMES, MESSAGES, FLOODS, HTTP)
)
