"""A team with more of everything than one page shows: rows as operations and workers would have left them, made quickly."""

from __future__ import annotations

import json
from typing import Any

from apps.access.models import AuditEntry
from apps.accounts.models import AccessKey, AccessRequest, ApiToken, Invitation, Membership, Team, TeamRole, User
from apps.accounts.permissions import ACTIONS
from apps.base.units import DAY_MS
from apps.billing.models import (
    BilledResource,
    BillingFlag,
    Budget,
    BudgetAlert,
    Correction,
    Credit,
    MeterReading,
    PriceBook,
    UsageDay,
    UsageHour,
)
from apps.billing.months import Month
from apps.cloudwatch.models import Alarm, Dashboard, History
from apps.delivery.models import (
    DeliveredObject,
    DeliveryError,
    DeliveryJob,
    DeliveryLog,
    DeliveryStream,
    DeliveryTag,
    Lane,
)
from apps.metrics.names import SHARD_LEVEL
from apps.queues.models import Queue
from apps.streams.models import Consumer, Ingestion, Shard, Stream, Tag
from apps.streams.topology import even_ranges
from console.models import SavedView
from tests.support.delivery_rows import s3_description

MANY = 120
"""More than any list shows at once."""

SHARDS, CLOSED = 200, 100
STREAM, DELIVERY, ALARM, DASHBOARD = "stream-000", "delivery-000", "alarm-000", "dashboard-000"


def fill(owner: Membership, now_ms: int) -> None:
    """Everything that lists of the console show. now_ms: all of it is of this time."""
    streams = _streams(owner.team, now_ms)
    _shards(streams[0], now_ms)
    _deliveries(owner.team, streams, now_ms)
    _people(owner, now_ms)
    _keys(owner, now_ms)
    _trail(owner, now_ms)
    _alarms(owner.team, streams, now_ms)
    _money(owner.team, now_ms)


def _streams(team: Team, now_ms: int) -> list[Stream]:
    made = Stream.objects.bulk_create(
        Stream(
            team=team, region="us-east-1", name=f"stream-{n:03}", stream_id=f"crowded-{n:03}", status="ACTIVE",
            created_at_ms=now_ms - n, next_shard_index=1,
        )
        for n in range(MANY)
    )  # fmt: skip
    Shard.objects.bulk_create(
        Shard(stream=one, index=0, start_hash="0", end_hash=str(2**128 - 1), created_s=1, opened_at_ms=1)
        for one in made[1:]
    )
    Tag.objects.bulk_create(Tag(stream=one, key=f"key{n}", value="value") for one in made for n in range(5))
    Consumer.objects.bulk_create(
        Consumer(stream=made[0], name=f"consumer-{n:02}", status="ACTIVE", created_at_ms=now_ms) for n in range(50)
    )
    Ingestion.objects.bulk_create(
        Ingestion(
            team=team, kind="import", target=made[0], target_name=STREAM, created_at_ms=now_ms, status="FAILED",
            finished_at_ms=now_ms, error="The file ended early.", source={"file": "x", "name": "x", "key": "", "key_field": 0},
        )
        for _ in range(MANY)
    )  # fmt: skip
    Queue.objects.bulk_create(
        Queue(
            team=team, stream=made[0], region="us-east-1", name=f"queue-{n:03}", queue_id=f"{n:024}", status="ACTIVE",
            created_at_ms=now_ms, visibility_timeout_s=30,
        )
        for n in range(MANY)
    )  # fmt: skip
    return made


def _shards(stream: Stream, now_ms: int) -> None:
    """A hundred that were split, and the two hundred that they became."""
    closed = [
        Shard(stream=stream, index=n, start_hash=str(start), end_hash=str(end), created_s=1, opened_at_ms=1, closed_at_ms=now_ms)
        for n, (start, end) in enumerate(even_ranges(CLOSED))
    ]  # fmt: skip
    opened = [
        Shard(
            stream=stream, index=CLOSED + n, start_hash=str(start), end_hash=str(end), created_s=2, opened_at_ms=2,
            parent_index=n * CLOSED // SHARDS,
        )
        for n, (start, end) in enumerate(even_ranges(SHARDS))
    ]  # fmt: skip
    Shard.objects.bulk_create([*closed, *opened])
    Stream.objects.filter(pk=stream.pk).update(next_shard_index=CLOSED + SHARDS, shard_level_metrics=list(SHARD_LEVEL))


