"""A connection to a Redshift database, for one COPY: every wait ends, and every failure has AWS's error code.

The name of the cluster is resolved here and each address checked; the connection goes to the address that was checked,
the certificate is checked against the name.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from apps.base import outgoing
from apps.base.outgoing import OutgoingFailed, OutgoingRefused
from apps.base.units import MIB

if TYPE_CHECKING:
    import psycopg

CONNECT_S: Final = 15
STATEMENT_S: Final = 240
"""A COPY that takes longer is cancelled and tried again; the lease that keeps a second one away lives 5 minutes."""
ANSWER_S: Final = STATEMENT_S + 15
"""When the connection is cut by force: the server did not cancel by itself."""
ANSWER_BYTES_MAX: Final = 4 * MIB
"""Of all that a server says in a session: a COPY's answer has some hundred. libpq keeps rows and messages of a gigabyte."""
LOOK_S: Final = 0.05
"""Between two looks at how much came."""
BYTES_RECEIVED: Final = struct.Struct("@128xQ")
"""Where Linux has tcpi_bytes_received in its struct tcp_info (linux/tcp.h)."""

PASSWORDS_ALONE: Final = "password,md5,scram-sha-256"
"""How a server may ask who comes. Not by what lies about the machine: a Kerberos ticket or a certificate of the operator's."""

CONNECTION_FAILED: Final = "Redshift.ConnectionFailed"

BY_STATE: Final = {
    "22": "Redshift.DataLoadFailed",
    "23": "Redshift.DataLoadFailed",
    "25006": "Redshift.ReadOnlyCluster",
    "28": "Redshift.AuthenticationFailed",
    "3D": "Redshift.DatabaseNotFound",
    "3F": "Redshift.SchemaNotFound",
    "42501": "Redshift.InsufficientPrivilege",
    "42601": "Redshift.SyntaxError",
    "42701": "Redshift.ColumnSpecifiedMoreThanOnce",
    "42703": "Redshift.ColumnNotFound",
    "42P01": "Redshift.TableNotFound",
    "53100": "Redshift.DiskFull",
    "57014": "Redshift.StatementTimeout",
}
"""AWS's codes by SQLSTATE, or its first letters. StatementTimeout is ours: AWS does not bound a COPY."""

BY_TEXT: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), code)
    for pattern, code in (
        (
            r"password authentication failed|no password supplied|role .* does not exist",
            "Redshift.AuthenticationFailed",
        ),
        (r"database .* does not exist", "Redshift.DatabaseNotFound"),
        (r"stl_load_errors|load into table .* failed", "Redshift.DataLoadFailed"),
        (r"not authorized to assume|not authorized to get credentials", "Redshift.AccessDenied"),
        (r"S3ServiceException:?\s*Access ?Denied|Error 403", "Redshift.S3BucketAccessDenied"),
        (r"PermanentRedirect|AuthorizationHeaderMalformed|Error 301", "Redshift.IncorrectBucketRegion"),
        (r"SlowDown|Error 503", "Redshift.SlowDown"),
        (r"mandatory url|specified key does not exist|NoSuchKey", "Redshift.MissingS3File"),
        (r"jsonpath", "Redshift.IncorrectJsonPathsFile"),
        (r"delimiter|fixedwidth|copy option|not supported with", "Redshift.IncorrectCopyOptions"),
    )
)
"""AWS's codes by what the server says, where the SQLSTATE does not tell."""

LOADED: Final = (
    ("SELECT 1 FROM sys_load_history WHERE data_source = %s::varchar AND status = 'completed' LIMIT 1", "manifest"),
    ("SELECT 1 FROM stl_load_commits WHERE trim(filename) = left(%s::varchar, 256) LIMIT 1", "object"),
)
"""Where Redshift writes down what it has loaded: serverless workgroups, then clusters. Users see their own loads."""


class SessionFailed(Exception):
    """A statement did not do what it should. unknown: whether it did cannot be told."""

    def __init__(self, code: str, message: str, *, unknown: bool = False) -> None:
        super().__init__(message)
        self.code, self.message, self.unknown = code, message, unknown


