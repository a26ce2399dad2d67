"""What a benchmark sets at our own server, and why. Named in whatever it prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: What keeps one user from taking the whole server would be all that is measured.
RAISED: Final[Mapping[str, int]] = {
    "messages_per_second": 1_000_000,
    "message_burst": 1_000_000,
    "envelopes_per_second": 1_000_000,
    "envelope_burst": 1_000_000,
    "in_flight": 2_048,
    "unacked": 4_096,
    # for the log-ins of 1,000 pairs from one address, before anything is measured
    "connections_per_address": 10_000,
    "arrivals_per_address": 1_000_000,
    "arrivals_burst": 1_000_000,
    "unauthenticated_per_address": 2_000,
    "admissions": 1_000,
    "admissions_per_address": 100_000,
}
