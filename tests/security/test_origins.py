"""Who asks for a WebSocket: pages of which sites, by which name of ours, from which address."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.server_kit import DETERMINISTIC
from im_proto.config import ServerConfig
from im_proto.server import origins
from security.gate_kit import Gate, status

# ------------------------------------------------------------ pages: Origin and Host

OWN = ("https://shop.example", "https://shop.example:8443", "capacitor://localhost")


@pytest.mark.parametrize(
    "host, origin",
    [
        ("chat.example", None),  # no browser
        ("chat.example", "https://chat.example"),
        ("chat.example", "http://chat.example"),  # a proxy in between may have ended TLS
        ("chat.example:443", "https://chat.example"),
        ("chat.example", "https://chat.example:443"),  # no browser writes it, and it is the same
        ("chat.example:80", "http://chat.example"),
        ("CHAT.Example", "HTTPS://chat.EXAMPLE"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("[::1]:80", "http://[::1]"),
        ("chat.example", "https://shop.example"),
        ("chat.example", "https://SHOP.example"),
        ("chat.example", "https://shop.example:8443"),
        ("chat.example", "capacitor://localhost"),
        (None, "https://shop.example"),
    ],
)
def test_who_may_connect(host: str | None, origin: str | None) -> None:
    assert origins.refusal(ServerConfig(origins=OWN), host, origin) is None


@pytest.mark.parametrize(
    "host, origin",
    [
        ("chat.example", "https://evil.example"),
        ("chat.example", "null"),
        ("chat.example", "NULL"),
        ("null", "null"),
        ("chat.example", ""),
        ("", ""),
        (None, "https://chat.example"),
        ("", "https://"),
        ("", "http://:80"),
        (":80", "http://"),
        ("chat.example", "https://"),
        ("chat.example", "chat.example"),
        ("chat.example", "ftp://chat.example"),
        ("localhost", "tauri://localhost"),  # a page in an app is not a page of ours
        ("chat.example", "https://chat.example.evil.example"),
        ("chat.example", "https://evilchat.example"),
        ("chat.example", "https://chat.example@evil.example"),
        ("chat.example", "https://chat.example/"),
        ("chat.example", "https://evil.example/https://chat.example"),
        ("chat.example", "https://evil.example#chat.example"),
        ("chat.example", "https://shop.example https://chat.example"),
        ("chat.example", "https://shop.example, https://chat.example"),
        ("chat.example", "https://chat.example:8443"),
        ("chat.example:8443", "https://chat.example"),
        ("chat.example:80", "https://chat.example"),  # the port of the other scheme
        ("chat.example", "https://chat.example:80"),
        ("chat.example:443", "http://chat.example"),
        ("chat.example:443", "https://chat.example:443:443"),
        ("chat.example", "https://shop.example:444"),
        ("chat.example", "http://shop.example"),  # exactly what the list says, so not in the clear
        ("chat.example", "https://www.shop.example"),
        ("chat.example", "https://shop.example."),
        ("k.example", "https://\u212a.example"),  # a sign that is no k but in lower case
        ("chat.example", "https://\u017fhop.example"),
    ],
)
def test_who_may_not_connect(host: str | None, origin: str) -> None:
    assert origins.refusal(ServerConfig(origins=OWN), host, origin) is not None


def test_every_page_may_connect_if_the_site_wants_it_but_none_that_hides() -> None:
    config = ServerConfig(origins=("*",))
    for origin in ("https://evil.example", "https://chat.example", "moz-extension://0a1b"):
        assert origins.refusal(config, "chat.example", origin) is None
    assert origins.refusal(config, "chat.example", "null") is not None


@pytest.mark.parametrize(
    "host, passes",
    [
        ("localhost", True),
        ("localhost:8080", True),
        ("LocalHost:8080", True),
        ("[::1]", True),
        ("[::1]:8080", True),
        ("127.0.0.1:8080", True),
        (None, False),
        ("", False),
        (":8080", False),
        ("evil.example", False),
        ("evil.example:8080", False),
        ("localhost.evil.example", False),
        ("localhost.", False),
        ("localhost:8080:8080", False),
        ("evil.example:localhost", False),
        ("localhost@evil.example", False),
        ("[::1", False),
        ("::1", False),
        ("127.0.0.1.evil.example", False),
        ("loca\u017ft", False),
        ("127.0.0.1:\u0668\u0660", False),
    ],
)
def test_a_server_that_is_asked_by_another_name_refuses(host: str | None, passes: bool) -> None:
    """DNS rebinding: the page's own name leads here, so Origin and Host agree."""
    config = ServerConfig(hosts=("localhost", "127.0.0.1", "[::1]"))
    assert (origins.refusal(config, host, None) is None) is passes
    assert (origins.refusal(config, host, f"http://{host}") is None) is passes
    assert origins.refusal(ServerConfig(), host, None) is None


