"""Redshift for tests: a real PostgreSQL behind a proxy that understands `COPY … FROM 's3://…' … MANIFEST`.

Everything else goes through as it comes. The COPY is taken out: the proxy reads the manifest and its objects from S3, loads
their rows with a COPY of PostgreSQL's own, writes down in stl_load_commits what it loaded, in the same transaction, and
answers as Redshift does, also when it fails. Clients give a password, as Redshift asks for.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

USER, PASSWORD, DATABASE = "firehose", "Sesame-open-7", "dev"
COPY = re.compile(
    r"""COPY\ (?P<table>(?:"[^"]+"\.?)+)\ ?(?P<columns>\([^)]*\))?\ FROM\ 's3://(?P<bucket>[^/]+)/(?P<key>[^']+)'
    \ CREDENTIALS\ 'aws_iam_role=(?P<role>[^']+)'\ MANIFEST(?P<options>.*)""",
    re.VERBOSE | re.DOTALL,
)
LOADS = "CREATE TABLE stl_load_commits (query serial, filename char(256))"


class CopyFailed(Exception):
    """What the client is answered: (SQLSTATE, text)."""


class Redshift:
    """fault: asked at each COPY; "cut-after": loaded, and the connection ends before the answer; "cut-before": not loaded;
    "denied": the bucket is closed; "stall": no answer until `release` is set; "endless": an answer of a gigabyte, of which `said`
    bytes were taken. copies: the statements seen. asks_for: the authentication (3: the password, 7: GSSAPI)."""

    def __init__(self, postgres_url: str, s3: Any) -> None:
        self._url, self._s3 = postgres_url, s3
        self.copies: list[str] = []
        self.fault: Callable[[], str] = lambda: ""
        self.release = threading.Event()
        self.running = self.running_most = self.said = 0
        self.asks_for = 3
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=32)
        self.port = self._listener.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.run(LOADS)
        threading.Thread(target=self._accept, daemon=True).start()

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """A statement straight to PostgreSQL; its rows."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        self.release.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in list(self._open):
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        try:
            if self._signed_in(client):
                self._relay(client)
        except (OSError, EOFError, psycopg.Error):
            pass
        finally:
            self._open.discard(client)
            client.close()

    def _signed_in(self, client: socket.socket) -> bool:
        said = self._startup(client)
        client.sendall(_message(b"R", struct.pack("!I", self.asks_for)))
        _, password = _read(client)
        if said.get("database") != DATABASE:
            client.sendall(_error("3D000", f'database "{said.get("database")}" does not exist', "FATAL"))
            return False
        if (said.get("user"), password.rstrip(b"\0").decode()) != (USER, PASSWORD):
            client.sendall(_error("28000", f'password authentication failed for user "{said.get("user")}"', "FATAL"))
            return False
        client.sendall(_message(b"R", struct.pack("!I", 0)))
        return True

    def _startup(self, client: socket.socket) -> dict[str, str]:
        while True:
            size, code = struct.unpack("!II", _exactly(client, 8))
            rest = _exactly(client, size - 8)
            if code == 80877103:  # SSLRequest
                client.sendall(b"N")
                continue
            words = rest.split(b"\0")
            return {words[at].decode(): words[at + 1].decode() for at in range(0, len(words) - 2, 2)}

    def _relay(self, client: socket.socket) -> None:
        """Whole messages in both directions; the client's are looked at."""
        backend = self._backend(client)
        self._open.add(backend)
        threading.Thread(target=_pump, args=(backend, client), daemon=True).start()
        try:
            while True:
                kind, body = _read(client)
                statement = body.rstrip(b"\0").decode() if kind == b"Q" else ""
                if statement.startswith("COPY "):
                    self._copy(client, statement)
                else:
                    backend.sendall(_message(kind, body))
        finally:
            self._open.discard(backend)
            backend.close()

    def _backend(self, client: socket.socket) -> socket.socket:
        """A connection to PostgreSQL, signed in; what it says of itself is passed on."""
        info = psycopg.conninfo.conninfo_to_dict(self._url)
        backend = socket.socket(socket.AF_UNIX)
        backend.connect(f"{info['host']}/.s.PGSQL.{info.get('port') or 5432}")
        words = f"user\0{info['user']}\0database\0{info['dbname']}\0client_encoding\0UTF8\0\0".encode()
        backend.sendall(struct.pack("!II", len(words) + 8, 196608) + words)
        while True:
            kind, body = _read(backend)
            if kind != b"R":
                client.sendall(_message(kind, body))
            if kind == b"Z":
                return backend

    def _copy(self, client: socket.socket, statement: str) -> None:
        with self._lock:
            self.copies.append(statement)
            fault = self.fault()
            self.running += 1
            self.running_most = max(self.running_most, self.running)
        try:
            if fault == "stall":
                self.release.wait(60)
            if fault == "endless":
                client.sendall(b"N" + struct.pack("!I", 1 << 30))
                while self.said < 1 << 30:
                    self.said += client.send(bytes(65_536))
            if fault in {"cut-before", "stall"}:
                raise EOFError
            self._load(statement, denied=fault == "denied")
            if fault == "cut-after":
                raise EOFError
            client.sendall(_message(b"C", b"COPY\0") + _message(b"Z", b"I"))
        except CopyFailed as error:
            client.sendall(_error(*error.args) + _message(b"Z", b"I"))
        finally:
            with self._lock:
                self.running -= 1

    def _load(self, statement: str, *, denied: bool = False) -> None:
        if denied:
            raise CopyFailed("XX000", "S3ServiceException:Access Denied,Status 403,Error AccessDenied")
        found = COPY.fullmatch(statement)
        if found is None:
            raise CopyFailed("42601", 'syntax error at or near "COPY"')
        names = re.findall(r'"([^"]+)"', found["table"])
        columns = re.findall(r'"([^"]+)"', found["columns"] or "")
        manifest = json.loads(self._object(found["bucket"], found["key"]))
        with psycopg.connect(self._url) as connection:
            for entry in manifest["entries"]:
                bucket, _, key = entry["url"].removeprefix("s3://").partition("/")
                data = self._object(bucket, key)
                if "GZIP" in found["options"].upper().split():
                    data = gzip.decompress(data)
                _insert(connection, names, columns, data, found["options"])
                connection.execute("INSERT INTO stl_load_commits (filename) VALUES (%s)", [entry["url"]])

    def _object(self, bucket: str, key: str) -> bytes:
        try:
            return bytes(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except self._s3.exceptions.NoSuchKey as error:
            raise CopyFailed("XX000", "S3ServiceException:The specified key does not exist.,Status 404") from error


def _insert(connection: Any, names: list[str], columns: list[str], data: bytes, options: str) -> None:
    table = sql.Identifier(*names)
    listed = sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Identifier, columns))) if columns else sql.SQL("")
    delimiter = re.search(r"DELIMITER '(.|\\t)'", options)
    said = delimiter[1].replace("\\t", "\t") if delimiter else "|"
    if "JSON 'auto'" in options:
        if not columns:
            columns = [row[0] for row in connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position",
                [names[-1]],
            )]  # fmt: skip
        data, said = _rows_of_json(data, columns, names), "\t"
    copy = sql.SQL("COPY {} {} FROM STDIN WITH (DELIMITER {})").format(table, listed, sql.Literal(said))
    try:
        with connection.cursor().copy(copy) as copying:
            copying.write(data)
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise CopyFailed(error.sqlstate, str(error).splitlines()[0]) from error
    except psycopg.Error as error:
        raise CopyFailed("XX000", _load_failed(names)) from error


