"""Run a command with DATABASE_URL naming a PostgreSQL server made for it alone: `python -m tests.support.postgres COMMAND …`.

The server comes from PATH or from where distributions keep it, lives in a temporary folder, and listens on a unix socket
only. It does not run as root, so root lends it another user.
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

FOLDERS = ("/usr/lib/postgresql", "/usr/pgsql*", "/opt/homebrew/opt/postgresql*", "/usr/local/opt/postgresql*")
LENT_USERS = ("postgres", "nobody")
OF_INITDB = ("--no-locale", "--encoding", "UTF8", "--no-sync")
"""The same order of letters wherever the tests run, and no locale that is not installed."""
PATIENCE_S = "300"
OPTIONS = "-c listen_addresses='' -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"


def find_binaries() -> Path | None:
    """The folder that holds initdb and pg_ctl, newest version first."""
    for name in ("initdb", "pg_ctl"):
        if not shutil.which(name):
            break
    else:
        return Path(shutil.which("initdb")).resolve().parent
    found = [path.parent for folder in FOLDERS for path in Path("/").glob(folder[1:] + "/**/bin/initdb")]
    return max(found, default=None, key=lambda path: [int(part) for part in path.parts if part.isdigit()])


def lent_user() -> str | None:
    """Whom the server runs as: None for this user, somebody else for root."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in LENT_USERS if name in known)


@contextmanager
def server():
    """A server for the time of the block; its URL."""
    binaries = find_binaries()
    if binaries is None:
        sys.exit("PostgreSQL's initdb is neither on PATH nor under /usr/lib/postgresql; install the PostgreSQL server.")
    folder = Path(tempfile.mkdtemp(prefix="tidegate-pg-"))
    user = lent_user()
    if user:
        shutil.chown(folder, user)
    data = folder / "data"

    def run(*words: str) -> None:
        subprocess.run(
            [str(binaries / words[0]), *words[1:]], user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL
        )

    try:
        run("initdb", "--pgdata", str(data), "--username", "tidegate", "--auth", "trust", *OF_INITDB)
        run(
            "pg_ctl",
            "-D",
            str(data),
            "-w",
            "-t",
            PATIENCE_S,
            "-l",
            str(folder / "log"),
            "-o",
            f"{OPTIONS} -k {folder}",
            "start",
        )
        try:
            yield f"postgres://tidegate@{quote(str(folder), safe='')}/postgres"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "-t", PATIENCE_S, "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    with server() as url:
        return subprocess.run(sys.argv[1:], env=os.environ | {"DATABASE_URL": url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
