"""The audit trail: what is in it, that nothing changes it, and that the data plane does not wait for it."""

import asyncio
import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, InternalError, connection, transaction

from apps.access import audit, audit_guard
from apps.access.audit import Trail
from apps.access.models import AuditEntry, AuditHorizon
from apps.base.errors import ServiceError
from tests.domain.access.conftest import HERS, HIS, House
from tests.support.callers import document, in_database, make_identity, make_key, says
from tests.support.teams import TestTeam, make_team

pytestmark = pytest.mark.django_db(transaction=True)

REFUSED = (IntegrityError, InternalError)


async def entries(**wanted: Any) -> list[AuditEntry]:
    return await in_database(lambda: list(AuditEntry.objects.filter(**wanted).order_by("id")))()


async def test_control_calls_are_written_before_they_are_answered(house: House) -> None:
    await house.wire(house.her_key, "AddTagsToStream", StreamName="orders", Tags={"a": "b"})
    [entry] = await entries()
    assert (entry.account_id, entry.principal) == (HERS, f"arn:aws:iam::{HERS}:root")
    assert (entry.service, entry.operation, entry.resource) == ("kinesis", "AddTagsToStream", house.arn)
    assert (entry.key_id, entry.source_ip, entry.outcome, entry.is_data) == (
        house.her_key.key_id,
        "192.0.2.1",
        "",
        False,
    )
    assert entry.at_ms == house.clock.now_ms()
    answer = await house.wire.send(house.her_key, "DescribeStreamSummary", b'{"StreamName": "nobody"}')
    [_, failed] = await entries()
    assert failed.request_id == dict(answer.headers)["x-amzn-RequestId"]
    assert failed.outcome == "ResourceNotFoundException"
    assert failed.message == f"Stream nobody under account {HERS} not found."


async def test_refusals_are_in_it_with_the_owner_of_what_was_asked_for(house: House) -> None:
    await house.wire(house.his_key, "DeleteStream", StreamARN=house.arn)
    [entry] = await entries()
    assert (entry.account_id, entry.owner_account_id, entry.outcome) == (HIS, HERS, "AccessDeniedException")
    assert [one.pk for one in await in_database(lambda: list(audit.entries(account_id=HERS)))()] == [entry.pk]


async def test_calls_of_people_are_in_it_but_not_the_looks_of_pages(house: House) -> None:
    await house.call("kinesis", "DescribeStreamSummary", StreamName="orders")
    assert await entries() == []
    await house.call("kinesis", "AddTagsToStream", StreamName="orders", Tags={"a": "b"})
    [entry] = await entries()
    assert (entry.source_ip, entry.key_id) == ("", house.hers.principal.meter_key)


