"""`manage.py up`: everything, with one command.

A Redis of its own (unless REDIS_URL is set), tables and first team, web server, Celery worker and beat. Ends with Ctrl-C
or SIGTERM, leaving nothing behind; the next start continues with the same data.
"""

from __future__ import annotations

import errno
import gc
import os
import shlex
import socket
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connections

from apps.accounts import setup
from apps.accounts.seed import Seeded
from apps.base import tls
from apps.base.clock import SystemClock
from apps.base.config import Config
from apps.base.datadir import StartRefused, lock, prepare
from apps.base.processes import end_with_make
from apps.base.tls import ServedTls
from console.management.commands import serve
from console.management.commands.bootstrap import bootstrap
from workers import programs
from workers.supervisor import GaveUp, Supervisor

ASKED_BEFORE_NAMING = 60
"""Looks at /healthz, some 50 ms apart, until what does not serve yet is named."""
COLLECT_AFTER = (700, 10, 10)
"""Python's own: manage.py has set another while it loads."""
ROOT = Path(__file__).resolve().parents[3]


class Command(BaseCommand):
    """Start everything."""

    help = "Start everything: Redis, tables, first team, web server, worker and beat. Ctrl-C ends it."
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run until SIGTERM or Ctrl-C. Exit code 1 with one sentence if it cannot start or go on."""
        config = Config.from_environment()
        end_with_make()
        try:
            self._run(config)
        except (StartRefused, GaveUp) as error:
            sys.exit(f"Tidegate cannot run: {error}")
        except KeyboardInterrupt:  # before the first child was started
            sys.exit(130)

    def _run(self, config: Config) -> None:
        prepare(config)
        held = lock(config)
        check_port(config)
        served = tls.served(config, SystemClock())
        programs.check_redis(config)
        children = programs.programs(config, serve.serve)
        seeded = bootstrap(config)
        os.chdir(ROOT)
        load()
        supervisor = Supervisor(children, environment())
        greeting = Greeting(config, seeded, served, supervisor)
        try:
            supervisor.run(greeting.given)
        finally:
            os.close(held)


class Greeting:
    """What is said once everything serves. What does not serve by then is named, once."""

    def __init__(self, config: Config, seeded: Seeded, served: ServedTls | None, supervisor: Supervisor) -> None:
        self._config = config
        self._seeded = seeded
        self._served = served
        self._supervisor = supervisor
        self._named: dict[str, str] = {}
        self._asked = 0

    def given(self) -> bool:
        """Say it, if every part serves now; True then."""
        parts = programs.health(self._config)
        failing = {name: reason for name, reason in parts.items() if reason != "ok"}
        if parts and not failing:
            self._supervisor.say(text(self._config, self._seeded, self._served))
            connections.close_all()  # a child that is started again is a copy of this process
            return True
        self._asked += 1
        if failing != self._named and self._asked > ASKED_BEFORE_NAMING:
            self._named = failing
            for name, reason in failing.items():
                self._supervisor.say(f"Waiting for the {name}: {reason}")
        return False


def check_port(config: Config) -> None:
    """Raises StartRefused if the address cannot be listened on."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.host, config.port))
        except OSError as error:
            raise StartRefused(_port_reason(config, error)) from error


def _port_reason(config: Config, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {config.port} on {config.host} is taken by another program; stop it, or set TIDEGATE_PORT to a free port."
    if error.errno == errno.EACCES:
        return f"this user may not listen on port {config.port}; set TIDEGATE_PORT to a port above 1023."
    return f"{config.host} is not an address of this machine to listen on ({error.strerror}); set TIDEGATE_HOST to another."


def load() -> None:
    """Import what children need, once for all of them. What is there by now stays: collections leave it out, and so its memory
    shared."""
    programs.load()
    serve.load()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def environment() -> dict[str, str]:
    """Of the children that are no copies of this process."""
    return Config.child_environment() | {"PYTHONUNBUFFERED": "1"}


def text(config: Config, seeded: Seeded, served: ServedTls | None) -> str:
    """The greeting: console, sign-in, and a first command to paste."""
    address = config.public_address
    lines = ["", "Tidegate serves.", "", f"  Console       {address}"]
    lines += _sign_in(config, seeded, address)
    if served and served.authority:
        authority = shlex.quote(str(served.authority))
        lines += [
            "",
            "  The certificate is signed by a local authority. Make clients trust it:",
            f"    export AWS_CA_BUNDLE={authority} NODE_EXTRA_CA_CERTS={authority}",
        ]
    command = aws_command(config, seeded, served) if seeded.key_usable else "Make an access key in the console first."
    lines += ["", "  First command", f"    {command}", "", "Ctrl-C ends it.", ""]
    return "\n".join(lines)


def _sign_in(config: Config, seeded: Seeded, address: str) -> list[str]:
    token = setup.issue(seeded.user, seeded.team) if seeded.user else None
    if seeded.user is None or token is None:
        return [
            f"  Sign-in       as {seeded.user.email if seeded.user else 'a member'}, with the password chosen at setup"
        ]
    password = seeded.credentials.admin_password if seeded.made else f"in {config.credentials_path}"
    return [
        f"  Sign-in       {seeded.user.email}",
        f"  Password      {password}",
        f"  Or set up     {address}/setup?token={token}  (once)",
    ]


def aws_command(config: Config, seeded: Seeded, served: ServedTls | None) -> str:
    """Ready to paste. The secret is shown at the first start only; later the command reads it from the kept file."""
    kept = seeded.credentials
    secret = shlex.quote(kept.secret_access_key)
    if not seeded.made:
        reader = "import json,sys;print(json.load(open(sys.argv[1]))['secret_access_key'])"
        secret = f'"$({shlex.join([sys.executable, "-c", reader, str(config.credentials_path)])})"'
    words = [
        f"AWS_ACCESS_KEY_ID={shlex.quote(kept.access_key_id)}",
        f"AWS_SECRET_ACCESS_KEY={secret}",
        f"AWS_DEFAULT_REGION={shlex.quote(config.region)}",
        *([f"AWS_CA_BUNDLE={shlex.quote(str(served.authority))}"] if served and served.authority else []),
        f"aws kinesis list-streams --endpoint-url {shlex.quote(config.public_address)}",
    ]
    return " ".join(words)
