"""What `im serve` is told: where from, what is refused, what --check and --limits say, the log."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import os
import re
import sqlite3
import ssl
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.adapter_kit import run
from im_cli.limits_table import reasons
from im_cli.safe_log import SafeFormatter
from im_cli.serve import _settle_down
from im_proto.config import ServerConfig
from im_proto.testing import conformance
from im_server.database import Database
from im_server.schema import SCHEMA_VERSION
from im_server.settings import LOOPBACK_HOSTS, ServerSettings, SettingsError, load
from peers.plain_client import PlainClient
from server.server_kit import SECRET, Ended, ServeProcess, im_here, token

DATA = Path(conformance.__file__).parent / "data"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the outside counts."""
    for name in list(os.environ):
        if name.upper().startswith("IM_"):
            monkeypatch.delenv(name)


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    """A file with this text."""
    path.write_text(text)
    path.chmod(mode)
    return path


def check(directory: Path, *arguments: str, **env: str) -> tuple[Ended, dict[str, Any]]:
    """`im serve --check --json` on a free port and a new database, unless told otherwise."""
    given = ["--port", "0"] if "--port" not in arguments else []
    if "--database" not in arguments:
        given += ["--database", f"sqlite:///{(directory / 'im.db').as_posix()}"]
    ended = im_here("serve", "--check", "--json", *given, *arguments, **env)
    return ended, json.loads(ended.out)


def levels(answer: dict[str, Any], what: str) -> list[str]:
    """What was found there."""
    return [found["level"] for found in answer["checks"] if found["what"] == what]


def words(answer: dict[str, Any]) -> str:
    """All that was said and advised."""
    return " ".join(f"{found['said']} {found['advice']}" for found in answer["checks"])


# ---------------------------------------------------------------- where a setting comes from


def test_a_flag_beats_the_environment_that_beats_the_file_that_beats_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(
        tmp_path / "im.toml", "port = 1\nin_flight = 1\nunacked = 1\norigins = ['https://a.b']\n"
    )
    monkeypatch.setenv("IM_PORT", "2")
    monkeypatch.setenv("IM_IN_FLIGHT", "2")
    loaded = load({"port": 3, "host": None}, file)
    settings = loaded.settings
    assert (settings.port, settings.in_flight, settings.unacked) == (3, 2, 1)
    assert (settings.host, settings.origins) == ("127.0.0.1", ("https://a.b",))
    assert loaded.where("port") == "--port" and loaded.where("in_flight") == "IM_IN_FLIGHT"
    assert loaded.where("unacked") == f"unacked in {file}"
    assert loaded.where("host") == "host (default)"
    monkeypatch.setenv("IM_CONFIG", str(file))
    assert load({}).settings.unacked == 1
    assert load({}, None, ["port=4"]).where("port") == "--set port"


