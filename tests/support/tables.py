"""The tables of a new data directory, as `migrate` makes them, without making them anew each time.

Making them takes a second of a processor, and the tests begin some forty data directories, and each worker of theirs has a
database of its own. So the file is made once for each state of the migrations, kept in build/, and copied. What `up` does with
it is what it does with data that is up to date.
"""

import fcntl
import hashlib
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.environment import ROOT, environment

BUILD = ROOT / "build"
NAME, KEY = "control.sqlite3", "master.key"


def lay(data_dir: Path) -> None:
    """Put the tables, and a key of its own, into a data directory that has none; it is made if it is not there."""
    data_dir.mkdir(mode=0o700, exist_ok=True)
    if not (data_dir / NAME).exists():
        copy(data_dir / NAME)
        (data_dir / KEY).write_bytes(secrets.token_bytes(32))
        for name in (NAME, KEY):
            (data_dir / name).chmod(0o600)


def copy(file: Path) -> None:
    """The tables alone, as a file of SQLite's."""
    shutil.copyfile(_made(), file)


def _made() -> Path:
    made = BUILD / f"tables-{_state()}.sqlite3"
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "tables.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            with tempfile.TemporaryDirectory(dir=BUILD) as folder:
                subprocess.run(
                    [sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, check=True,
                    env=environment(TIDEGATE_DATA_DIR=folder),
                )  # fmt: skip
                for old in BUILD.glob("tables-*.sqlite3"):
                    old.unlink()
                (Path(folder) / NAME).rename(made)
    return made


def _state() -> str:
    """Of our migrations, of what they call, and of the libraries' by their versions."""
    called = ("requirements.txt", "apps/access/audit_guard.py", "apps/billing/money_guard.py", "console/tables.py")
    found = hashlib.sha256(b"".join((ROOT / path).read_bytes() for path in called))
    for path in sorted(path for top in ("apps", "console") for path in (ROOT / top).rglob("migrations/*.py")):
        found.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return found.hexdigest()[:16]