def _deliveries(team: Team, streams: list[Stream], now_ms: int) -> None:
    common: dict[str, Any] = {
        "team": team, "region": "us-east-1", "status": "ACTIVE", "created_at_ms": now_ms, "destination_type": "ExtendedS3",
        "destination": s3_description(), "metered_to_ms": now_ms,
    }  # fmt: skip
    made = DeliveryStream.objects.bulk_create(
        DeliveryStream(name=f"delivery-{n:03}", source_type="DirectPut", **common) for n in range(MANY)
    )
    channels = DeliveryStream.objects.bulk_create(
        DeliveryStream(
            name=f"channel-{n:03}", channel_id=f"channel-{n:03}", source_type="KinesisStreamAsSource",
            source_stream=streams[0], **common,
        )
        for n in range(MANY)
    )  # fmt: skip
    DeliveryTag.objects.bulk_create(
        DeliveryTag(delivery_stream=one, key=f"key{n}", value="value") for one in made for n in range(5)
    )
    logs = DeliveryLog.objects.bulk_create(
        DeliveryLog(delivery_stream=made[0], purpose="direct", created_at_ms=now_ms) for _ in range(MANY)
    )
    Lane.objects.bulk_create(
        Lane(delivery_stream=made[0], role="deliver", log_key=log.log_key, opened_at_ms=now_ms, failing_since_ms=now_ms)
        for log in logs
    )
    DeliveryError.objects.bulk_create(
        DeliveryError(
            delivery_stream=one, part="destination", code="S3.AccessDenied", cause=str(n), message="Access denied", count=1,
            first_at_ms=now_ms, last_at_ms=now_ms,
        )
        for one in (made[0], *channels) for n in range(MANY if one is made[0] else 1)
    )  # fmt: skip
    DeliveredObject.objects.bulk_create(
        DeliveredObject(
            delivery_stream=made[0], part="destination", bucket="events", key=f"a/{n}", size_bytes=1, records=1, at_ms=now_ms
        )
        for n in range(MANY)
    )  # fmt: skip
    DeliveryJob.objects.bulk_create(
        DeliveryJob(
            delivery_stream=made[0], kind="redrive", status="FAILED", error="It could not be read.", created_at_ms=now_ms,
            finished_at_ms=now_ms, parameters={"prefix": "errors/"},
        )
        for _ in range(MANY)
    )  # fmt: skip


def _people(owner: Membership, now_ms: int) -> None:
    team = owner.team
    roles = TeamRole.objects.bulk_create(
        TeamRole(team=team, name=f"Role {n:02}", actions=sorted(ACTIONS)[:20], created_at_ms=now_ms) for n in range(50)
    )
    people = User.objects.bulk_create(User(email=f"person{n:03}@crowded.test", password="!") for n in range(MANY))
    members = Membership.objects.bulk_create(
        Membership(team=team, user=person, role="own", own_role=roles[n % 50], created_at_ms=now_ms, last_seen_at_ms=now_ms)
        for n, person in enumerate(people)
    )  # fmt: skip
    AccessRequest.objects.bulk_create(
        AccessRequest(membership=member, action="billing:write", reason="To set a budget", created_at_ms=now_ms)
        for member in members
    )
    Invitation.objects.bulk_create(
        Invitation(
            team=team, email=f"guest{n:03}@crowded.test", role="viewer", token_sha256=f"{n:064}", invited_by=owner.user,
            created_at_ms=now_ms, expires_at_ms=now_ms + DAY_MS,
        )
        for n in range(MANY)
    )  # fmt: skip
    others = Team.objects.bulk_create(
        Team(account_id=f"5000000{n:05}", slug=f"other-{n:03}", name=f"Other {n:03}", created_at_ms=now_ms)
        for n in range(MANY)
    )
    Membership.objects.bulk_create(Membership(team=other, user=owner.user, role="owner") for other in others)
    SavedView.objects.bulk_create(
        SavedView(team=team, user=owner.user, name=f"View {n}", query="q=x", created_at_ms=now_ms) for n in range(20)
    )


def _keys(owner: Membership, now_ms: int) -> None:
    AccessKey.objects.bulk_create(
        AccessKey(
            team=owner.team, key_id=f"AKIDCROWDED{n:03}", secret_encrypted=b"x", name=f"Key {n}", created_by=owner.user,
            created_at_ms=now_ms, last_used_at_ms=now_ms, last_used_from="192.0.2.1", last_used_service="kinesis",
            is_active=bool(n % 2),
        )
        for n in range(99)
    )  # fmt: skip
    ApiToken.objects.bulk_create(
        ApiToken(
            user=owner.user, membership=owner, public_id=f"tok_{n:03}", digest=f"{n:0128}", token_key=f"{n:08}", name=f"Token {n}",
            shown_prefix="tg_0000", scopes=["stream:read"], created_at_ms=now_ms, last_used_at_ms=now_ms,
            last_used_from="192.0.2.1",
        )
        for n in range(MANY)
    )  # fmt: skip