@given(st.none() | st.text(max_size=40), st.none() | st.text(max_size=40))
@DETERMINISTIC
def test_no_header_upsets_the_check(host: str | None, origin: str | None) -> None:
    config = ServerConfig(hosts=("localhost",), origins=("https://shop.example",))
    assert origin is None or isinstance(origins.refusal(config, host, origin), str)
    origins.refusal(ServerConfig(), host, origin)


def test_a_configuration_that_no_page_could_meet_is_refused() -> None:
    for wrong in (
        "https://shop.example/",
        "https://Shop.example",
        "https://shop.example:443",
        "http://shop.example:80",
        "https://*.shop.example",
        "shop.example",
        "null",
        "",
    ):
        with pytest.raises(ValidationError, match="origins"):
            ServerConfig(origins=(wrong,))
    for wrong in ("localhost:80", "http://localhost", "Localhost", "", "*"):
        with pytest.raises(ValidationError, match="hosts"):
            ServerConfig(hosts=(wrong,))
    for wrong in ("10.0.0.1/8", "proxy", ""):
        with pytest.raises(ValidationError, match="trusted_proxies"):
            ServerConfig(trusted_proxies=(wrong,))


@pytest.mark.parametrize(
    "config, asked, expected",
    [
        ({}, {}, 101),
        ({}, {"origin": "http://server"}, 101),
        ({}, {"origin": "https://evil.example"}, 403),
        ({}, {"origin": "null"}, 403),
        ({"origins": ["https://shop.example"]}, {"origin": "https://shop.example"}, 101),
        ({"hosts": ["server"]}, {"host": "server:8080"}, 101),
        ({"hosts": ["server"]}, {"host": "evil.example"}, 403),
        ({}, {"target": "/no", "origin": "null"}, 404),
    ],
)
def test_an_upgrade_is_answered_by_its_path_its_host_and_its_origin(
    config: dict[str, Any], asked: dict[str, Any], expected: int
) -> None:
    kit = Gate(**config)
    peer = kit.come(**asked)
    assert status(peer) == expected
    if expected != 101:
        assert peer.ended == "closed" and not kit.told  # nobody is troubled with it
        kit.assert_empty()


# ------------------------------------------------------------ addresses, behind proxies

PROXIES = origins.networks(("10.0.0.0/8", "2001:db8::/32"))


@pytest.mark.parametrize(
    "peer, chain, address",
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),  # not from a proxy: not believed
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.7"], "198.51.100.7"),  # before it is made up
        ("10.0.0.1", ["198.51.100.7", "10.9.9.9", "2001:db8::5"], "198.51.100.7"),
        ("10.0.0.1", ["10.0.0.3", "10.0.0.2"], "10.0.0.3"),  # all are ours
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7", "unknown"], "10.0.0.1"),  # the last that is known
        ("10.0.0.1", ["198.51.100.7", "", "10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", ["[2a00:1::1]:4711"], "2a00:1::1"),
        ("10.0.0.1", ["[2a00:1::1]"], "2a00:1::1"),
        ("10.0.0.1", ["2A00:1:0::1"], "2a00:1::1"),
        ("10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        ("fe80::1%eth0", [], "fe80::1"),
        ("10.0.0.1", ["198.51.100.7:"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.300"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7/32"], "10.0.0.1"),
        ("10.0.0.1", ["0198.51.100.7"], "10.0.0.1"),
        ("10.0.0.1", ['for="198.51.100.7"'], "10.0.0.1"),
        ("", ["198.51.100.7"], ""),  # a local socket
        ("testclient", ["198.51.100.7"], "testclient"),
    ],
)
def test_the_address_behind_the_proxies(peer: str, chain: list[str], address: str) -> None:
    assert origins.real_address(peer, chain, PROXIES) == address