@pytest.mark.parametrize("place", ["set", "environment", "file"])
def test_every_field_of_the_engine_can_be_set_anywhere(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, field in ServerConfig.model_fields.items():
        value = field.default
        text = ",".join(value) if isinstance(value, tuple) else str(value)
        if place == "set":
            loaded = load({}, None, [f"{name}={text}"])
        elif place == "environment":
            monkeypatch.setenv(f"IM_{name.upper()}", text)
            loaded = load({})
        else:
            loaded = load({}, written(tmp_path / "im.toml", f"{name} = {json.dumps(text)}\n"))
        if text != "" or place != "environment":  # an empty variable is as good as none
            assert loaded.sources[name] != "default", name
        assert getattr(loaded.config(), name) == value, name


def test_lists_and_none_as_text() -> None:
    sets = ["hosts=a.example, b.example", "retention_age=None", "trusted_proxies=10.0.0.0/8"]
    config = load({}, None, sets).config()
    assert config.hosts == ("a.example", "b.example") and config.retention_age is None
    assert config.trusted_proxies == ("10.0.0.0/8",)


@pytest.mark.parametrize(
    ("sets", "env", "file", "says"),
    [
        (["mesages_per_second=1"], {}, "", "messages_per_second is one"),
        (["in_flight"], {}, "", "no value"),
        (["in_flight=many"], {}, "", "--set in_flight"),
        (["in_flight=0"], {}, "", "greater than or equal to 1"),
        (["origins=https://a.b/"], {}, "", "--set origins: 'https://a.b/' is no origin"),
        (["secret=" + SECRET], {}, "", "`ps` would show"),
        ([], {"IM_MESAGES_PER_SECOND": "1"}, "", "IM_MESSAGES_PER_SECOND is one"),
        ([], {"IM_IN_FLIGHT": "x"}, "", "IM_IN_FLIGHT"),
        ([], {"IM_PORT": "tcp://10.0.0.1:80"}, "", "IM_PORT"),
        ([], {}, "prot = 1", "port is one"),
        ([], {}, "in_flight = 0", "in_flight in "),
        ([], {}, "[limits]\nin_flight = 3", "is a table"),
        ([], {}, "in_flight = ", "is no TOML"),
        ([], {}, f'secret = "{SECRET}"', "does not belong into"),
        ([], {}, None, "can't be read"),
    ],
)
def test_what_is_wrong_is_named_where_it_stands(
    sets: list[str],
    env: dict[str, str],
    file: str | None,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "im.toml"
    if file is not None:
        written(path, file)
    with pytest.raises(SettingsError) as raised:
        load({}, path, sets)
    assert says in str(raised.value) and raised.value.hint
    assert SECRET not in str(raised.value) + raised.value.hint
    ended = im_here("serve", "--config", str(path), *(f"--set={s}" for s in sets), **env)
    assert ended.code == 2 and ended.out == "" and says in ended.err and SECRET not in ended.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--origin", "shop.example"), "--origin: 'shop.example' is no origin"),
        (("--json",), "--json is for --check and --limits"),
    ],
)
def test_flags_that_are_wrong_are_named_as_they_were_given(
    arguments: tuple[str, ...], says: str
) -> None:
    ended = im_here("serve", "--dev", *arguments)
    assert ended.code in (1, 2) and ended.out == "" and says in ended.err


def test_variables_of_clients_and_of_others_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IM_URL", "IM_TOKEN", "IM_LOG", "IM_LOG_CONTENT", "IM_PROXY", "IM_SERVICE_HOST"):
        monkeypatch.setenv(name, "x")
    assert load({}).settings.port == 8080


# ---------------------------------------------------------------- who checks tokens


