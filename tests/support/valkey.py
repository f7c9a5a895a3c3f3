"""A real Valkey (or Redis) of the test's own, which may be killed and started again."""

import os
import shutil
import signal
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import redis

from apps.base.processes import die_with
from tests.support.runtimes import until

PATIENCE_S = 60
"""Only a test that fails waits so long."""


class Valkey:
    """On a unix socket in a short temporary folder.

    keeps: with an append-only file that is written before it answers. The child of `up` writes a little later
    (workers/programs.py), up to two seconds on a slow disk, so what a test finds there after a kill would be luck.
    It never waits for the disk: what is written outlives a kill, and on a slow disk it would answer later than those who
    ask wait for.
    """

    def __init__(self, *, keeps: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tg-valkey-"))
        self.url = f"unix://{self.folder / 'redis.sock'}"
        self.process: subprocess.Popen[bytes] | None = None
        self.keeps = keeps

    def start(self) -> "Valkey":
        from workers.programs import redis_server

        command = [redis_server(), "--port", "0", "--unixsocket", self.url.removeprefix("unix://")]
        command += ["--dir", str(self.folder), "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", "no"] if self.keeps else ["--appendonly", "no"]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=partial(die_with, os.getpid()),  # noqa: PLW1509 - it makes one call into the kernel
        )
        until(self.answers)
        return self

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=PATIENCE_S)
