"""docs/security.md names tests, attacks and limits: those that there are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from adapters.adapter_kit import run
from docs.test_examples import ROOT
from im_proto.config import ServerConfig
from im_proto.config.limits import Limits
from security.attacks import ATTACKS
from server.server_kit import running_server, token

PAGE: Final = (ROOT / "docs" / "security.md").read_text("utf-8")
SERVER: Final = (ROOT / "docs" / "how-to" / "server.md").read_text("utf-8")
#: "`tests/core/test_x.py::test_y`", or "`::test_z`" for one more of the same file.
_NAMED: Final = re.compile(r"`((?:tests/[\w/]+\.py)?)::(\w+)`")
_ATTACK: Final = re.compile(r"(?<!\*)\*([^*]+)\*(?!\*)")
_SOURCES: Final = [
    path for part in ("im_proto", "adapters") for path in sorted((ROOT / part).rglob("*.py"))
]


def named_tests() -> Iterator[tuple[str, str]]:
    """File and function of each test that the page names."""
    file = ""
    for found in _NAMED.finditer(PAGE):
        file = found[1] or file
        yield file, found[2]


def tables(page: str = PAGE) -> Iterator[list[list[str]]]:
    """A page's tables, each as rows of cells, the first one the head."""
    rows: list[list[str]] = []
    for line in [*page.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            yield [rows[0], *rows[2:]]
            rows = []


def named_attacks() -> list[str]:
    """What stands in italics under "cost"."""
    return [
        name
        for head, *rows in tables()
        if "cost" in head
        for row in rows
        for name in _ATTACK.findall(row[head.index("cost")])
    ]


def functions(path: Path) -> set[str]:
    """The names of all functions in a file."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_is_named_is_there() -> None:
    named: dict[str, set[str]] = {}
    for file, name in named_tests():
        named.setdefault(file, set()).add(name)
    assert sum(map(len, named.values())) > 200
    missing = {
        f"{file}::{name}"
        for file, names in named.items()
        for name in names - (functions(ROOT / file) if (ROOT / file).is_file() else set())
    }
    assert missing == set()


def test_a_table_has_as_many_cells_in_each_row() -> None:
    for head, *rows in tables():
        assert {len(row) for row in rows} == {len(head)}, head


def test_every_attack_has_its_place_and_no_other_is_named() -> None:
    assert set(named_attacks()) == set(ATTACKS)


def test_every_limit_is_told_with_its_default() -> None:
    (table,) = [rows for head, *rows in tables() if head[0] == "limit"]
    told = {row[0].strip("`"): row[1].removesuffix(" s").replace(",", "") for row in table}
    config = ServerConfig()
    assert told == {name: f"{getattr(config, name):g}" for name in Limits.model_fields}


def test_what_the_how_to_says_of_defaults_is_so() -> None:
    (table,) = [rows for head, *rows in tables(SERVER) if head == ["setting", "default", "set it"]]
    config = ServerConfig()
    for names, defaults, _ in table:
        values = re.findall(r"[0-9.,]*[0-9]", defaults)
        for name, value in zip(re.findall(r"`(\w+)`", names), values, strict=bool(values)):
            assert float(value.replace(",", "")) == getattr(config, name), name


@pytest.mark.parametrize("name", [*Limits.model_fields, "hosts", "origins", "trusted_proxies"])
def test_settings_are_named_as_they_are(name: str) -> None:
    assert f"`{name}`" in PAGE
    assert name in ServerConfig.model_fields


def test_nothing_is_unpickled_and_no_text_is_run() -> None:
    found = []
    for path in _SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                wrong = {str(n) for n in names} & {"pickle", "marshal", "shelve", "dill"}
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                wrong = {node.func.id} & {"eval", "exec"}
            else:
                continue
            found += [(str(path.relative_to(ROOT)), name) for name in wrong]
    assert found == []


def test_no_text_is_put_together_for_the_database() -> None:
    """Statements are SQLAlchemy's, or constants; what is formatted into one is a pragma of ours."""
    found = []
    for path in _SOURCES:
        if not {"im_server", "im_runtime"} & set(path.parts):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args
            ):
                continue
            assert node.func.attr not in ("like", "ilike", "regexp_match"), path
            said = node.func.attr in ("execute", "executemany", "exec_driver_sql", "text")
            if said and isinstance(node.args[0], ast.BinOp | ast.JoinedStr):
                found.append(ast.unparse(node.args[0]))
    assert [text for text in found if text[2:9] != "PRAGMA "] == []
    assert found  # the pragmas


@run
async def test_no_page_of_another_site_gets_leave_to_call() -> None:
    """A browser asks so before it sends a header of a page's own (the token) to another site."""
    asks = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "satoken,content-type",
    }
    async with (
        running_server() as server,
        httpx.AsyncClient(base_url=server.http, trust_env=False) as page,
    ):
        asked = await page.options("/im/session/startChat", headers=asks)
        called = await page.post(
            "/im/session/getCurrent",
            headers={"Origin": "https://evil.example", "satoken": token(1)},
            json={"userId": 1},
        )
    assert called.json()["code"] == 0  # only the browser can tell that it was another site's
    for answer in (asked, called):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert "set-cookie" not in answer.headers