def test_the_strongest_place_says_who_checks_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path / "secret", SECRET + "\n")
    monkeypatch.setenv("IM_SECRET", "another secret that nobody asks for now")
    found = load({"secret_file": file}).credential
    assert found is not None and (found.kind, found.value) == ("secret", SECRET)
    found = load({"dev": True}).credential
    assert found is not None and found.kind == "dev"
    monkeypatch.setenv("IM_SECRET_FILE", str(file))
    with pytest.raises(SettingsError, match="IM_SECRET and IM_SECRET_FILE"):
        _ = load({}).credential
    monkeypatch.delenv("IM_SECRET")
    toml = written(tmp_path / "im.toml", f'secret_file = "{file.as_posix()}"')
    monkeypatch.delenv("IM_SECRET_FILE")
    found = load({}, toml).credential
    assert found is not None and found.value == SECRET


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds nothing"),
        (b"\n", "holds nothing"),
        (b"\xff\xfe", "UTF-8"),
        (b"x" * 70_000, "too large"),
        (b"short\n", "32"),
        (None, "can't be read"),
    ],
)
def test_a_secret_that_is_none_is_refused(content: bytes | None, says: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    ended, answer = check(tmp_path, "--secret-file", str(file))
    assert ended.code == 1 and says in words(answer) and levels(answer, "tokens") == ["error"]
    started = im_here("serve", "--secret-file", str(file), "--port", "0")
    (error, *_) = [f["said"] for f in answer["checks"] if f["level"] == "error"]
    assert started.code == 1 and error in started.err  # in the same words


@pytest.mark.skipif(sys.platform == "win32", reason="no /dev/fd")
def test_a_secret_may_come_through_a_pipe_which_can_be_read_once(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.write(write, SECRET.encode() + b"\n")
    os.close(write)
    try:
        _, answer = check(tmp_path, "--secret-file", f"/dev/fd/{read}")
        assert levels(answer, "tokens") == ["ok"], words(answer)
        loaded = load({"secret_file": Path(f"/dev/fd/{read}")})
        with pytest.raises(SettingsError, match="holds nothing"):
            _ = loaded.credential
    finally:
        os.close(read)


@pytest.mark.skipif(sys.platform == "win32", reason="mode bits")
@pytest.mark.parametrize(("mode", "expected"), [(0o600, ["ok"]), (0o644, ["warning", "ok"])])
def test_a_secret_that_others_can_read_is_warned_of(
    mode: int, expected: list[str], tmp_path: Path
) -> None:
    file = written(tmp_path / "secret", SECRET, mode)
    ended, answer = check(tmp_path, "--secret-file", str(file))
    assert ended.code == 0 and levels(answer, "tokens") == expected
    assert ("chmod 600" in words(answer)) == (mode == 0o644)


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    ended, answer = check(tmp_path, IM_SECRET=SECRET, IM_TLS_KEY_PASSWORD="another-secret")
    assert answer["settings"]["secret"] == {"value": "(hidden)", "from": "IM_SECRET"}
    assert SECRET not in ended.said and "another-secret" not in ended.said
    shown = im_here("serve", "--check", "--port", "0", "--secret", SECRET, "--set", "in_flight=3")
    assert SECRET not in shown.said and "list of processes" in shown.out
    assert "in_flight" in shown.out and "--set in_flight" in shown.out


# ---------------------------------------------------------------- --dev


def test_dev_answers_to_names_of_this_machine_alone_unless_told_otherwise() -> None:
    assert load({"dev": True}).config().hosts == LOOPBACK_HOSTS
    assert load({"dev": True, "host": "127.0.0.2"}).config().hosts == (*LOOPBACK_HOSTS, "127.0.0.2")
    assert load({"dev": True, "host": "::1"}).config().hosts == LOOPBACK_HOSTS
    assert load({"dev": True}, None, ["hosts=x.example"]).config().hosts == ("x.example",)
    assert load({"dev": True}, None, ["hosts=none"]).config().hosts is None
    assert load({"secret": SECRET}).config().hosts is None


def test_dev_is_refused_for_others_and_says_what_it_means(tmp_path: Path) -> None:
    ended, answer = check(tmp_path, "--dev")
    assert ended.code == 0 and "anybody on this machine can be anybody" in words(answer)
    assert answer["settings"]["hosts"]["from"] == "because of --dev"
    ended, answer = check(tmp_path, "--dev", "--host", "0.0.0.0")
    assert ended.code == 1 and levels(answer, "tokens") == ["error"]


@run
async def test_a_page_by_a_name_of_its_own_does_not_get_into_a_dev_server(tmp_path: Path) -> None:
    async with ServeProcess(tmp_path / "im.db", ("--dev",)) as server:
        for host, status in (("localhost", b"101"), ("rebound.example", b"403")):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(
                f"GET /ws HTTP/1.1\r\nHost: {host}:{server.port}\r\nUpgrade: websocket\r\n"
                f"Origin: http://{host}:{server.port}\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                "".encode()
            )
            assert (await reader.readline()).split()[1] == status
            writer.close()
        server.terminate()
        ended = await server.wait()
    (line,) = ended.err.splitlines()
    assert "anybody on this machine can be anybody" in line


# ---------------------------------------------------------------- TLS


@pytest.mark.parametrize(
    ("certificate", "key", "level", "says"),
    [
        ("localhost.pem", None, "ok", "for localhost, 127.0.0.1, ::1, until"),
        ("localhost.pem", "elsewhere.pem", "error", "not the key of the certificate"),
        ("stranger.pem", None, "warning", "nobody vouches"),
        ("missing.pem", None, "error", "can't be read"),
        ("__init__.py", None, "error", "no certificate"),
        (None, "localhost.pem", "error", "a key without a certificate"),
    ],
)
def test_a_certificate_and_its_key(
    certificate: str | None, key: str | None, level: str, says: str, tmp_path: Path
) -> None:
    arguments = []
    if certificate is not None:
        arguments += ["--tls-certificate", str(DATA / certificate)]
        if certificate == "__init__.py":
            arguments[-1] = conformance.__file__
    if key is not None:
        arguments += ["--tls-key", str(DATA / key)]
    ended, answer = check(tmp_path, *arguments, IM_SECRET=SECRET)
    assert level in levels(answer, "TLS") and says in words(answer)
    assert (ended.code == 1) == (level == "error")


def test_a_password_without_a_certificate_is_refused_before_its_file_is_looked_for(
    tmp_path: Path,
) -> None:
    arguments = ("--dev", "--set", "tls_key_password_file=/missing")
    ended, answer = check(tmp_path, *arguments)
    assert ended.code == 1 and "the password of a key without a certificate" in words(answer)
    started = im_here("serve", *arguments, "--port", "0")
    assert started.code == 1 and "without a certificate" in started.err


def test_a_certificate_that_has_ended_or_ends_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from im_cli import checks
    from im_cli.certificate import read_certificate

    pem = (DATA / "localhost.pem").read_text()
    block = "-----BEGIN CERTIFICATE-----" + pem.partition("-----BEGIN CERTIFICATE-----")[2]
    block = block.partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----"
    found = read_certificate(ssl.PEM_cert_to_DER_cert(block))
    arguments = ("--tls-certificate", str(DATA / "localhost.pem"))
    for at, level, says in (
        (found.ends.timestamp() + 1, "error", "has ended"),
        (found.ends.timestamp() - 3 * 86_400, "warning", "ends in 3 days"),
        (found.begins.timestamp() - 1, "warning", "not good before"),
    ):
        monkeypatch.setattr(checks.time, "time", lambda at=at: at)
        ended, answer = check(tmp_path, *arguments, IM_SECRET=SECRET)
        assert level in levels(answer, "TLS") and says in words(answer)
        assert (ended.code == 1) == (level == "error")


def test_clear_text_to_other_machines_is_warned_of(tmp_path: Path) -> None:
    _, answer = check(tmp_path, "--host", "0.0.0.0", IM_SECRET=SECRET)
    assert levels(answer, "TLS") == ["warning"] and "clear text" in words(answer)
    sets = ("--set", "trusted_proxies=10.0.0.1")
    _, answer = check(tmp_path, "--host", "0.0.0.0", *sets, IM_SECRET=SECRET)
    assert levels(answer, "TLS") == []


# ---------------------------------------------------------------- the rest of --check


def test_a_database_is_looked_at_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "im.db"
    ended, answer = check(tmp_path, IM_SECRET=SECRET)
    assert ended.code == 0 and "will be made" in words(answer) and not path.exists()

    database = Database(f"sqlite:///{path}", "process", 1.0)
    database.open()
    ended, answer = check(tmp_path, IM_SECRET=SECRET)
    assert ended.code == 0 and levels(answer, "database") == ["warning"]
    assert f"pid {os.getpid()}" in words(answer)
    database.close()
    ended, answer = check(tmp_path, IM_SECRET=SECRET)
    assert levels(answer, "database") == ["ok"] and f"version {SCHEMA_VERSION}" in words(answer)

    for version, level, says in ((1, "ok", "from schema version 1"), (999, "error", "newer")):
        _set_version(path, version)
        before = path.read_bytes()
        ended, answer = check(tmp_path, IM_SECRET=SECRET)
        assert levels(answer, "database") == [level] and says in words(answer)
        assert path.read_bytes() == before


def _set_version(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (version,))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://x:hush@y/z", "not supported"),
        ("sqlite:///{tmp}/no/im.db", "create it"),
        ("sqlite:///{tmp}", "is a directory"),
        ("sqlite:///{tmp}/text.db", "can't be read"),
        ("sqlite:///{tmp}/other.db", "another program"),
    ],
)
def test_a_database_that_is_none(url: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database, " * 50)
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    url = url.replace("{tmp}", tmp_path.as_posix())
    ended, answer = check(tmp_path, "--database", url, IM_SECRET=SECRET)
    assert ended.code == 1 and says in words(answer) and "hush" not in ended.said


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended, answer = check(tmp_path, "--port", port, IM_SECRET=SECRET)
    assert ended.code == 1 and levels(answer, "address") == ["error"]


def test_an_address_with_colons_stands_in_brackets(tmp_path: Path) -> None:
    arguments = ("--host", "fe80::1", "--port", "8080")  # of which network: it can't be listened on
    _, answer = check(tmp_path, *arguments, IM_SECRET=SECRET)
    assert "can't listen on [fe80::1]:8080: " in words(answer)


@pytest.mark.skipif(sys.platform == "win32", reason="ulimit")
def test_more_connections_than_open_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1024))
    ended, answer = check(tmp_path, IM_SECRET=SECRET)
    assert ended.code == 0 and levels(answer, "open files") == ["warning"]
    assert "connections=960" in words(answer)
    ended, answer = check(tmp_path, "--set", "connections=960", IM_SECRET=SECRET)
    assert levels(answer, "open files") == ["ok"]


