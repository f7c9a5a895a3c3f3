"""Fixtures that every floor uses. See tests/support for the plain functions behind them."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from apps.access import audit_guard
from apps.base.clock import FakeClock
from apps.billing import money_guard
from apps.runtime import Runtime
from tests.support import emptying, row_ids, tables, usage_sums
from tests.support.runtimes import memory_runtime

COLLECT_AFTER = 50_000
"""Objects more than at the last collection, as in manage.py: importing all tests, and each test, makes many objects and little
garbage. To look for it after each 700, as is the default, is a quarter of the first, and a twentieth of the second."""
gc.set_threshold(COLLECT_AFTER)

BUSY = (HealthCheck.too_slow,)
"""Slow is the machine, not what is generated."""
hypothesis_settings.register_profile(
    "everyday", derandomize=True, deadline=None, max_examples=50, suppress_health_check=BUSY
)
hypothesis_settings.register_profile("long", deadline=None, max_examples=5_000, suppress_health_check=BUSY)
hypothesis_settings.load_profile("everyday")

structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)
"""What tests log in their own process is for people, but tracebacks are Python's: with boxes and values around them, each takes
longer than what failed."""


TEST_LIMIT_S = 600
"""Far more than any test takes on a busy machine: it ends what hangs."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> pytest.TestReport:
    """In continuous integration Chromium and PostgreSQL are there, so a test that skips for want of them has failed."""
    report = yield
    wants = {"browser", "postgres"}.intersection(mark.name for mark in item.iter_markers())
    if report.skipped and wants and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in continuous integration: {report.longrepr}"
    return report


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """--dist loadscope: a file's tests go to one worker, as some of them change what others see, and many of them look at a
    server that is started for the file. Tests over the wire go to one together, as do those of live charts in Chromium: they
    share a server. Looking at pages is for all workers, one after the other.

    (The grouping by marks of xdist 3.8 does nothing since pytest 9.2, https://github.com/pytest-dev/pytest-xdist/issues/1386.)
    """
    from xdist.scheduler import LoadScopeScheduling

    class InParts(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            if path.endswith("/test_axe.py"):
                return nodeid
            return next((folder for folder in TOGETHER if path.startswith(f"{folder}/")), path)

    return InParts(config, log) if config.getvalue("dist") == "loadscope" else None


TOGETHER = ("tests/browser/live", "tests/wire")
FIRST = ("tests/system/", "tests/wire/")
"""What takes long in one piece, and waits much: others fill the time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a browser last: Playwright keeps an event loop running, beside which no asynchronous test can run. What takes
    long in one piece first, and the many short looks at pages at the end, so that workers end together.

    All that is imported by now stays, so nobody needs to look through it again for what could be freed."""
    items.sort(key=place_in_the_run)
    gc.freeze()


def place_in_the_run(item: pytest.Item) -> tuple[bool, bool]:
    """Items are sorted by it."""
    if item.get_closest_marker("browser"):
        return True, item.path.name == "test_axe.py"
    return False, not item.nodeid.startswith(FIRST)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """A test that hangs is a failure with a traceback, not a run that never ends."""
    if item.get_closest_marker("torture") or item.get_closest_marker("interop"):
        return (yield)
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail(f"still running after {TEST_LIMIT_S} s"))
    signal.alarm(TEST_LIMIT_S)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def hints_stay_here() -> None:
    """What a transaction tells the workers goes to a broker in this process, where nobody listens: to find out each time
    that there is no Redis takes longer than most of what tests do."""
    from workers.app import app

    app.conf.broker_url = "memory://"


@pytest.fixture(scope="session")
def the_database_is_waited_for() -> None:
    """On a busy machine it is slow, not away: no test gets an old snapshot of a stream because reading the new one took long."""
    from apps.streams import snapshots

    snapshots.PATIENCE_S = 60


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest, hints_stay_here: None, the_database_is_waited_for: None, django_db_blocker: Any
) -> Iterator[None]:
    """On SQLite a copy of tables that are made already (tests.support.tables); elsewhere a database of Django's making, also
    if no test in the run asks for it by its mark. Between tests tests.support.emptying empties it.

    The guards of the audit trail and of what is billed would refuse to be emptied (tests/domain/access/test_audit.py and
    tests/domain/billing/test_money_guard.py set them again)."""
    from django.contrib.contenttypes.management import create_contenttypes
    from django.db import connection
    from django.db.models.signals import post_migrate
    from django.test import TransactionTestCase
    from django.test.utils import setup_databases, teardown_databases

    made = []
    if connection.vendor == "sqlite":
        request.getfixturevalue("django_test_environment")
        tables.copy(Path(connection.settings_dict["TEST"]["NAME"]))
        connection.settings_dict["NAME"] = connection.settings_dict["TEST"]["NAME"]
    else:
        request.getfixturevalue("django_db_modify_db_settings")
        with django_db_blocker.unblock():
            made = setup_databases(verbosity=0, interactive=False, aliases=["default"])
    TransactionTestCase._fixture_teardown = lambda _case: emptying.empty(connection)
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    post_migrate.disconnect(create_contenttypes)
    usage_sums.follow()
    with django_db_blocker.unblock():
        audit_guard.remove(connection)
        assert not money_guard.missing(connection), (
            "a migration has taken triggers away: see apps/billing/money_guard.py"
        )
        money_guard.remove(connection)
        row_ids.start_far(connection)
    yield
    with django_db_blocker.unblock():
        end_other_sessions(connection)
        teardown_databases(made, verbosity=0)


def end_other_sessions(connection: Any) -> None:
    """PostgreSQL drops no database in which somebody is: a thread of a pool keeps its connection until it ends."""
    if connection.vendor == "postgresql":
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        with connection.cursor() as cursor:
            cursor.execute(f"{others} AND pid <> pg_backend_pid()")
        connection.close()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves only when told to."""
    return FakeClock()


@pytest.fixture
def runtime(clock: FakeClock) -> Iterator[Runtime]:
    """A Runtime on the memory engine, open on a loop in a thread of its own: for synchronous tests."""
    built = memory_runtime(clock)
    built.open_in_thread()
    yield built
    built.close_in_thread()


@pytest.fixture
def team(db: None):
    """A team with one person and one access key (tests.support.teams)."""
    from tests.support.teams import make_team

    return make_team()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Any]:
    """One S3 server for all tests of this process (tests.support.s3)."""
    from tests.support.s3 import S3Server

    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server: Any) -> Iterator[Any]:
    """The S3 server, without buckets: whoever had another one in this process had the same buckets. A runtime that uses it:
    `memory_runtime(clock, **settings_for(s3.endpoint))`."""
    s3_server.reset()
    yield s3_server
    s3_server.reset()


@pytest.fixture
def s3_faults(s3: Any) -> Iterator[Any]:
    """A proxy before the S3 server that fails when it is told to; `s3_faults.endpoint` in the place of `s3.endpoint`."""
    from tests.support.s3 import FaultProxy

    with FaultProxy(s3.port) as proxy:
        yield proxy


@pytest.fixture
def s3_runtime(clock: FakeClock, s3_faults: Any) -> Iterator[Runtime]:
    """A Runtime as `runtime`, whose operator's S3 is the server behind `s3_faults`."""
    from tests.support.s3 import settings_for

    built = memory_runtime(clock, **settings_for(s3_faults.endpoint))
    built.open_in_thread()
    yield built
    built.close_in_thread()
