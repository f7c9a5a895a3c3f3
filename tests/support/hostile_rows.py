"""What strangers may have written wherever the product keeps text: markup and script in every such place of a team.

Where an operation would refuse such a name the row is written as it is: what is shown must not depend on that. Each text
ends with the name of its place, so that a test can tell which of them a page showed.
"""

import json
import re
from typing import Any

from apps.access.models import AuditEntry
from apps.accounts import keys, tokens
from apps.accounts.models import AccessRequest, Invitation, Membership, Team, TeamRole, User
from apps.billing.models import (
    BilledResource,
    BillingFlag,
    Budget,
    BudgetAlert,
    Correction,
    Credit,
    SpendingHold,
    UsageDay,
    UsageHour,
)
from apps.billing.months import Month
from apps.cloudwatch.models import Alarm, Dashboard, History
from apps.delivery.models import (
    DeliveredObject,
    DeliveryError,
    DeliveryJob,
    DeliveryStream,
    DeliveryTag,
)
from apps.streams.models import Consumer, ConsumerTag, Ingestion, Stream, Tag
from console.models import SavedView

PAYLOAD = '"><img src=x onerror=owned=1>'
"""In a browser that runs it, window.owned is 1."""

LINK = "[x](javascript:owned=1)"

PLACES = frozenset(
    {
        "person", "team", "role", "words", "key", "token", "reason", "alarm", "why", "history", "title", "label",
        "line", "text", "case", "failure", "object", "job", "tag", "value", "dtag", "dvalue", "consumer", "file",
        "import", "agent", "message", "principal", "before", "after", "view",
        "budget", "of", "owed", "told", "outcome", "credit", "flag",
    }
)  # fmt: skip
"""All of them."""


def said(place: str) -> str:
    """The text of a place: short enough for all, and found again by its end."""
    assert place in PLACES
    return f"{PAYLOAD}@{place}."


def places_in(text: str) -> set[str]:
    """Places whose text stands there."""
    return set(re.findall(r"@(\w+)\.", text)) & PLACES


def write(membership: Membership, stream: Stream, delivery: DeliveryStream, now_ms: int) -> None:
    """Into a team with a data stream and a delivery stream."""
    _people(membership, now_ms)
    _metrics(membership.team, stream, now_ms)
    _deliveries(delivery, now_ms)
    _streams(membership.team, stream, now_ms)
    _trail(membership, stream, now_ms)
    _budgets(membership.team, now_ms)
    _bills(membership.team, now_ms)


def _budgets(team: Team, now_ms: int) -> None:
    """One that told, and holds the team's writes: its name is on every page."""
    made = Budget.objects.create(
        team=team, name=said("budget"), resource=said("of"), amount_cents=1, thresholds=[50], emails=[said("owed")],
        action="pause", created_at_ms=now_ms, changed_at_ms=now_ms,
    )  # fmt: skip
    told = {said("told"): {"ok": False, "text": said("outcome"), "tries": 1}}
    BudgetAlert.objects.create(
        budget=made, month="2026-11", threshold=50, spent_cents=1, amount_cents=1, at_ms=now_ms, told=told
    )
    SpendingHold.objects.create(team=team, action="pause", budget=made, since_ms=now_ms)


def _bills(team: Team, now_ms: int) -> None:
    """Usage of a resource, by a key and with tags of such names; a credit that the month's statement takes; a flag."""
    month = Month.at(now_ms)
    day_ms = month.start_ms
    for model, time in ((UsageHour, "hour_ms"), (UsageDay, "day_ms")):
        model.objects.create(
            team=team, resource=f"stream/{PAYLOAD}", meter="shard-time", meter_key=PAYLOAD, quantity=36_000_000_000,
            **{time: day_ms},
        )  # fmt: skip
    BilledResource.objects.create(team=team, resource=f"stream/{PAYLOAD}", tags={PAYLOAD: PAYLOAD}, seen_at_ms=now_ms)
    Credit.objects.create(team=team, amount_cents=5, reason=said("credit"), from_month=str(month), created_at_ms=now_ms)
    BillingFlag.objects.create(
        team=team, kind="late", resource=PAYLOAD, text=said("flag"), first_at_ms=now_ms, at_ms=now_ms
    )
    Correction.objects.create(
        team=team, resource=f"stream/{PAYLOAD}", meter="shard-time", hour_ms=day_ms, meter_key=PAYLOAD, quantity=1,
        reason="manual", note=PAYLOAD, booked_at_ms=now_ms, booked_by=PAYLOAD, bill_month=str(month),
    )  # fmt: skip


