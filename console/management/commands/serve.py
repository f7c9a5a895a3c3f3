"""`manage.py serve`: the web server alone. `up` starts it with everything else; a cluster starts it by itself."""

from __future__ import annotations

import importlib
import os
import resource
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels

from apps.base import tls
from apps.base.clock import SystemClock
from apps.base.config import Config
from apps.base.processes import die_with, finish_before_others

MODULE, ATTRIBUTE = "console.rsgi", "application"
BACKLOG = 2_048
CONNECTIONS_MAX = 16_384
"""Of one worker, idle ones included; granian takes no new connection beyond (its default is the backlog's length)."""
OTHER_FILES = 256
"""Open files of a worker that are no connections."""
HTTP1_BUFFER_BYTES_MAX = 196_608
"""Of one connection, on top of what the gateway counts. Granian's default is twice that, and no quicker."""
HTTP2_HEADERS_BYTES_MAX = 65_536
"""Of one request. Granian's default is 16 MiB, and a client may have 200 requests open."""
HTTP2_PING_MS = 30_000
"""A subscriber whose machine vanished is noticed by this."""
STOP_WITHIN_S = 5
"""Seconds for open requests after SIGTERM; event streams are cut then."""


class Command(BaseCommand):
    """Serve console, websockets and the AWS endpoint on the one port."""

    help = "Serve console, websockets and the AWS endpoint on the one port."
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run until SIGTERM."""
        serve()


def serve() -> None:
    """Run until SIGTERM."""
    config = Config.from_environment()
    load()  # once here, so that a worker that must be replaced is forked ready
    server(config).serve(target_loader=partial(load_in_worker, os.getpid()), wrap_loader=False)


def load() -> Any:
    """The application."""
    return getattr(importlib.import_module(MODULE), ATTRIBUTE)


def load_in_worker(master: int) -> Any:
    """The application, in a process that dies with its master."""
    die_with(master)
    finish_before_others()
    return load()


def connections_max() -> int:
    """How many connections a worker takes: CONNECTIONS_MAX, if the system lets it have so many open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + OTHER_FILES
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(64, most - OTHER_FILES)


def server(config: Config) -> Any:
    """Granian, set up: its own interface, one thread, HTTP/1.1 and cleartext HTTP/2, TLS 1.2 and up."""
    served = tls.served(config, SystemClock())
    return Granian(
        f"{MODULE}:{ATTRIBUTE}",
        address=config.host,
        port=config.port,
        interface=Interfaces.RSGI,
        workers=config.web_processes,
        runtime_mode=RuntimeModes.st,
        loop=Loops.uvloop,
        http=HTTPModes.auto,
        websockets=True,
        backlog=BACKLOG,
        backpressure=connections_max(),
        http1_settings=HTTP1Settings(max_buffer_size=HTTP1_BUFFER_BYTES_MAX),
        http2_settings=HTTP2Settings(max_headers_size=HTTP2_HEADERS_BYTES_MAX, keep_alive_interval=HTTP2_PING_MS),
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_WITHIN_S,
        ssl_cert=served.certificate if served else None,
        ssl_key=served.key if served else None,
        ssl_protocol_min=SSLProtocols.tls12,
    )