def test_nobody_is_believed_where_no_proxy_is_trusted() -> None:
    assert origins.real_address("10.0.0.1", ["198.51.100.7"], ()) == "10.0.0.1"


_SAID = st.sampled_from(
    ["10.0.0.2", "198.51.100.7", "2001:db8::5", "::ffff:10.0.0.3", "x", "[::1]"]
)


@given(_SAID | st.text(max_size=20), st.lists(_SAID | st.text(max_size=20), max_size=6))
@DETERMINISTIC
def test_only_a_proxy_is_believed_whatever_is_said(peer: str, chain: list[str]) -> None:
    address = origins.real_address(peer, chain, PROXIES)
    if origins.place(peer, PROXIES) is None:
        # what is left of the first that is no proxy has no say
        for at in range(len(chain)):
            if origins.place(chain[at], PROXIES) is not None:
                assert origins.real_address(peer, ["1.2.3.4", *chain[at:]], PROXIES) == (
                    origins.real_address(peer, chain[at:], PROXIES)
                )
    else:
        assert address == origins.real_address(peer, [], PROXIES)


def test_of_a_long_list_the_end_counts_and_the_work_is_bounded() -> None:
    values = ["1.1.1.1," * 100_000, "198.51.100.7 ,10.0.0.2"]
    start = time.thread_time()
    chain = origins.forwarded(values)
    assert len(chain) == 16 and chain[-2:] == ("198.51.100.7", "10.0.0.2")
    assert origins.real_address("10.0.0.1", chain, PROXIES) == "198.51.100.7"
    assert time.thread_time() - start < 1
    assert origins.forwarded([]) == ()
    assert origins.forwarded(["a, b", "c"]) == ("a", "b", "c")


def test_a_peer_is_counted_by_the_address_that_its_proxy_says() -> None:
    kit = Gate(trusted_proxies=["10.0.0.0/8"], connections_per_address=1)
    say = "x_forwarded_for"
    kit.come("10.0.0.1", **{say: "198.51.100.7"})
    kit.come("10.0.0.2", headers=((say.replace("_", "-"), "9.9.9.9"),), **{say: "198.51.100.8"})
    liar = kit.come("198.51.100.9", **{say: "203.0.113.1"})
    assert kit.addresses == ["198.51.100.7", "198.51.100.8", "198.51.100.9"]
    assert status(liar) == 101
    assert status(kit.come("10.0.0.3", **{say: "203.0.113.1, 198.51.100.9"})) == 503
    assert status(kit.come("198.51.100.9", **{say: "203.0.113.77"})) == 503


_octets = st.integers(0, 255).map(str)
_odd = st.sampled_from(["256", "00", "01", "", "+1", "1 ", "1%lo", "::1", "1:80", "\u0661"])


@DETERMINISTIC
@given(
    st.lists(_octets, min_size=3, max_size=5).map(".".join)
    | st.tuples(_octets, _odd, _octets, _octets).map(".".join)
    | st.tuples(_octets, _octets, _octets, _odd).map(".".join)
    | st.text("0123456789.:%x", max_size=16)
    | st.ip_addresses(v=6).map(str)
)
def test_a_plain_address_counts_as_one_that_is_looked_at_closely(address: str) -> None:
    elsewhere = origins.networks(["203.0.113.255"])
    counted = origins.place(address, elsewhere)
    assert origins.place(address, ()) == (counted if counted is not None else address or None)
