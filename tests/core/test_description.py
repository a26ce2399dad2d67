"""docs/protocol.json tells everything, and tells it as the code has it."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

import im_proto.client
from im_proto.client import actions, events, inputs, journal
from im_proto.client.timers import Timer
from im_proto.config import ClientConfig, ServerConfig
from im_proto.description import describe, named_machines
from im_proto.errors import RETRYABLE, TERMINAL, IMErrorCode
from im_proto.machines import MACHINES
from im_proto.machines.product import RULES
from im_proto.server.timers import Timer as ServerTimer
from im_proto.shapes import Shapes, of_parts, plain, words
from im_proto.wire import CLIENT_MESSAGES, DIALECTS, SERVER_MESSAGES, codes
from im_proto.wire.closes import CLOSES, HTTP_STATUSES
from script_kit import load

DOCS = Path(__file__).resolve().parents[2] / "docs"
TOLD: dict[str, Any] = describe(inspect.getsource)
UNIONS = {
    "inputs": inputs.CoreInput,
    "actions": actions.CoreAction,
    "events": events.Event,
    "changes": journal.Change,
}
MESSAGES = [("client", kind) for kind in CLIENT_MESSAGES]
MESSAGES += [("server", kind) for kind in SERVER_MESSAGES]
#: Sets of timers, which stand with the timers, and what `typing` has.
NO_CONSTANTS = {"JUDGES", "OF_THE_LINK", "TYPE_CHECKING"}


@pytest.mark.parametrize("name", UNIONS)
def test_every_member_of_a_union_is_told_with_all_its_fields_in_order(name: str) -> None:
    told = {shape["name"]: shape for shape in TOLD[name]}
    members = get_args(UNIONS[name])
    assert list(told) == [kind.__name__ for kind in members]
    for kind in members:
        names = [to_camel(field.name) for field in fields(kind)]
        assert [field["name"] for field in told[kind.__name__]["fields"]] == names
        assert told[kind.__name__]["doc"]


def test_whatever_is_referred_to_is_told() -> None:
    known = {
        *TOLD["enums"],
        *("CoreInput", "CoreAction", "Event", "Change"),
        *(shape["name"] for name in (*UNIONS, "records") for shape in TOLD[name]),
        *(shape["name"] for shape in TOLD["messages"]["parts"]),
        *(shape["name"] for shape in TOLD["config"]["client"]),
    }
    assert set(_references(TOLD)) <= known


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if value.get("type") == "ref":
            yield value["ref"]
        for one in value.values():
            yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)


@pytest.mark.parametrize(("side", "kind"), MESSAGES, ids=[k.__name__ for _, k in MESSAGES])
def test_a_message_is_told_with_the_bounds_that_are_checked(
    side: str, kind: type[BaseModel]
) -> None:
    told = next(shape for shape in TOLD["messages"][side] if shape["name"] == kind.__name__)
    assert told["kind"] == kind.kind  # type: ignore[attr-defined]
    checked = kind.model_json_schema(by_alias=True)["properties"]
    assert [field["name"] for field in told["fields"]] == list(checked)
    for field in told["fields"]:
        if field["type"] == "userId":
            continue  # a function checks it
        of_ours, of_pydantic = set(_bounds(field)), set(_bounds(checked[field["name"]]))
        assert of_ours == of_pydantic, field["name"]


#: What pydantic calls them; behind a function of ours it has other names.
SAME = {
    "minimum": ("minimum", "ge"),
    "maximum": ("maximum", "le"),
    "above": ("above", "exclusiveMinimum", "gt"),
    "least": ("least", "minLength", "minItems", "minProperties"),
    "most": ("most", "maxLength", "maxItems", "maxProperties"),
    "pattern": ("pattern",),
}


def _bounds(schema: Any) -> Iterator[tuple[str, Any]]:
    """All bounds in a schema, but those that the type of an id implies."""
    if isinstance(schema, list):
        for one in schema:
            yield from _bounds(one)
    elif isinstance(schema, dict):
        for ours, names in SAME.items():
            for name in names:
                if name in schema and abs(_number(schema[name])) < 2**53:
                    yield ours, schema[name]
        for name in ("anyOf", "of", "items", "values", "keys", "additionalProperties"):
            if name in schema and schema.get("type") != "enum":
                yield from _bounds(schema[name])
        yield from _bounds(schema.get("propertyNames"))


def _number(value: Any) -> float:
    return float(value) if str(value).lstrip("-").isdigit() else 0.0


def test_every_machine_is_told_with_its_transitions_and_words() -> None:
    assert [kind for _, _, kind in named_machines()] == list(MACHINES)
    for name, table, _ in named_machines():
        told = TOLD["machines"][name]
        assert list(told["states"]) == list(table.states)
        assert all(told["states"].values())
        edges = [(s, e, to) for s, on in told["next"].items() for e, to in on.items()]
        assert sorted(edges) == sorted(table.edges())
        assert told["initial"] == table.initial
        assert sorted(told["final"]) == sorted(table.final)
        assert told["events"] == list(table.events)
    assert [rule["why"] for rule in TOLD["product"]] == [rule.why for rule in RULES]


def test_codes_closes_errors_and_dialects_are_told() -> None:
    assert list(TOLD["closes"]) == [str(code) for code in CLOSES]
    assert list(TOLD["httpStatuses"]) == [str(code) for code in HTTP_STATUSES]
    assert TOLD["closes"]["4003"]["refreshToken"] is True
    assert TOLD["closes"]["1009"] == {
        "reconnect": True,
        "refreshToken": False,
        "counts": True,
        "failedDelay": True,
        "blame": "largest",
        "reason": "message too big",
    }
    assert list(TOLD["errors"]) == list(IMErrorCode)
    for code, error in TOLD["errors"].items():
        assert error["meaning"]
        assert error["retryable"] == (code in RETRYABLE)
        assert error["terminal"] == (code in TERMINAL)
    for entry in TOLD["codes"]:
        assert entry["outcome"] == codes.outcome(entry["code"])
    assert list(TOLD["dialects"]) == list(DIALECTS)


def test_every_timer_is_told_with_its_meaning() -> None:
    for side, timers in (("client", Timer), ("server", ServerTimer)):
        told = TOLD["timers"][side]
        assert list(told) == list(timers.__members__)
        assert all(timer["meaning"] and timer["called"] for timer in told.values())


def test_every_field_of_a_configuration_is_told_and_has_words() -> None:
    shapes = {shape["name"]: shape for shape in TOLD["config"]["client"]}
    for shape in shapes.values():
        for field in shape["fields"]:
            assert field.get("doc") or field["type"] == "ref", field["name"]
    assert len(shapes["ClientConfig"]["fields"]) == len(ClientConfig.model_fields)
    assert len(TOLD["config"]["server"]["fields"]) == len(ServerConfig.model_fields)
    assert TOLD["defaults"]["client"]["reconnect"]["maxDelay"] == 30


def test_every_plain_constant_of_the_engine_is_told_and_no_two_share_a_name() -> None:
    found: dict[str, Any] = {}
    for module in pkgutil.iter_modules(im_proto.client.__path__, "im_proto.client."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if not name.isupper() or name.startswith("_") or name in NO_CONSTANTS:
                continue
            try:
                told = plain(value)
            except TypeError:
                continue
            assert found.setdefault(name, told) == told, f"{name} of {module.name}"
    assert {name: TOLD["constants"].get(name) for name in found} == found
    assert len(found) > 40


def test_without_sources_all_but_the_words_is_told() -> None:
    told = describe()
    assert told["machines"]["auth"]["next"] == TOLD["machines"]["auth"]["next"]
    assert not any(told["machines"]["auth"]["states"].values())


def test_it_is_plain_json() -> None:
    assert json.loads(json.dumps(TOLD)) == TOLD


def test_the_file_is_what_the_code_says() -> None:
    draw = load(DOCS / "draw_protocol.py")
    assert draw.main(["--check"]) == 0, "run `make docs`"


def test_a_stale_file_is_noticed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = load(DOCS / "draw_protocol.py")
    file = tmp_path / "protocol.json"
    file.write_text("{}", encoding="utf-8")
    monkeypatch.setattr(draw, "FILE", file)
    assert draw.main(["--check"]) == 1
    assert "stale" in capsys.readouterr().err
    assert draw.main([]) == 0
    assert draw.main(["--check"]) == 0


def test_values_that_json_does_not_know_are_told_in_its_way() -> None:
    assert plain(2**53) == str(2**53)
    assert plain(30.0) == 30
    assert plain(frozenset({3, 1})) == [1, 3]
    assert plain((Timer.ACK, None, True)) == ["the answer to the oldest message", None, True]
    with pytest.raises(TypeError, match="object can't be told"):
        plain(object())


def test_a_docstring_is_taken_apart() -> None:
    doc = """One.

    Two
    lines.

    Attributes:
        a: first,
            and more.
        b, c: both.
    """
    assert words(doc) == "One.\nTwo lines."
    assert of_parts(doc) == {"a": "first, and more.", "b": "both.", "c": "both."}


def test_a_dataclass_of_any_kind_has_a_shape() -> None:
    assert is_dataclass(inputs.Send)
    told = Shapes({}).record(inputs.Send)
    by_name = {field["name"]: field for field in told["fields"]}
    assert by_name["toUser"]["type"] == "userId"
    assert by_name["sessionId"] == {
        "name": "sessionId",
        "type": "id",
        "nullable": True,
        "default": None,
    }
    assert "seconds until it expires" in by_name["ttl"]["doc"]