def _people(membership: Membership, now_ms: int) -> None:
    team, user = membership.team, membership.user
    Team.objects.filter(pk=team.pk).update(name=said("team"))
    User.objects.filter(pk=user.pk).update(name=said("person"))
    TeamRole.objects.create(
        team=team, name=said("role"), description=said("words"), actions=["stream:read"], created_at_ms=now_ms
    )
    keys.create(team, user, said("key"), now_ms)
    tokens.create(membership, said("token"), ["stream:read"], None, now_ms)
    AccessRequest.objects.create(
        membership=membership, action="record:read", reason=said("reason"), created_at_ms=now_ms
    )
    Invitation.objects.create(
        team=team, email='"<i>"@evil.example', role="viewer", token_sha256="0" * 64, invited_by=user,
        created_at_ms=now_ms, expires_at_ms=now_ms + 86_400_000,
    )  # fmt: skip


def _metrics(team: Team, stream: Stream, now_ms: int) -> None:
    metric: dict[str, Any] = {
        "Namespace": "AWS/Kinesis", "MetricName": "IncomingBytes", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
        "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold", "AlarmDescription": said("words"),
        "Dimensions": [{"Name": "StreamName", "Value": stream.name}], "AlarmActions": ["https://evil.example/" + PAYLOAD],
    }  # fmt: skip
    Alarm.objects.create(
        team=team, name=said("alarm"), settings=metric, state="ALARM", reason=said("why"), configured_at_ms=now_ms,
        evaluated_at_ms=now_ms, changed_at_ms=now_ms, due_at_ms=now_ms + 86_400_000,
    )  # fmt: skip
    History.objects.create(
        team=team, alarm_name=said("alarm"), kind="StateUpdate", at_ms=now_ms, summary=said("history"), data="{}"
    )
    shown = {
        "title": said("title"), "stat": "Sum", "annotations": {"horizontal": [{"value": 1, "label": said("line")}]},
        "metrics": [["AWS/Kinesis", "IncomingBytes", "StreamName", stream.name, {"label": said("label")}]],
    }  # fmt: skip
    markdown = f"# {said('text')}\n{LINK}\n<script>owned=1</script>\n![x](x)"
    body = {
        "widgets": [
            {"type": "metric", "width": 12, "height": 6, "properties": shown},
            {"type": "text", "width": 12, "height": 6, "properties": {"markdown": markdown}},
        ]
    }
    Dashboard.objects.create(team=team, name="late", body=json.dumps(body), modified_at_ms=now_ms)


def _deliveries(delivery: DeliveryStream, now_ms: int) -> None:
    DeliveryTag.objects.create(delivery_stream=delivery, key=said("dtag"), value=said("dvalue"))
    DeliveryError.objects.create(
        delivery_stream=delivery, part="destination", code="S3.AccessDenied", cause=PAYLOAD, message=said("case"),
        count=1, first_at_ms=now_ms, last_at_ms=now_ms,
    )  # fmt: skip
    DeliveryStream.objects.filter(pk=delivery.pk).update(
        failure={"Type": "UNKNOWN_ERROR", "Details": said("failure")}, status="CREATING_FAILED"
    )
    DeliveredObject.objects.create(
        delivery_stream=delivery, part="destination", bucket="events", key=said("object"), size_bytes=1, records=1, at_ms=now_ms
    )  # fmt: skip
    DeliveryJob.objects.create(
        delivery_stream=delivery, kind="redrive", status="FAILED", error=said("job"), created_at_ms=now_ms,
        finished_at_ms=now_ms, parameters={"prefix": PAYLOAD},
    )  # fmt: skip


def _streams(team: Team, stream: Stream, now_ms: int) -> None:
    Tag.objects.create(stream=stream, key=said("tag"), value=said("value"))
    consumer = Consumer.objects.create(stream=stream, name=said("consumer"), status="ACTIVE", created_at_ms=now_ms)
    ConsumerTag.objects.create(consumer=consumer, key=PAYLOAD, value=PAYLOAD)
    Ingestion.objects.create(
        team=team, kind="import", target=stream, target_name=stream.name, created_at_ms=now_ms, status="FAILED",
        finished_at_ms=now_ms, error=said("import"),
        source={"file": "x", "name": said("file"), "key": PAYLOAD, "key_field": 0},
    )  # fmt: skip


def _trail(membership: Membership, stream: Stream, now_ms: int) -> None:
    account = membership.team.account_id
    AuditEntry.objects.create(
        at_ms=now_ms, account_id=account, owner_account_id=account, principal=said("principal"), key_id=PAYLOAD,
        service="kinesis", operation="AddTagsToStream", source_ip="192.0.2.1", endpoint_id="", user_agent=said("agent"),
        resource=f"arn:aws:kinesis:us-east-1:{account}:stream/{stream.name}", request_id="r", outcome="ValidationException",
        message=said("message"), is_data=False, person=membership.user.email,
        before=json.dumps({PAYLOAD: said("before")}), after=json.dumps({PAYLOAD: said("after")}),
    )  # fmt: skip
    SavedView.objects.create(
        team=membership.team, user=membership.user, name=said("view"), query="q=x", created_at_ms=now_ms
    )
