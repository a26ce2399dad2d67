"""`im_proto` is pure: no socket, clock, entropy, thread, file.

Alone, in a few seconds: `python -m pytest -q tests/core/test_purity.py`. The sources only, without
pytest, in less than one (for `make lint`): `python tests/core/test_purity.py`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "im_proto"

#: What the sources may import, and nothing else. A new entry is a decision: can it reach the world?
ALLOWED = {
    "__future__", "base64", "binascii", "collections", "collections.abc", "dataclasses", "enum",
    "hashlib", "heapq", "ipaddress", "itertools", "math", "re", "struct", "typing", "urllib.parse",
    "zlib",
    # only for the type of what the caller injects, see below
    "random",
    "h11", "pydantic", "pydantic_core", "pydantic.alias_generators",
    "statemachine", "statemachine.callbacks", "statemachine.transition",
    "wsproto.extensions", "wsproto.frame_protocol", "wsproto.utilities",
}  # fmt: skip
#: What `import im_proto` may not load, whoever would like to.
NOT_LOADED = ["sqlalchemy", "uvicorn", "starlette", "typer", "rich", "hypothesis", "pytest", "jwt"]
NOT_LOADED += ["httpx", "websockets", "im_asyncio", "im_runtime", "im_server", "im_cli"]
#: Built-in functions that reach the world or run text.
FORBIDDEN_CALLS = {"open", "input", "print", "exec", "eval", "compile", "__import__", "breakpoint"}


def sources() -> list[Path]:
    """The files of im_proto but testing/."""
    return [p for p in sorted(PACKAGE.rglob("*.py")) if "testing" not in p.relative_to(ROOT).parts]


def faults(source: str, package: str) -> Iterator[str]:
    """What a module does that a pure one doesn't; `package` is the dotted name it stands in."""
    tree = ast.parse(source)
    allowed_randoms = _annotations_of_random(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            yield from (f"{node.lineno}: import {n}" for n in names if n not in ALLOWED)
            renamed = [alias.asname for alias in node.names if alias.name == "random"]
            if any(renamed):
                yield f"{node.lineno}: random under another name"
        elif isinstance(node, ast.ImportFrom):
            yield from _faults_of_from(node, package)
        elif isinstance(node, ast.Name) and node.id == "random":
            if id(node) not in allowed_randoms:
                yield f"{node.lineno}: random, other than as the type random.Random"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in FORBIDDEN_CALLS:
                yield f"{node.lineno}: {node.func.id}()"
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield f"{node.lineno}: async"


def _faults_of_from(node: ast.ImportFrom, package: str) -> Iterator[str]:
    if node.level:
        base = package.split(".")[: len(package.split(".")) - node.level + 1]
        if not base:
            yield f"{node.lineno}: above im_proto"
        module = ".".join([*base, *filter(None, [node.module])])
    else:
        module = node.module or ""
    if module == "random":
        yield f"{node.lineno}: from random"
    ours = module == "im_proto" or module.startswith("im_proto.")
    names = [f"{module}.{alias.name}" for alias in node.names]
    if ours and any(f"{n}.".startswith("im_proto.testing.") for n in [module, *names]):
        yield f"{node.lineno}: im_proto.testing"
    if not ours and module not in ALLOWED:
        yield f"{node.lineno}: from {module}"


def _annotations_of_random(tree: ast.AST) -> set[int]:
    """The `random` of every `random.Random` in an annotation."""
    annotations: list[ast.AST] = []
    for node in ast.walk(tree):
        found = None
        if isinstance(node, ast.AnnAssign | ast.arg):
            found = node.annotation
        elif isinstance(node, ast.FunctionDef):
            found = node.returns
        if found is not None:
            annotations.append(found)
    return {
        id(node.value)
        for annotation in annotations
        for node in ast.walk(annotation)
        if isinstance(node, ast.Attribute)
        and node.attr == "Random"
        and isinstance(node.value, ast.Name)
    }


def all_faults() -> list[str]:
    """Every fault of every source, with its place."""
    found = []
    for path in sources():
        package = ".".join(path.relative_to(ROOT).parts[:-1])
        source = path.read_text(encoding="utf-8")
        found += [f"{path.relative_to(ROOT)}:{fault}" for fault in faults(source, package)]
    return found


def test_no_source_imports_or_calls_what_could_reach_the_world() -> None:
    assert all_faults() == []
    assert len(sources()) > 40


def test_the_check_sees_what_it_should() -> None:
    bad = [
        "import os", "import time", "import asyncio", "import socket", "import sys",
        "from os import urandom", "import os.path", "import secrets", "import uuid", "import json",
        "from datetime import datetime", "from random import Random", "import random as r",
        "import random\nx = random.random()", "import random\nrandom.seed(1)",
        "import random\nx = random.Random(1)", "import random\nx = random.SystemRandom()",
        "def f(x=open('a')): pass", "print('x')", "from ..adapters import x", "from .. import z",
        "from ...x import y", "import im_asyncio", "from im_runtime import log",
        "from .testing import sim", "from . import testing", "import im_proto.testing",
        "from im_proto.testing.sim import SimWorld", "def f():\n    import threading",
        "if 0:\n    import logging", "async def f(): pass", "__import__('os')", "eval('1')",
    ]  # fmt: skip
    for source in bad:
        assert list(faults(source, "im_proto")), source
    good = [
        "import random\ndef f(rng: random.Random) -> random.Random | None: return rng",
        "from .wire import x", "from . import actions", "from im_proto.errors import IMError",
        "from dataclasses import dataclass", "import re",
    ]  # fmt: skip
    for source in good:
        assert not list(faults(source, "im_proto")), source
    assert not list(faults("from ..wire import x", "im_proto.server"))


def test_the_allow_list_holds_nothing_that_nobody_needs() -> None:
    """What is in it but not used was a decision for the day before yesterday."""
    used: set[str] = set()
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                used.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                used.add(node.module or "")
    spare = {"struct", "itertools", "hashlib", "base64"}
    assert ALLOWED - used <= spare


def test_importing_im_proto_loads_nothing_of_the_extras_or_the_adapters() -> None:
    import subprocess

    script = f"import sys, im_proto; print([m for m in {NOT_LOADED!r} if m in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert ran.stdout.strip() == "[]", ran.stderr


def test_none_of_our_modules_holds_a_module_that_reaches_the_world() -> None:
    """python-statemachine itself imports asyncio and time; ours must not even see them."""
    import types

    import im_proto  # noqa: F401 - so that its modules are there

    worldly = {"asyncio", "os", "time", "socket", "threading", "ssl", "subprocess", "logging"}
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] != "im_proto" or name.startswith("im_proto.testing"):
            continue
        held = {v.__name__ for v in vars(module).values() if isinstance(v, types.ModuleType)}
        assert not held & worldly, name