@pytest.mark.parametrize(
    ("given", "what"), [("origins=*", "origins"), ("trusted_proxies=0.0.0.0/0", "proxies")]
)
def test_what_opens_the_door_to_all_is_warned_of(given: str, what: str, tmp_path: Path) -> None:
    ended, answer = check(tmp_path, "--set", given, IM_SECRET=SECRET)
    assert ended.code == 0 and levels(answer, what) == ["warning"]


def test_a_setting_that_is_wrong_fails_the_check(tmp_path: Path) -> None:
    ended, answer = check(tmp_path, "--set", "in_flight=0", IM_SECRET=SECRET)
    assert ended.code == 1 and levels(answer, "settings") == ["error"] and not answer["ok"]


# ---------------------------------------------------------------- --limits


def test_the_table_of_limits_has_all_of_them_with_reasons() -> None:
    ended = im_here("serve", "--limits", "--json", "--set", "in_flight=3")
    rows = {row["name"]: row for row in json.loads(ended.out)}
    assert ended.code == 0 and list(rows) == list(ServerConfig.model_fields)
    assert rows["in_flight"]["value"] == 3 and rows["in_flight"]["default"] == 256
    assert rows["in_flight"]["from"] == "--set in_flight" and rows["batch"]["from"] == "default"
    assert "not read" in rows["in_flight"]["reason"]
    table = im_here("serve", "--limits", "--set", "in_flight=3")
    assert table.code == 0 and all(name in table.out for name in ServerConfig.model_fields)


