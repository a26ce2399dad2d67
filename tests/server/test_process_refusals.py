"""What `im serve` says when it can't start: one line, what helps, and the exit code."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from server.server_kit import SECRET, Ended, im_here

_HUSH = "hush-this-is-a-password"


def serve(*arguments: str, secret: str = SECRET, path: str | None = None) -> Ended:
    """`im serve`, in this process: it must not get as far as to serve."""
    given = ("--database", path) if path is not None else ()
    return im_here("serve", *given, *arguments, IM_SECRET=secret)


def check(ended: Ended, code: int, says: str, helps: str) -> None:
    """One line of error on stderr, and one of what helps if that isn't in the first."""
    err = ended.err
    assert (ended.code, ended.out) == (code, ""), ended
    assert says in err and helps in err, err
    assert "Traceback" not in err and _HUSH not in err and SECRET not in err, err
    if code == 1:
        lines = err.splitlines()
        first, *rest = [line for line in lines if not line.startswith("warning: ")]
        assert first.startswith("error: ") and len(rest) <= 1, err
        assert rest or ": " in first.removeprefix("error: "), err


@pytest.mark.parametrize(
    ("url", "says", "helps"),
    [
        (f"postgresql://im:{_HUSH}@host/im", "'postgresql'", "sqlite:///PATH"),
        ("im.db", "database URL", "sqlite:///PATH"),
        ("sqlite://", "live in a file", "sqlite:///PATH"),
        ("sqlite:///{tmp}/no/im.db", "no/im.db", "create it"),
        ("sqlite:///{tmp}/text.db", "text.db is not a SQLite database", "another path"),
        ("sqlite:///{tmp}", "is a directory", "name a file"),
    ],
)
def test_a_bad_database(url: str, says: str, helps: str, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database, " * 50)
    check(serve("--port", "0", path=url.replace("{tmp}", tmp_path.as_posix())), 1, says, helps)


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = serve("--port", str(port), path=f"sqlite:///{tmp_path}/im.db")
    check(result, 1, f"can't listen on 127.0.0.1:{port}", "choose another --host or --port")
    # and the file is free again
    with socket.create_server(("127.0.0.1", 0)) as taken:
        again = serve(*("--port", str(taken.getsockname()[1])), path=f"sqlite:///{tmp_path}/im.db")
    check(again, 1, "can't listen", "--port")


def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    result = serve("--host", "192.0.2.1", "--port", "0", path=f"sqlite:///{tmp_path}/im.db")
    check(result, 1, "can't listen on 192.0.2.1:0", "--")


def test_no_secret() -> None:
    check(serve("--port", "0", secret=""), 1, "needs a secret", "im serve --dev")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_dev_is_for_this_machine_only(host: str) -> None:
    check(serve("--dev", "--host", host), 1, f"not on {host}", "127.0.0.1")


@pytest.mark.parametrize(
    ("arguments", "says", "helps"),
    [
        (("--port", "99999"), "--port", "65535"),
        (("--port", "x"), "--port", "integer"),
        (("--durability", "hope"), "hope", "'process'"),
        (("--prot", "1"), "--prot", "--port"),
    ],
)
def test_usage(arguments: tuple[str, ...], says: str, helps: str) -> None:
    check(serve(*arguments), 2, says, helps)
