"""`inline` (protocol.md section 2): asked for, granted, and used behind the log-in by both."""

from __future__ import annotations

import json
from typing import Any

import pytest

from im_proto.client import events as ev
from im_proto.client import inputs as ci
from im_proto.testing import SimWorld
from im_proto.testing.sim.client import ClientNode
from im_proto.wire import Invocation


def said(world: SimWorld, **config: Any) -> tuple[ClientNode, list[tuple[str, type]]]:
    """A client that logs in and writes to itself: what was said, in which form."""
    forms: list[tuple[str, type]] = []
    encode = Invocation.encode

    def note(self: Invocation, message: Any, **more: Any) -> str:
        written = encode(self, message, **more)
        envelope = json.loads(written)
        forms.append((envelope["type"], type(envelope["message"])))
        return written

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Invocation, "encode", note)
        client = world.client(1, **config)
        client.connect()
        assert world.run(5, lambda: bool(client.engine and client.engine.core.capabilities))
        client.send(1, "x")
        world.settle()
    return client, forms


def test_behind_the_log_in_both_sides_write_objects() -> None:
    client, forms = said(SimWorld(1))
    assert [m.content for m in client.received] == ["x"]
    log_in = [form for form in forms if form[0].startswith("AUTH_")]
    assert [kind for _, kind in log_in] == [str, str]
    rest = [form for form in forms if not form[0].startswith("AUTH_")]
    kinds = {name for name, _ in rest}
    assert {"CHAT_SEND_TO_ONE_REQUEST", "CHAT_SEND_RESPONSE", "CHAT_ACK_REQUEST"} <= kinds
    assert {kind for _, kind in rest} == {dict}


def test_who_was_not_granted_it_writes_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    from im_proto.client import login

    without = tuple(name for name in login.CAPABILITIES if name != "inline")
    monkeypatch.setattr(login, "CAPABILITIES", without)
    client, forms = said(SimWorld(1))
    assert [m.content for m in client.received] == ["x"]
    assert {kind for _, kind in forms} == {str}


def test_the_next_link_begins_with_strings_again() -> None:
    world = SimWorld(1)
    client, _ = said(world)
    engine = client.engine
    assert engine is not None and engine.core.fx.inline
    client.feed(ci.Disconnect())
    client.feed(ci.Connect())
    assert not engine.core.fx.inline
    world.settle()
    assert engine.core.fx.inline
    assert any(isinstance(event, ev.Authenticated) for event in client.events)
