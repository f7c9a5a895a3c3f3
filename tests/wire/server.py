"""The real application in one granian worker, on a data directory of its own, with a team and a key in it.

    TIDEGATE_DATA_DIR=… TIDEGATE_PORT=… python -m tests.wire.server [--die-with-parent]

No Redis and no Celery: a thread takes the workers' place and runs slices as they come due, so that streams, queues
and delivery streams become ACTIVE.
"""

import asyncio
import os
import sys
import threading
from functools import partial
from typing import Any

from apps.base.config import Config, name_django_settings
from apps.base.processes import die_with

name_django_settings()

import django  # noqa: E402

django.setup()

from console.management.commands.serve import server  # noqa: E402
from console.rsgi import Application  # noqa: E402 - after Django is set up
from console.rsgi import application as production  # noqa: E402

ACCESS_KEY_ID, SECRET, ACCOUNT_ID = "AKIDWIRE", "wire/secret+with=signs", "123456789012"
DISABLED_KEY_ID = "AKIDDISABLED"
KINDS = ("lifecycle", "queues", "delivery-streams")
TICK_S = 0.05


class WithLifecycle:
    """console.rsgi's application, and the thread."""

    def __init__(self, inner: Application) -> None:
        self._inner = inner
        self._stopping = threading.Event()
        self.__rsgi__ = inner.__rsgi__

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._inner.__rsgi_init__(loop)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._stopping.set()
        loop.run_until_complete(loop.run_in_executor(None, self._thread.join, 10))
        self._inner.__rsgi_del__(loop)

    def _run(self) -> None:
        from apps.gateway.app import runtime
        from apps.leases import hold
        from workers import delivery, lifecycle, queues, slices

        assert delivery
        assert lifecycle
        assert queues
        given = runtime()
        while not self._stopping.wait(TICK_S):
            for kind in KINDS:
                for key in hold.due(kind, 100):
                    slices.run(given, kind, key)


application: Any = WithLifecycle(production)


def seed() -> None:
    """Tables, a team, a key that works and one that is disabled."""
    from django.core.management import call_command

    from apps.accounts.models import AccessKey, Team
    from apps.accounts.secrets import encrypt

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    team, _ = Team.objects.get_or_create(
        account_id=ACCOUNT_ID, defaults={"slug": "wire", "name": "Wire", "created_at_ms": 0}
    )
    for key_id, is_active in ((ACCESS_KEY_ID, True), (DISABLED_KEY_ID, False)):
        AccessKey.objects.update_or_create(
            key_id=key_id,
            defaults={
                "team": team,
                "secret_encrypted": encrypt(SECRET, key_id),
                "is_active": is_active,
                "created_at_ms": 0,
            },
        )


def serve() -> None:
    """Until SIGTERM, with the settings of `manage.py serve`."""
    server(Config.from_environment()).serve(target_loader=partial(load, os.getpid()), wrap_loader=False)


def load(master: int) -> Any:
    """The application, in a worker that dies with its master."""
    die_with(master)
    return application


if __name__ == "__main__":
    if "--die-with-parent" in sys.argv:
        die_with(os.getppid())
    seed()
    serve()