def test_a_whole_session_runs_without_clock_entropy_files_sockets_or_threads() -> None:
    import pytest

    session()  # so that nothing is left to import
    with pytest.MonkeyPatch.context() as patch:
        _forbid(patch)
        with pytest.raises(AssertionError, match="reached"):
            __import__("os").urandom(1)
        session()


def session() -> None:
    """Two clients of ours through a real gateway: chat, a lost link, a restart, a goodbye."""
    from im_proto.testing.sim import SimWorld

    world = SimWorld(7)
    one, two = world.client(1), world.client(2)
    for client in (one, two):
        client.connect()
    for n in range(20):
        one.send(2, f"to {n}")
        two.send(1, f"fro {n}")
    world.run(2)
    assert one.end is not None
    world.network.cut(one.end)
    one.send(2, "while away")
    world.run(60)
    world.server.kill()
    two.send(1, "while it is down")
    world.run(5)
    world.server.start()
    world.run(300, until=lambda: len(one.received) == 21 and len(two.received) == 21)
    assert [m.content for m in two.received] == [*(f"to {n}" for n in range(20)), "while away"]
    assert len(one.received) == 21
    world.settle()
    world.server.shut_down()
    world.run(120)
    for client in (one, two):
        client.disconnect()
    world.run(60)


def _forbid(patch: object) -> None:
    import builtins
    import os
    import random
    import socket
    import threading
    import time

    def reached(*_: object, **__: object) -> None:
        raise AssertionError("something reached for the world")

    import pytest

    assert isinstance(patch, pytest.MonkeyPatch)
    for owner, names in (
        (os, ("urandom", "getenv", "getpid", "stat")),
        (time, ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep")),
        (builtins, ("open", "print", "input")),
        (socket, ("socket", "create_connection", "getaddrinfo")),
        (threading.Thread, ("start",)),
        (random, ("random", "randrange", "randint", "choice", "uniform", "getrandbits", "seed")),
    ):
        for name in names:
            patch.setattr(owner, name, reached)


if __name__ == "__main__":
    sys.exit("\n".join(all_faults()) or None)
