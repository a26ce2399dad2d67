"""The command `im`, in this process: help, tokens, what it says when something is wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from adapters.adapter_kit import closed_port
from im_server import JWTAuthenticator
from server.server_kit import SECRET, environment
from server.server_kit import im_here as im

_WITHOUT = (
    "import sys; sys.modules.update(dict.fromkeys(sys.argv[1].split(','))); sys.argv[1:] = []; "
    "from im_cli.__main__ import main; main()"
)


@pytest.mark.parametrize(
    ("missing", "named"), [("typer", "typer"), ("rich", "rich"), ("typer,rich", "typer and rich")]
)
def test_without_its_extra_it_says_what_to_install(missing: str, named: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _WITHOUT, missing],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[0].startswith(f"im needs {named}. ")
    assert ended.stderr.splitlines()[-1].strip() == 'pip install "im-proto[server,cli]"'


def test_without_the_server_the_commands_that_need_it_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ["im_server", *sys.modules]:  # what another test has loaded counts too
        if name.partition(".")[0] == "im_server":
            monkeypatch.setitem(sys.modules, name, None)
    for arguments in (("serve", "--dev"), ("token", "1", "--secret", SECRET)):
        result = im(*arguments)
        assert (result.code, result.out) == (1, "")
        assert 'pip install "im-proto[server,cli]"' in result.err


@pytest.mark.parametrize(
    ("command", "teaches"),
    [
        ("", ["serve", "token", "chat", "send", "listen", "demo", "audit", "Start here: im demo"]),
        (
            "serve",
            [
                "--host",
                "--port",
                "--database",
                "--secret",
                "--durability",
                "--dev",
                "--verbose",
                "sqlite:///PATH",
                "IM_SECRET",
                "/healthz",
                "SIGTERM",
                "cut",
            ],
        ),
        ("token", ["USER", "--secret", "--expires-in", "--role", "broadcast", "last line"]),
        ("chat", ["--user", "--to", "--url", "--token", "--secret", "IM_TOKEN", "Ctrl-D"]),
        ("send", ["--user", "--to", "--timeout", "--json", "standard input", "accepted"]),
        ("listen", ["--user", "--json", "--count", "acknowledged"]),
        ("demo", ["--messages", "--kills", "--cuts", "--seed", "--json", "--keep", "--break"]),
        ("audit", ["--json", "im demo --keep"]),
    ],
)
def test_help_teaches(command: str, teaches: list[str]) -> None:
    for option in ("--help", "-h"):
        result = im(*command.split(), option)
        assert (result.code, result.err) == (0, "")
        for words in teaches:
            assert words in result.out, words


def test_alone_it_shows_its_help() -> None:
    result = im()
    assert result.code in (0, 2) and "Start here" in result.said


# ---------------------------------------------------------------- tokens


@pytest.mark.parametrize("user", ["1", "9007199254740993", "bravo"])
def test_a_token_stands_alone_on_the_last_line_and_is_good(user: str) -> None:
    result = im("token", user, "--secret", SECRET)
    assert (result.code, result.err) == (0, "")
    (line,) = result.out.splitlines()
    identity = JWTAuthenticator(SECRET).authenticate(line)
    assert str(identity.user) == user
    assert identity.expires_in == pytest.approx(86_400, abs=60)


def test_roles_name_and_expiry_of_a_token() -> None:
    options = ("--role", "broadcast", "--role", "x", "--name", "Ann", "--expires-in", "0")
    result = im("token", "1", *options, IM_SECRET=SECRET)
    identity = JWTAuthenticator(SECRET).authenticate(result.out.splitlines()[-1])
    assert identity.roles == {"broadcast", "x"}
    assert (identity.username, identity.expires_in) == ("Ann", None)


def test_a_short_secret_is_refused() -> None:
    result = im("token", "1", "--secret", "short")
    assert (result.code, result.out) == (1, "")
    assert "fewer than 32 bytes" in result.err and result.err.count("openssl rand -hex 32") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("token", "1"), 1, "im token USER --secret"),
        (("token", "", "--secret", SECRET), 1, "a user name has"),
        (("token", "-1", "--secret", SECRET), 2, ""),
        (("token",), 2, "USER"),
        (("token", "1", "--expires-in", "-5"), 2, "--expires-in"),
        (("nothing",), 2, "nothing"),
    ],
)
def test_a_token_that_can_not_be(arguments: tuple[str, ...], code: int, says: str) -> None:
    result = im(*arguments)
    assert (result.code, result.out) == (code, "")
    assert says in result.err and "Traceback" not in result.err


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("send", "--user", "1", "--to", "2", "--url", "http://x", "hi"), "ws:// or wss://"),
        (("send", "--user", "", "--to", "2", "hi"), "a user name has"),
        (("listen", "--user", "1", "--url", "ws://u:p@x/ws"), "the token goes into"),
        (("chat", "--user", "1", "--to", "2", "--url", "ws:///ws"), "no host name"),
        (("chat", "--user", "1", "--to", "2", "--token", "x" * 9000), "8192"),
    ],
)
def test_a_configuration_that_is_wrong_is_one_line_and_exit_2(
    arguments: tuple[str, ...], says: str
) -> None:
    result = im(*arguments)
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith("error: ") and says in line


@pytest.mark.parametrize("command", ["send", "listen", "chat"])
def test_no_server_is_told_once_with_a_hint(command: str) -> None:
    url = f"ws://127.0.0.1:{closed_port()}/ws"
    to = () if command == "listen" else ("--to", "2")
    words = ("hi",) if command == "send" else ()
    result = im(command, "--user", "1", *to, "--url", url, "--secret", SECRET, *words)
    assert result.code == 1 and "hi" not in result.out
    errors = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "CONNECTION_FAILED" in errors[0]
    assert "im serve" in result.err.splitlines()[-1]
    assert "Traceback" not in result.err and SECRET not in result.said
