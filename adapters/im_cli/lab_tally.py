"""What the server has accepted, from its database alone: the engine is not asked."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any


def tally(database: Path) -> dict[str, Any]:
    """All messages that are stored, in the order in which they were accepted.

    Args:
        database: the server's file. It is only read, beside the server, or where a killed one has
            left it.
    """
    lanes: dict[tuple[str, str], list[int]] = {}
    if database.is_file():  # else nobody was ever accepted there
        # not immutable: what a killed server has left in its log counts
        with contextlib.closing(
            sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)
        ) as opened:
            for sender, recipient, msg_id in opened.execute(
                "SELECT sender, recipient, msg_id FROM messages ORDER BY id"
            ):
                lanes.setdefault((sender, recipient), []).append(msg_id)
    return {
        "accepted": sum(map(len, lanes.values())),
        "perConversation": [
            {"from": _user(lane[0]), "to": _user(lane[1]), "accepted": len(ids), "msgIds": ids}
            for lane, ids in sorted(lanes.items())
        ],
    }


def _user(stored: str) -> int | str:
    return int(stored) if stored.isdecimal() else stored
