"""Tables are emptied between tests, and whoever is still at work in a thread is waited for."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from django.db import connection, transaction

from apps.accounts import bridge
from apps.accounts.models import Team
from tests.support import emptying
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE_S = 60


def test_what_the_bridge_began_is_waited_for(monkeypatch):
    begun, waited_for = Event(), Event()

    def write() -> None:
        begun.set()
        assert waited_for.wait(PATIENCE_S)
        make_team()

    class Barrier(emptying.Barrier):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            waited_for.set()

    monkeypatch.setattr(emptying, "Barrier", Barrier)
    late = bridge._pool.submit(bridge._with_connection, write, ())
    assert begun.wait(PATIENCE_S)
    emptying.empty(connection)
    assert late.result(PATIENCE_S) is None
    assert not Team.objects.exists()


def test_on_postgresql_whoever_holds_a_transaction_is_waited_for(monkeypatch):
    if connection.vendor != "postgresql":
        pytest.skip("no other connections can be seen")
    begun, looked = Event(), Event()
    look = emptying.others_at_work

    def others_at_work(asked) -> int:
        found = look(asked)
        looked.set()
        return found

    def write() -> None:
        try:
            with transaction.atomic():
                make_team()
                begun.set()
                assert looked.wait(PATIENCE_S)
        finally:
            connection.close()

    monkeypatch.setattr(emptying, "others_at_work", others_at_work)
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(write)
        assert begun.wait(PATIENCE_S)
        emptying.empty(connection)
        assert late.result(PATIENCE_S) is None
    assert not Team.objects.exists()