async def test_a_change_that_fails_leaves_its_entry_and_nothing_else(house: House) -> None:
    with pytest.raises(ServiceError):
        await house.call(
            "iam", "CreateUser", UserName="x", Tags=[{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]
        )
    [entry] = await entries()
    assert (entry.service, entry.operation, entry.outcome) == ("iam", "CreateUser", "InvalidInputException")
    assert entry.resource == f"arn:aws:iam::{HERS}:user/x"


async def test_a_change_whose_entry_cannot_be_written_is_not_made(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_made: AuditEntry) -> None:
        raise IntegrityError("the disk is full")

    monkeypatch.setattr(audit, "write", broken)
    code, _ = await house.wire(house.her_key, "AddTagsToStream", StreamName="orders", Tags={"a": "b"})
    assert code == "InternalFailure"
    monkeypatch.undo()
    assert (await house.wire(house.her_key, "ListTagsForStream", StreamName="orders"))["Tags"] == []


async def test_data_calls_are_in_it_where_a_team_wants_them(house: House) -> None:
    put = {"StreamName": "orders", "Data": "aGk=", "PartitionKey": "k"}
    await house.wire(house.her_key, "PutRecord", **put)
    await in_database(audit.record_data)(house.hers.team, on=True, by="test")
    house.look_again()
    user = await in_database(make_identity)(house.hers.team, "user", "ann", document(says(action="kinesis:List*")))
    key = await in_database(make_key)(house.hers.team, user)
    assert "SequenceNumber" in await house.wire(house.her_key, "PutRecord", **put)
    assert (await house.wire(key, "PutRecord", **put))[0] == "AccessDeniedException"
    assert "SequenceNumber" in await house.wire(house.his_key, "PutRecord", **put)
    await house.runtime.part(Trail).flushed()
    written = await entries(is_data=True)
    assert len(await entries(operation="RecordDataCalls", message="on")) == 1
    assert [(one.principal, one.outcome) for one in written] == [
        (f"arn:aws:iam::{HERS}:root", ""),
        (f"arn:aws:iam::{HERS}:user/ann", "AccessDeniedException"),
    ]
    assert {one.resource for one in written} == {house.arn}


async def test_owners_see_what_other_teams_do_with_their_streams(house: House) -> None:
    policy = document(says(action="kinesis:PutRecord", resource=house.arn, Principal={"AWS": HIS}))
    await house.call("kinesis", "PutResourcePolicy", ResourceARN=house.arn, Policy=policy)
    await in_database(audit.record_data)(house.hers.team, on=True, by="test")
    house.look_again()
    put = {"StreamARN": house.arn, "Data": "aGk=", "PartitionKey": "k"}
    assert "SequenceNumber" in await house.wire(house.his_key, "PutRecord", **put)
    await house.runtime.part(Trail).flushed()
    [entry] = await entries(is_data=True)
    assert (entry.account_id, entry.owner_account_id, entry.resource) == (HIS, HERS, house.arn)


async def test_what_is_too_much_is_counted_instead(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PENDING_MAX", 3)
    await in_database(audit.record_data)(house.hers.team, on=True, by="test")
    put = {"StreamName": "orders", "Data": "aGk=", "PartitionKey": "k"}
    trail = house.runtime.part(Trail)
    monkeypatch.setattr(audit, "EVERY_S", 60)
    for _ in range(5):
        assert "SequenceNumber" in await house.wire(house.her_key, "PutRecord", **put)
    assert len(trail._pending) == 3
    assert trail._writer is not None
    trail._writer.cancel()
    await asyncio.wait([trail._writer])
    monkeypatch.setattr(audit, "EVERY_S", 0)
    monkeypatch.setattr(audit, "PENDING_MAX", 30)
    assert "SequenceNumber" in await house.wire(house.her_key, "PutRecord", **put)
    await trail.flushed()
    assert len(await entries(is_data=True)) == 4
    [gap] = await entries(operation="Gap")
    assert (gap.account_id, gap.message) == (HERS, "2 data calls were not recorded: too many at once.")


async def test_what_waits_is_written_when_a_process_stops(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "EVERY_S", 60)
    await in_database(audit.record_data)(house.hers.team, on=True, by="test")
    await house.wire(house.her_key, "PutRecord", StreamName="orders", Data="aGk=", PartitionKey="k")
    assert await entries(is_data=True) == []
    house.runtime.part(Trail).close()
    assert len(await entries(is_data=True)) == 1


# --- the database's own guard -------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(transactional_db: None) -> Iterator[TestTeam]:
    team = make_team()
    for at_ms in (1_000, 2_000):
        audit.write(audit.gap(HERS, at_ms, "x"))
    audit_guard.install(connection)
    yield team
    audit_guard.remove(connection)


def test_nothing_changes_an_entry(guarded: TestTeam) -> None:
    entry = AuditEntry.objects.earliest("at_ms")
    for change in (
        lambda: AuditEntry.objects.update(outcome="fine"),
        lambda: AuditEntry.objects.filter(pk=entry.pk).update(at_ms=0),
        lambda: AuditEntry.objects.all().delete(),
        entry.delete,
        entry.save,
    ):
        with pytest.raises(REFUSED, match="append-only"), transaction.atomic():
            change()
    with pytest.raises(REFUSED), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE access_auditentry SET message = ''")
    columns = [field.column for field in AuditEntry._meta.concrete_fields]
    values = ", ".join("'changed'" if column == "message" else column for column in columns)
    replacing = (
        f"INSERT OR REPLACE INTO access_auditentry ({', '.join(columns)}) SELECT {values} FROM access_auditentry"
    )
    if connection.vendor == "sqlite":
        with pytest.raises(REFUSED, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(replacing)
    assert list(AuditEntry.objects.order_by("at_ms").values_list("at_ms", "message")) == [(1_000, "x"), (2_000, "x")]


def test_only_the_command_forgets_and_says_so(guarded: TestTeam) -> None:
    out = StringIO()
    call_command("audit", forget_before=1_500, stdout=out)
    assert "1 entries" in out.getvalue()
    kept = list(AuditEntry.objects.order_by("at_ms").values_list("operation", "message"))
    assert kept == [("Gap", "x"), ("Forget", "1 entries from before 1970-01-01T00:00:01Z were deleted.")]
    with pytest.raises(REFUSED), transaction.atomic():
        AuditHorizon.objects.update(keep_from_ms=0)
    with pytest.raises(REFUSED), transaction.atomic():
        AuditEntry.objects.filter(at_ms=2_000).delete()


def test_the_command_lists_and_exports(guarded: TestTeam) -> None:
    out = StringIO()
    call_command("audit", export="jsonl", team=guarded.team.slug, stdout=out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["at"] for line in lines] == ["1970-01-01T00:00:01.000+00:00", "1970-01-01T00:00:02.000+00:00"]
    out = StringIO()
    call_command("audit", export="csv", stdout=out)
    assert out.getvalue().splitlines()[0].startswith("at,account_id,principal,")
    out = StringIO()
    call_command("audit", limit=1, stdout=out)
    assert out.getvalue().startswith("1970-01-01T00:00:02Z  ok")
    out = StringIO()
    call_command("audit", team=HERS, data_calls="on", stdout=out)
    assert guarded.team.access.audits_data
    with pytest.raises(CommandError, match="There is no team"):
        call_command("audit", team="nobody")
    with pytest.raises(CommandError, match="needs --team"):
        call_command("audit", data_calls="on")


def test_people_are_named_by_the_command(db: None) -> None:
    """All people of a team's console have one principal."""
    AuditEntry.objects.create(
        at_ms=1, operation="CreateToken", principal="arn:aws:iam::123456789012:root", person="ann@acme.example",
        session="abc", before=None, after='{"name":"t"}', is_data=False,
    )  # fmt: skip
    out = StringIO()
    call_command("audit", stdout=out)
    assert "ann@acme.example" in out.getvalue()
    out = StringIO()
    call_command("audit", export="jsonl", stdout=out)
    told = json.loads(out.getvalue())
    assert (told["person"], told["session"], told["after"]) == ("ann@acme.example", "abc", '{"name":"t"}')