@dataclass(frozen=True, slots=True)
class Where:
    """A database. addressed_as: the host to connect to and its port; encrypted: by TLS, with a certificate for it."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    encrypted: bool = True
    allow_private: bool = False


def override(endpoint_url: str, port: int, *, allow_private: bool) -> tuple[str, int, bool]:
    """(host, port, by TLS) of a connection's endpoint: https://host:port with TLS; http://host:port without, where private
    addresses are allowed. Raises SessionFailed."""
    try:
        parts = outgoing.check_url(endpoint_url, allow_private=allow_private)
    except OutgoingRefused as error:
        raise SessionFailed(CONNECTION_FAILED, f"{endpoint_url} is not connected to: {error}") from error
    return parts.hostname or "", parts.port or port, parts.scheme == "https"


@contextmanager
def session(where: Where) -> Iterator[psycopg.Connection[Any]]:
    """A connection for the time of the block, cut by force when it lasts too long. Raises SessionFailed."""
    import psycopg

    connection = _connected(where)
    over = threading.Event()
    threading.Thread(target=_watch, args=(connection, over), name="redshift-watch", daemon=True).start()
    try:
        yield connection
    except psycopg.Error as error:
        raise _failed(error) from error
    finally:
        over.set()
        connection.close()


def copy(connection: psycopg.Connection[Any], statement: str) -> None:
    """Run the COPY. Raises SessionFailed through `session`."""
    connection.execute(f"SET statement_timeout TO {STATEMENT_S * 1000}")  # type: ignore[arg-type]
    connection.execute(statement)  # type: ignore[arg-type]


def loaded(connection: psycopg.Connection[Any], manifest_url: str, object_url: str) -> bool | None:
    """Whether the database says that it has loaded the object; None if it cannot be asked."""
    import psycopg

    answered = False
    for query, subject in LOADED:
        try:
            found = connection.execute(query, [manifest_url if subject == "manifest" else object_url]).fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InsufficientPrivilege):
            continue
        if found:
            return True
        answered = True
    return False if answered else None


def _connected(where: Where) -> psycopg.Connection[Any]:
    import certifi
    import psycopg

    try:
        addresses = outgoing.addresses(where.host, where.port, allow_private=where.allow_private, deadline_s=CONNECT_S)
    except OutgoingRefused as error:
        raise SessionFailed(CONNECTION_FAILED, f"{where.host} is not connected to: {error}") from error
    except OutgoingFailed as error:
        raise SessionFailed(CONNECTION_FAILED, f"{where.host}: {error}") from error
    trusted = ssl.get_default_verify_paths().cafile or certifi.where()
    tls: dict[str, Any] = (
        {"sslmode": "verify-full", "sslrootcert": trusted} if where.encrypted else {"sslmode": "disable"}
    )
    failure: SessionFailed | None = None
    for address in addresses:
        try:
            return psycopg.connect(
                host=where.host, hostaddr=address, port=where.port, dbname=where.database, user=where.user,
                password=where.password, connect_timeout=CONNECT_S, autocommit=True, gssencmode="disable",
                client_encoding="UTF8", application_name="tidegate", keepalives_idle=30, keepalives_interval=10,
                keepalives_count=3, passfile=os.devnull, require_auth=PASSWORDS_ALONE, sslcertmode="disable", **tls,
            )  # fmt: skip
        except psycopg.Error as error:
            failure = _failed(error, connecting=True)
            if failure.code != CONNECTION_FAILED:
                break
    raise failure or SessionFailed(CONNECTION_FAILED, f"{where.host} has no address.")


def _watch(connection: psycopg.Connection[Any], over: threading.Event) -> None:
    """Cut the connection when it lasts too long, or when too much came."""
    until_s = time.monotonic() + ANSWER_S
    while not over.wait(LOOK_S):
        if time.monotonic() >= until_s or _received(connection) > ANSWER_BYTES_MAX:
            _cut(connection)
            return


def _received(connection: psycopg.Connection[Any]) -> int:
    """Bytes that came, as far as the kernel tells."""
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as mine:
            said = mine.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BYTES_RECEIVED.size)
        return int(BYTES_RECEIVED.unpack(said)[0])
    except Exception:  # noqa: BLE001 - it is closed already, or the kernel does not count
        return 0


def _cut(connection: psycopg.Connection[Any]) -> None:
    """Make whoever waits for the server see the end of the connection."""
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as mine:
            mine.shutdown(socket.SHUT_RDWR)
    except Exception:  # noqa: BLE001 - it is closed already: nobody waits
        return


def _failed(error: psycopg.Error, *, connecting: bool = False) -> SessionFailed:
    """What a driver's error is to AWS. Without a SQLSTATE the connection broke, and what it did is not known."""
    text = " ".join(str(error).split())[:1_000] or type(error).__name__
    state = error.sqlstate or ""
    known = BY_STATE.get(state) or BY_STATE.get(state[:2])
    code = known or next((code for pattern, code in BY_TEXT if pattern.search(text)), "")
    if code:
        return SessionFailed(code, text)
    if not state or state.startswith(("08", "57P")):
        return SessionFailed(CONNECTION_FAILED, text, unknown=not connecting)
    return SessionFailed("Redshift.InternalError", text)
