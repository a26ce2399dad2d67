"""The seven state machines, compiled.

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
from .session import SessionMachine

CONNECTION: Final = compile_machine(ConnectionMachine)
AUTH: Final = compile_machine(AuthMachine)
HEARTBEAT: Final = compile_machine(HeartbeatMachine)
RECONNECT: Final = compile_machine(ReconnectMachine)
DELIVERY: Final = compile_machine(DeliveryMachine)
SERVER_CONNECTION: Final = compile_machine(ServerConnectionMachine)
SESSION: Final = compile_machine(SessionMachine)

MACHINES: Final = (
    ConnectionMachine,
    AuthMachine,
    HeartbeatMachine,
    ReconnectMachine,
    DeliveryMachine,
    ServerConnectionMachine,
    SessionMachine,
)

__all__ = [
    "AUTH",
    "CONNECTION",
    "DELIVERY",
    "HEARTBEAT",
    "MACHINES",
    "RECONNECT",
    "SERVER_CONNECTION",
    "SESSION",
    "AuthMachine",
    "ConnectionMachine",
    "DeliveryMachine",
    "HeartbeatMachine",
    "ReconnectMachine",
    "ServerConnectionMachine",
    "SessionMachine",
    "Table",
    "UncompilableMachine",
    "compile_machine",
]
