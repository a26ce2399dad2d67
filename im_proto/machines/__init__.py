"""The six state machines, compiled.

Each machine is a python-statemachine class in a file of its own, with field-standard names; the
constants here are their tables. `product` says which of the client's states go together.
"""

from __future__ import annotations

from typing import Final

from .auth import AuthMachine
from .compiled import Table, UncompilableMachine, compile_machine
from .connection import ConnectionMachine
from .delivery import DeliveryMachine
from .heartbeat import HeartbeatMachine
from .reconnect import ReconnectMachine
from .server_connection import ServerConnectionMachine

CONNECTION: Final = compile_machine(ConnectionMachine)
AUTH: Final = compile_machine(AuthMachine)
HEARTBEAT: Final = compile_machine(HeartbeatMachine)
RECONNECT: Final = compile_machine(ReconnectMachine)
DELIVERY: Final = compile_machine(DeliveryMachine)
SERVER_CONNECTION: Final = compile_machine(ServerConnectionMachine)

MACHINES: Final = (
    ConnectionMachine,
    AuthMachine,
    HeartbeatMachine,
    ReconnectMachine,
    DeliveryMachine,
    ServerConnectionMachine,
)

__all__ = [
    "AUTH",
    "CONNECTION",
    "DELIVERY",
    "HEARTBEAT",
    "MACHINES",
    "RECONNECT",
    "SERVER_CONNECTION",
    "AuthMachine",
    "ConnectionMachine",
    "DeliveryMachine",
    "HeartbeatMachine",
    "ReconnectMachine",
    "ServerConnectionMachine",
    "Table",
    "UncompilableMachine",
    "compile_machine",
]