def _rows_of_json(data: bytes, columns: list[str], names: list[str]) -> bytes:
    decoder, text, at, out = json.JSONDecoder(), data.decode(), 0, io.StringIO()
    while at < len(text.rstrip()):
        try:
            said, at = decoder.raw_decode(text, at)
        except ValueError as error:
            raise CopyFailed("XX000", _load_failed(names)) from error
        out.write("\t".join("\\N" if said.get(name) is None else str(said[name]) for name in columns) + "\n")
        while at < len(text) and text[at].isspace():
            at += 1
    return out.getvalue().encode()


def _load_failed(names: list[str]) -> str:
    return f"Load into table '{names[-1]}' failed.  Check 'stl_load_errors' system table for details."


def _pump(backend: socket.socket, client: socket.socket) -> None:
    try:
        while piece := backend.recv(65_536):
            client.sendall(piece)
    except OSError:
        pass


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _error(state: str, text: str, severity: str = "ERROR") -> bytes:
    fields = f"S{severity}\0V{severity}\0C{state}\0M{text}\0\0".encode()
    return _message(b"E", fields)


def _read(connection: socket.socket) -> tuple[bytes, bytes]:
    kind = _exactly(connection, 1)
    (size,) = struct.unpack("!I", _exactly(connection, 4))
    return kind, _exactly(connection, size - 4)


def _exactly(connection: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        piece = connection.recv(size - len(read))
        if not piece:
            raise EOFError
        read += piece
    return read
