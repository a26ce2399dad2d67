"""What the tests of rates share: a peer that says much at once."""

from __future__ import annotations

from core.server_kit import Peer


def chat(peer: Peer, first: int, last: int, to: int = 2) -> None:
    """Messages in one frame."""
    envelopes = [
        peer.envelope("CHAT_SEND_TO_ONE_REQUEST", msgId=n, toUser=to, content=f"m{n}")
        for n in range(first, last + 1)
    ]
    peer.batch(*envelopes)