def test_reasons_are_those_of_the_source() -> None:
    found = reasons()
    assert found["host" if "host" in found else "connections"].startswith("connections in all")
    assert set(found) <= set(ServerConfig.model_fields) and len(found) > 30
    assert set(ServerSettings.model_fields) > set(ServerConfig.model_fields)


# ---------------------------------------------------------------- the log


def test_no_line_of_the_log_can_be_forged() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(SafeFormatter())
    logger = logging.Logger("im\nforged")
    logger.addHandler(handler)
    forged = "2026-01-01 00:00:00,000 ERROR im forged"
    hostile = f"x\r\n{forged}\x1b[2J\x00\u2028{forged}\u202e"
    logger.warning("peer says %s", hostile)
    logger.warning("long %s", "y" * 100_000)
    try:
        raise ValueError(hostile)
    except ValueError:
        logger.exception("failed")
    lines = stream.getvalue().split("\n")
    assert all(line.isprintable() and len(line) <= 2_000 for line in lines)
    messages = [line for line in lines if re.match(r"\d{4}-\d\d-\d\d ", line)]
    assert len(messages) == 3 and not any(line.startswith(forged) for line in lines)
    (begin,) = [
        n for n, line in enumerate(lines) if line == "    Traceback (most recent call last):"
    ]
    assert "    ValueError: x" in "\n".join(lines[begin:])
    assert "raise ValueError(hostile)" in "\n".join(lines[begin:])


@run
async def test_no_token_and_no_secret_is_ever_logged(tmp_path: Path) -> None:
    good, bad = token(1), token(2)[:-4] + "AAAA"
    async with ServeProcess(tmp_path / "im.db", ("--verbose",)) as server:
        async with PlainClient(server.url, good, 1) as ann:
            await ann.login()
        async with PlainClient(server.url, bad, 2) as bob:
            assert (await bob.login())["code"] == 40101
        for key in (good, bad):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(
                f"GET /im/session/getCurrent?token={key} HTTP/1.1\r\nHost: x\r\nsatoken: {key}\r\n"
                f"Authorization: Bearer {key}\r\nConnection: close\r\n\r\n".encode()
            )
            assert await reader.read()
            writer.close()
        server.terminate()
        ended = await server.wait()
    assert ended.code == 0 and "Finished server process" in ended.err  # it did log
    for secret in (good, bad, SECRET, good.rpartition(".")[2], bad.rpartition(".")[2]):
        assert secret not in ended.said


def test_the_process_is_made_for_serving() -> None:
    gc.unfreeze()
    assert len(gc.get_objects()) > 10_000
    before = sys.getswitchinterval()
    try:
        _settle_down()
        assert len(gc.get_objects()) < 1_000  # that are looked through
        assert sys.getswitchinterval() < before
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)
