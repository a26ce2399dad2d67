"""State machines for Hypothesis, to subclass: whatever can happen to an engine, in any order.

    class TestMyBot(ClientEngineMachine): …          a bot, or whatever stands on a client
    class TestMyStore(ServerEngineMachine): …        a store, or whatever stands around a server

See `docs/how-to/test-your-application.md`.
"""

from .client_machine import ClientEngineMachine
from .model import ClientModel
from .server_machine import ServerEngineMachine, Store
from .server_model import ServerModel

__all__ = [
    "ClientEngineMachine",
    "ClientModel",
    "ServerEngineMachine",
    "ServerModel",
    "Store",
]