def _trail(owner: Membership, now_ms: int) -> None:
    account = owner.team.account_id
    arn = f"arn:aws:kinesis:us-east-1:{account}:stream/{STREAM}"
    from apps.access import audit

    AuditEntry.objects.bulk_create(
        AuditEntry(
            at_ms=now_ms, account_id=account, owner_account_id=account, principal=f"arn:aws:iam::{account}:root",
            key_id="AKIDEXAMPLE", service="kinesis", operation="AddTagsToStream", source_ip="192.0.2.1", endpoint_id="",
            user_agent="aws-cli", resource=arn, resource_key=audit.resource_key(arn), request_id=f"r{n}",
            outcome="ValidationException", message="No", is_data=False, person=owner.user.email,
        )
        for n in range(MANY)
    )  # fmt: skip


def _alarms(team: Team, streams: list[Stream], now_ms: int) -> None:
    Alarm.objects.bulk_create(
        Alarm(
            team=team, name=f"alarm-{n:03}", state="ALARM", reason="Over", configured_at_ms=now_ms, evaluated_at_ms=now_ms,
            changed_at_ms=now_ms, due_at_ms=now_ms + DAY_MS, settings=_metric(streams[n].name), muted_until_ms=now_ms + DAY_MS,
        )
        for n in range(MANY)
    )  # fmt: skip
    History.objects.bulk_create(
        History(team=team, alarm_name=ALARM, kind="StateUpdate", at_ms=now_ms, summary="OK to ALARM", data="{}")
        for _ in range(MANY)
    )
    metrics = [["AWS/Kinesis", "IncomingBytes", "StreamName", one.name] for one in streams[:6]]
    tile = {
        "type": "metric",
        "width": 12,
        "height": 6,
        "properties": {"title": "In", "stat": "Sum", "metrics": metrics},
    }
    body = json.dumps({"widgets": [tile] * 30})
    Dashboard.objects.bulk_create(
        Dashboard(team=team, name=f"dashboard-{n:03}", body=body, modified_at_ms=now_ms) for n in range(MANY)
    )


def _metric(stream: str) -> dict[str, Any]:
    return {
        "Namespace": "AWS/Kinesis", "MetricName": "IncomingBytes", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
        "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold",
        "Dimensions": [{"Name": "StreamName", "Value": stream}], "AlarmActions": ["https://hooks.example/x"],
    }  # fmt: skip


def _money(team: Team, now_ms: int) -> None:
    month = Month.at(now_ms)
    days = range(month.start_ms, now_ms, DAY_MS)
    names = [f"stream/stream-{n:03}" for n in range(MANY)]
    common: dict[str, Any] = {"team": team, "meter": "shard-time"}
    UsageDay.objects.bulk_create(
        UsageDay(resource=name, meter_key="", day_ms=day, quantity=36_000_000, **common)
        for name in names
        for day in days
    )
    UsageHour.objects.bulk_create(
        UsageHour(resource=name, meter_key="", hour_ms=month.start_ms, quantity=36_000_000, **common) for name in names
    )
    MeterReading.objects.bulk_create(
        MeterReading(
            resource=f"stream/{n}", booked_on=name, meter_key="", hour_ms=month.start_ms, incarnation="rows", value=36_000_000,
            read_at_ms=month.start_ms, **common,
        )
        for n, name in enumerate(names)
    )  # fmt: skip
    Correction.objects.bulk_create(
        Correction(
            resource=name, hour_ms=month.start_ms, meter_key="", quantity=1, reason="manual", note="Put right",
            booked_at_ms=now_ms, booked_by="owner@example.test", bill_month=str(month), **common,
        )
        for name in names
    )  # fmt: skip
    BilledResource.objects.bulk_create(
        BilledResource(team=team, resource=name, tags={"env": f"env-{n:03}"}, seen_at_ms=now_ms)
        for n, name in enumerate(names)
    )
    Credit.objects.bulk_create(
        Credit(team=team, amount_cents=5, reason="Incident", from_month=str(month), created_at_ms=now_ms)
        for _ in range(MANY)
    )
    BillingFlag.objects.bulk_create(
        BillingFlag(team=team, kind="late", resource=name, text="Came late", first_at_ms=now_ms, at_ms=now_ms)
        for name in names
    )
    budgets = Budget.objects.bulk_create(
        Budget(
            team=team, name=f"Budget {n:02}", amount_cents=100, thresholds=[50, 80, 100], emails=["owner@example.test"],
            resource=names[n], created_at_ms=now_ms, changed_at_ms=now_ms,
        )
        for n in range(50)
    )  # fmt: skip
    BudgetAlert.objects.bulk_create(
        BudgetAlert(
            budget=budgets[0], month=str(month), threshold=n, spent_cents=1, amount_cents=1, at_ms=now_ms,
            told={"owner@example.test": {"ok": True, "text": "", "tries": 1}},
        )
        for n in range(MANY)
    )  # fmt: skip
    PriceBook.objects.bulk_create(
        PriceBook(
            region="us-east-1", valid_from_ms=month.start_ms + n * DAY_MS, published_at_ms=now_ms, published_by="x@x.test",
            created_at_ms=now_ms, note="Agreed",
        )
        for n in range(MANY)
    )  # fmt: skip
