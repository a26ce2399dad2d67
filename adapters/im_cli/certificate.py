"""What a certificate says of itself: names and dates, read from its DER form (RFC 5280).

Python's `ssl` tells them only of a certificate that it trusts, and it is the others that need an
explanation. Nothing is decided here; whom to trust is a matter of `ssl` alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from im_proto.errors import printable

__all__ = ["SOON", "Certificate", "read_certificate"]

#: So many days before its end somebody should renew it.
SOON: Final = 14.0

_INTEGER: Final = 0x02
_OCTETS: Final = 0x04
_OID: Final = 0x06
_UTC_TIME: Final = 0x17
_TIME: Final = 0x18
_VERSION: Final = 0xA0
_EXTENSIONS: Final = 0xA3
_DNS: Final = 0x82
_ADDRESS: Final = 0x87
#: id-ce-subjectAltName, 2.5.29.17
_ALT_NAMES: Final = bytes.fromhex("551d11")
_MOST_NAMES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Times in UTC. `own`: it names itself as its issuer, so nobody else vouches for it."""

    names: tuple[str, ...]
    begins: datetime
    ends: datetime
    own: bool

    def days_left(self, wall: float) -> float:
        """Until it ends; `wall` is in seconds since 1970."""
        return (self.ends.timestamp() - wall) / 86_400


def read_certificate(der: bytes) -> Certificate:
    """Read one.

    Raises:
        ValueError: it is none.
    """
    try:
        (_, whole), *_ = _parts(der)
        (_, body), *_ = _parts(whole)
        fields = [part for part in _parts(body) if part[0] != _VERSION]
        (serial, _), _, (_, issuer), (_, validity), (_, subject), *more = fields
        (begin_tag, begins), (end_tag, ends) = _parts(validity)
        if serial != _INTEGER:
            raise ValueError("no serial number")
        extensions = next((content for tag, content in more if tag == _EXTENSIONS), b"")
        return Certificate(
            names=tuple(_names(extensions)),
            begins=_time(begin_tag, begins),
            ends=_time(end_tag, ends),
            own=issuer == subject,
        )
    except (IndexError, ValueError, OverflowError) as error:
        raise ValueError("no certificate") from error


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    """The elements that stand one behind the other, as tag and content."""
    found = []
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        if at + length > len(data):
            raise ValueError("an element goes beyond its end")
        found.append((tag, data[at : at + length]))
        at += length
    return found


def _names(extensions: bytes) -> Iterator[str]:
    if not extensions:
        return
    ((_, listed),) = _parts(extensions)
    for _, extension in _parts(listed):
        (tag, oid), *_, (kind, value) = _parts(extension)
        if (tag, oid, kind) != (_OID, _ALT_NAMES, _OCTETS):
            continue
        ((_, names),) = _parts(value)
        for name_tag, name in _parts(names)[:_MOST_NAMES]:
            if name_tag == _DNS:
                yield printable(name.decode("ascii", "backslashreplace"))
            elif name_tag == _ADDRESS and len(name) in (4, 16):
                yield str(ipaddress.ip_address(name))


def _time(tag: int, content: bytes) -> datetime:
    text = content.decode("ascii")
    if tag == _UTC_TIME:  # two digits of a year between 1950 and 2049
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _TIME:
        raise ValueError("no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
