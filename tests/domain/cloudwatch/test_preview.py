"""What an alarm would have done is what it does; and what stands around alarms: suggestions, mutes, tests."""

import pytest

from apps.access.changes import Actor
from apps.access.models import AuditEntry
from apps.base.errors import ServiceError
from apps.cloudwatch import muting, suggestions, testing
from apps.cloudwatch.models import Alarm, History
from apps.cloudwatch.preview import preview
from apps.cloudwatch.reading import Reader
from tests.domain.cloudwatch.conftest import expression, metric
from tests.domain.cloudwatch.test_alarms import HOOK, MAIL, RULE, minute, put, sent
from tests.support.delivery_rows import make_delivery
from tests.support.stream_rows import make_stream

__all__ = ["sent"]

pytestmark = pytest.mark.django_db(transaction=True)

MIRA = Actor("123456789012", "arn:aws:iam::123456789012:root", "console", 1, person="mira@example.test")

MINUTES = [9, 9, None, 1, 9, None, None, 9, 9, 9, 1, 1, 9, 1]


@pytest.mark.parametrize(
    "rule",
    [
        RULE,
        {**RULE, "EvaluationPeriods": 3, "DatapointsToAlarm": 2, "TreatMissingData": "notBreaching"},
        {**RULE, "EvaluationPeriods": 2},
        {**RULE, "Period": 120, "Statistic": "Maximum", "EvaluationPeriods": 2, "TreatMissingData": "ignore"},
    ],
)
def test_a_preview_is_what_the_alarm_does(watch, rule):
    watch("PutMetricAlarm", AlarmName="a", **rule)
    for value in MINUTES:
        minute(watch, *([] if value is None else [value]))
    fired = History.objects.filter(kind="StateUpdate", summary__endswith="to ALARM")
    seen = preview(Reader(watch.principal.team_id, watch.clock), rule)
    ours = [at_s for at_s, _ in seen.fired]
    assert fired.count() == len(ours) > 0
    # The worker looks eleven seconds after the end of what it looks at.
    assert ours == [line.at_ms // 1_000 - 11 for line in fired.order_by("at_ms")]


def test_a_preview_of_an_expression_and_of_nothing(watch):
    for value in (1, 9, 9, 1):
        minute(watch, value)
    queries = [{**metric("m"), "ReturnData": False}, expression("e", "m * 2")]
    rule = {key: RULE[key] for key in ("EvaluationPeriods", "Threshold", "ComparisonOperator")}
    reader = Reader(watch.principal.team_id, watch.clock)
    seen = preview(reader, {**rule, "Threshold": 10, "Metrics": queries})
    assert len(seen.fired) == 1
    assert {value for _, value in seen.points} == {None, 18.0}
    nothing = preview(reader, {**RULE, "MetricName": "other"})
    assert not nothing.has_data
    assert nothing.fired == []
    assert nothing.end_s - nothing.start_s == 7 * 86_400


@pytest.mark.parametrize(("period", "span_s"), [(10, 6 * 3_600), (5, 900), (86_400, 7 * 86_400)])
def test_how_far_a_preview_looks_back(watch, period, span_s):
    minute(watch, 9)
    seen = preview(Reader(watch.principal.team_id, watch.clock), {**RULE, "Period": period})
    assert abs((seen.end_s - seen.start_s) - span_s) < 60
    assert period % seen.every_s == 0


def test_suggestions_are_of_real_streams_and_go_when_they_are_taken(watch, team):
    team_id = watch.principal.team_id
    make_stream(team.team, "orders", 2)
    make_delivery(team, "to-s3")
    found = suggestions.suggested(team_id)
    assert [one.name for one in found] == [
        "orders-iterator-age", "orders-write-throttles", "to-s3-freshness", "orders-near-write-limit",
    ]  # fmt: skip
    for one in found:
        watch("PutMetricAlarm", **one.params)
    assert suggestions.suggested(team_id) == []


def test_muting(watch):
    put(watch)
    config, now_ms = watch.runtime.config, watch.clock.now_ms()
    team_id = watch.principal.team_id
    muting.mute(config, team_id, "a", now_ms + 60_000, by=MIRA, now_ms=now_ms)
    assert Alarm.objects.get().muted_until_ms == now_ms + 60_000
    entry = AuditEntry.objects.get(operation="MuteAlarm")
    assert entry.resource.endswith(":alarm:a")
    assert '"mutedUntil":null' in entry.before
    assert "2026" in entry.after
    for wrong in (now_ms, now_ms + muting.MUTED_FOR_MAX_MS + 1):
        with pytest.raises(ServiceError):
            muting.mute(config, team_id, "a", wrong, by=MIRA, now_ms=now_ms)
    with pytest.raises(ServiceError):
        muting.mute(config, team_id + 1, "a", None, by=MIRA, now_ms=now_ms)
    muting.mute(config, team_id, "a", None, by=MIRA, now_ms=now_ms)
    assert Alarm.objects.get().muted_until_ms is None


def test_a_test_notification_goes_to_each_target_once(watch, sent, mailoutbox):
    put(watch, AlarmActions=[HOOK, MAIL], OKActions=[HOOK])
    alarm = Alarm.objects.select_related("team").get()
    results = testing.notify(watch.runtime, alarm, by=MIRA)
    assert [(one.target, one.problem) for one in results] == [(HOOK, None), (MAIL, None)]
    assert [message["NewStateReason"] for _, message in sent] == [testing.REASON]
    assert len(mailoutbox) == 1
    assert AuditEntry.objects.get(operation="TestAlarmNotification").person == "mira@example.test"
    assert Alarm.objects.get().state == "INSUFFICIENT_DATA"
