"""Peers that do the same work, each with the library that its users would take.

Most modules here are both sides of one: `main()` is the server, `connect()` the clients (im_cli's
bench_load.py). `PEERS` says how each is started, and what it needs.
"""

from .starting import PEERS, Peer

__all__ = ["PEERS", "Peer"]
