"""The doctor's look at what lies below the WebSocket: the name, the addresses, TLS."""

from __future__ import annotations

import ipaddress
import ssl
import time
from typing import Any, Final
from urllib.parse import urlsplit

from im_proto.errors import printable
from im_runtime.net import default_tls

from . import doctor_advice as advice
from .certificate import SOON, read_certificate
from .doctor_line import Address, Deadline, Line, resolve
from .doctor_report import Asked, Failed, Note, milliseconds, words

__all__ = ["Network"]

#: So many addresses of a name are tried: it may have any number.
_ADDRESSES: Final = 8


class Network:
    """From the URL to a `line` on which HTTP can be spoken."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        parts = urlsplit(asked.url)
        self._secure = parts.scheme == "wss"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._path = parts.path or "/"
        self._addresses: list[Address] = []
        self._address: Address | None = None
        self.line: Line | None = None
        #: for the Host header
        self.authority = f"[{self._host}]" if ":" in self._host else self._host
        if self._port != (443 if self._secure else 80):
            self.authority += f":{self._port}"

    def url(self, _: Deadline) -> Note:
        """What it names."""
        scheme = "wss" if self._secure else "ws"
        data = {"scheme": scheme, "host": self._host, "port": self._port, "path": self._path}
        said = f"{scheme}, host {printable(self._host)}, port {self._port}, path {self._path}"
        if not self._secure and not _local(self._host):
            return Note(
                said + ": tokens and messages go to another machine in clear text",
                "warning",
                "use wss://",
                data,
            )
        return Note(said, data=data)

    def dns(self, deadline: Deadline) -> Note:
        """All addresses of the name."""
        try:
            self._addresses = resolve(self._host, self._port, deadline)
        except (OSError, UnicodeError) as error:
            why = "no answer in time" if isinstance(error, TimeoutError) else words(error)
            raise Failed(
                f"no address for {printable(self._host)}: {why}", advice.of_resolve(error)
            ) from None
        texts = [str(address[0]) for _, address in self._addresses]
        return Note(", ".join(texts[:_ADDRESSES]), data={"addresses": texts})

    def tcp(self, deadline: Deadline) -> Note:
        """A connection to each; the first that there is stays."""
        tried: list[dict[str, Any]] = []
        errors: list[OSError] = []
        for n, address in enumerate(self._addresses[:_ADDRESSES]):
            began = time.monotonic()
            row: dict[str, Any] = {"address": str(address[1][0])}
            tried.append(row)
            try:
                rest = len(self._addresses[:_ADDRESSES]) - n
                line = Line(address, Deadline(deadline.left() / rest))
            except OSError as error:
                errors.append(error)
                row["error"] = words(error)
                continue
            row["ms"] = milliseconds(time.monotonic() - began)
            if self.line is None:
                self.line, self._address = line, address
            else:
                line.close()
        said = "; ".join(
            f"{row['address']} {row['error']}"
            if "error" in row
            else f"{row['address']} {row['ms']:g} ms"
            for row in tried
        )
        if self.line is None:
            raise Failed(said, advice.of_connect(errors[0]), tried=tried)
        if errors:
            help_ = "clients try the others, and lose time: " + advice.of_connect(errors[0])
            return Note(said, "warning", help_, {"tried": tried})
        return Note(said, data={"tried": tried})

    def tls(self, deadline: Deadline) -> Note:
        """The handshake, and the certificate."""
        if not self._secure:
            return Note("none, with ws://", "skipped")
        assert self.line is not None
        context = default_tls()
        if self._asked.ca is not None:
            try:
                context.load_verify_locations(self._asked.ca)
            except OSError as error:
                raise Failed(f"--ca {self._asked.ca}: {words(error)}", "a PEM file") from None
        try:
            secured = self.line.start_tls(context, self._host, deadline)
        except (OSError, ValueError, UnicodeError) as error:
            seen = self._unverified() if isinstance(error, ssl.SSLCertVerificationError) else {}
            raise Failed(
                "; ".join(part for part in (_tls_words(error), seen.pop("said", "")) if part),
                advice.of_tls(error),
                **seen,
            ) from None
        cipher = secured.cipher()
        data: dict[str, Any] = {
            "version": secured.version(),
            "cipher": cipher[0] if cipher else None,
        }
        data |= _certificate(secured)
        said = f"{data['version']}, {data['cipher']}; {data.pop('said')}"
        days = data.get("days_left")
        if isinstance(days, float) and days < SOON:
            return Note(said, "warning", "renew the certificate soon", data)
        return Note(said, data=data)

    def _unverified(self) -> dict[str, Any]:
        """What the certificate that was refused says of itself. Nothing is sent to its server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        assert self._address is not None
        try:
            deadline = Deadline(self._asked.timeout)
            line = Line(self._address, deadline)
            try:
                return _certificate(line.start_tls(context, self._host, deadline))
            finally:
                line.close()
        except (OSError, ValueError):
            return {}


def _certificate(secured: ssl.SSLSocket) -> dict[str, Any]:
    der = secured.getpeercert(binary_form=True)
    try:
        found = read_certificate(der or b"")
    except ValueError:
        return {"said": "a certificate that can't be read"}
    days = found.days_left(time.time())
    ends = f"ends in {days:.0f} days" if days > 0 else f"ended {-days:.0f} days ago"
    return {
        "said": f"the certificate is for {', '.join(found.names) or 'no name'}, {ends} "
        f"({found.ends:%Y-%m-%d})",
        "names": list(found.names),
        "ends": found.ends.isoformat(),
        "days_left": round(days, 1),
        "self_issued": found.own,
    }


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _tls_words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is refused: {printable(error.verify_message)}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS: {printable((error.reason or str(error)).replace('_', ' ').lower())}"
    return f"no TLS: {words(error)}"
