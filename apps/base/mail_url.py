"""The address of a mail server, as TIDEGATE_MAIL_URL gives it: smtp://user:password@host:587 or smtps://…:465."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class MailServer:
    """tls_from_the_start: smtps; else STARTTLS. user empty: no signing in."""

    host: str
    port: int
    user: str
    password: str
    tls_from_the_start: bool

    @property
    def is_here(self) -> bool:
        """On this machine: the only place where a password may go unencrypted."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse(url: str) -> MailServer:
    """The parts. Raises ValueError, whose text says nothing of the password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the port is no number") from None
    if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("no address of a mail server")
    if bool(parts.username) != bool(parts.password):
        raise ValueError("a user without a password, or a password without a user")
    return MailServer(
        parts.hostname, port or PORTS[parts.scheme], unquote(parts.username or ""), unquote(parts.password or ""),
        parts.scheme == "smtps",
    )  # fmt: skip
