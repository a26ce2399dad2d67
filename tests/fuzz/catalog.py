"""The targets by name; a module is imported only when its target is wanted."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Final

from tests.fuzz.feed import Target

HERE: Final = Path(__file__).parent
#: kept: what every run of the tests goes through again
CORPUS: Final = HERE / "corpus"
#: what broke something, to look at
CRASHES: Final = HERE / "crashes"
#: what the coverage-guided fuzzer has found so far, not kept with the sources
WORK: Final = HERE.parent.parent / ".fuzz"

TARGETS: Final = {
    "handshake_server": "handshakes:fuzz_handshake_server",
    "handshake_client": "handshakes:fuzz_handshake_client",
    "tunnel": "handshakes:fuzz_tunnel",
    "frames": "frames:fuzz",
    "dialects": "dialects:fuzz",
    "client_step": "client_step:fuzz",
    "server_step": "server_step:fuzz",
}


def load(name: str) -> Target:
    """The function of a target."""
    module, _, function = TARGETS[name].partition(":")
    target: Target = getattr(import_module(f"tests.fuzz.targets.{module}"), function)
    return target
