"""Access keys as the gateway sees them: young enough, cheap enough, and never wrong about a key that was just made."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError

from apps.access import credentials as module
from apps.access.credentials import Credentials
from apps.accounts.models import AccessKey
from apps.accounts.secrets import encrypt
from apps.base.clock import FakeClock
from apps.base.errors import ServiceUnavailable
from tests.support.teams import ACCESS_KEY_ID, ACCOUNT_ID, SECRET, TestTeam, make_team

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def team(transactional_db: None) -> TestTeam:
    return make_team()


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The key ids of each query."""
    asked: list[list[str]] = []
    real = module._rows

    def rows(key_ids: list[str], opened: Any, now_ms: int) -> Any:
        asked.append(key_ids)
        return real(key_ids, opened, now_ms)

    monkeypatch.setattr(module, "_rows", rows)
    return asked


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Make what is known older: by so many seconds."""

    def older(by_s: float) -> None:
        for name in ("FRESH_S", "RENEW_S", "STALE_S"):
            monkeypatch.setattr(module, name, getattr(module, name) - by_s)

    return older


async def change(**fields: Any) -> None:
    await sync_to_async(AccessKey.objects.filter(key_id=ACCESS_KEY_ID).update)(**fields)


async def test_a_key_is_found_with_its_secret_and_team(team: TestTeam) -> None:
    found = await Credentials(FakeClock()).find(ACCESS_KEY_ID)
    assert found is not None
    assert found.secret == SECRET
    assert found.principal.account_id == ACCOUNT_ID
    assert found.principal.team_id == team.team.id
    assert found.principal.meter_key == ACCESS_KEY_ID


async def test_a_fresh_one_asks_nobody(team: TestTeam, queries: list[list[str]], hours: Any) -> None:
    hours(-3_600)  # fresh for as long as a busy machine takes
    credentials = Credentials(FakeClock())
    first = await credentials.find(ACCESS_KEY_ID)
    for _ in range(100):
        assert await credentials.find(ACCESS_KEY_ID) is first
    assert len(queries) == 1


async def test_one_in_use_is_read_again_behind_its_use(team: TestTeam, queries: list[list[str]]) -> None:
    credentials = Credentials(FakeClock())
    first = await credentials.find(ACCESS_KEY_ID)
    assert first is not None
    now_s = first.read_at_s + module.RENEW_S + 0.001
    assert credentials.fresh(ACCESS_KEY_ID, now_s) is first
    assert credentials._reader is not None
    await credentials._reader
    assert len(queries) == 2
    assert credentials.fresh(ACCESS_KEY_ID, now_s) is first


async def test_a_disabled_key_stops(team: TestTeam, hours: Any) -> None:
    credentials = Credentials(FakeClock())
    assert await credentials.find(ACCESS_KEY_ID) is not None
    await change(is_active=False)
    hours(module.FRESH_S + 0.001)
    assert await credentials.find(ACCESS_KEY_ID) is None


async def test_a_changed_secret_is_taken(team: TestTeam, hours: Any) -> None:
    credentials = Credentials(FakeClock())
    assert await credentials.find(ACCESS_KEY_ID) is not None
    await change(secret_encrypted=encrypt("another", ACCESS_KEY_ID))
    hours(module.FRESH_S + 0.001)
    found = await credentials.find(ACCESS_KEY_ID)
    assert found is not None
    assert found.secret == "another"


async def test_a_key_made_a_moment_after_it_was_refused_works(team: TestTeam) -> None:
    credentials = Credentials(FakeClock())
    assert await credentials.find("AKIDNEW") is None
    await sync_to_async(AccessKey.objects.create)(
        team=team.team, key_id="AKIDNEW", secret_encrypted=encrypt("s", "AKIDNEW"), created_at_ms=0
    )
    assert await credentials.find("AKIDNEW") is not None


async def test_a_flood_of_invented_keys_shares_few_queries(team: TestTeam, queries: list[list[str]]) -> None:
    credentials = Credentials(FakeClock())
    found = await asyncio.gather(*(credentials.find(f"AKID{number}") for number in range(1_000)))
    assert found == [None] * 1_000
    assert len(queries) <= 4
    assert not credentials._known
    assert not credentials._waiting


async def test_a_flood_beyond_all_measure_is_told_to_come_again(team: TestTeam) -> None:
    credentials = Credentials(FakeClock())
    answers = await asyncio.gather(
        *(credentials.find(f"AKID{number}") for number in range(module.WAITING_MAX + 10)), return_exceptions=True
    )
    assert sum(isinstance(answer, ServiceUnavailable) for answer in answers) == 10


@pytest.mark.parametrize("key_id", ["\x00", "a\x00b", "x" * 129, "\ud800", "line\nbreak"])
async def test_what_cannot_be_a_key_id_is_not_looked_up(team: TestTeam, queries: list[list[str]], key_id: str) -> None:
    assert await Credentials(FakeClock()).find(key_id) is None
    assert not queries


async def test_a_secret_of_another_master_key_is_no_key(team: TestTeam) -> None:
    await change(secret_encrypted=b"\x01" + bytes(40))
    assert await Credentials(FakeClock()).find(ACCESS_KEY_ID) is None


async def test_known_keys_outlive_a_database_that_does_not_answer(
    team: TestTeam, monkeypatch: pytest.MonkeyPatch, hours: Any
) -> None:
    credentials = Credentials(FakeClock())
    first = await credentials.find(ACCESS_KEY_ID)

    def away(_key_ids: list[str], _opened: Any, _now_ms: int) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(module, "_rows", away)
    monkeypatch.setattr(module, "FAILED_QUERY_GAP_S", 0.0)
    hours(module.FRESH_S + 0.001)
    assert await credentials.find(ACCESS_KEY_ID) is first
    with pytest.raises(ServiceUnavailable):
        await credentials.find("AKIDUNKNOWN")
    hours(module.STALE_S + 0.001)
    with pytest.raises(ServiceUnavailable):
        await credentials.find(ACCESS_KEY_ID)


async def test_uses_are_saved_in_one_go(team: TestTeam) -> None:
    credentials = Credentials(FakeClock())
    found = await credentials.find(ACCESS_KEY_ID)
    assert found is not None
    found.use(1_234, "kinesis", sent_from("192.0.2.7:5000"), ())
    await credentials.save_uses()
    row = await sync_to_async(AccessKey.objects.get)(key_id=ACCESS_KEY_ID)
    assert (row.last_used_at_ms, row.last_used_from, row.last_used_service) == (1_234, "192.0.2.7", "kinesis")
    assert found.saved_use_ms == 1_234


def sent_from(peer: str) -> Any:
    return SimpleNamespace(peer=peer, headers={}, secure=False)


async def test_where_from_is_looked_at_once_a_second(team: TestTeam) -> None:
    found = await Credentials(FakeClock()).find(ACCESS_KEY_ID)
    assert found is not None
    found.use(10_000, "kinesis", sent_from("192.0.2.7:5000"), ())
    found.use(10_999, "firehose", sent_from("192.0.2.8:5000"), ())
    assert (found.used_at_ms, found.used_from, found.used_service) == (10_999, "192.0.2.7", "kinesis")
    found.use(11_000, "firehose", sent_from("192.0.2.8:5000"), ())
    assert (found.used_at_ms, found.used_from, found.used_service) == (11_000, "192.0.2.8", "firehose")


async def test_an_earlier_use_seen_by_another_process_does_not_undo_a_later_one(team: TestTeam) -> None:
    await change(last_used_at_ms=5_000, last_used_from="192.0.2.9")
    credentials = Credentials(FakeClock())
    found = await credentials.find(ACCESS_KEY_ID)
    assert found is not None
    found.use(4_000, "kinesis", sent_from("192.0.2.7:5000"), ())
    await credentials.save_uses()
    row = await sync_to_async(AccessKey.objects.get)(key_id=ACCESS_KEY_ID)
    assert (row.last_used_at_ms, row.last_used_from) == (5_000, "192.0.2.9")


async def test_uses_outlive_a_key_that_is_read_anew(team: TestTeam, hours: Any) -> None:
    credentials = Credentials(FakeClock())
    found = await credentials.find(ACCESS_KEY_ID)
    assert found is not None
    found.use(1_234, "kinesis", sent_from("192.0.2.7:5000"), ())
    await change(secret_encrypted=encrypt("another", ACCESS_KEY_ID))
    hours(module.FRESH_S + 0.001)
    assert await credentials.find(ACCESS_KEY_ID) is not found
    await credentials.save_uses()
    row = await sync_to_async(AccessKey.objects.get)(key_id=ACCESS_KEY_ID)
    assert row.last_used_at_ms == 1_234


async def test_a_replaced_key_works_until_its_time_is_over(team: TestTeam, hours: Any) -> None:
    clock = FakeClock()
    credentials = Credentials(clock)
    await change(ends_at_ms=clock.now_ms() + 3_600_000)
    assert await credentials.find(ACCESS_KEY_ID) is not None
    clock.advance(3_600_000)
    hours(module.FRESH_S + 0.001)
    assert await credentials.find(ACCESS_KEY_ID) is None
    await change(ends_at_ms=None)
    assert await credentials.find(ACCESS_KEY_ID) is not None
