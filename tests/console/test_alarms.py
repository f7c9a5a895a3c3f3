"""Pages of alarms: made by a form, looked at, muted, tried, deleted; suggested ones."""

import pytest

from apps.cloudwatch.models import Alarm, History
from console.pages.alarms import rules
from tests.console.conftest import other_team, signed_in, text_of
from tests.support.delivery_rows import make_delivery

FORM = {
    "name": "late / readers?", "of": "stream/orders", "metric": "GetRecords.IteratorAgeMilliseconds", "statistic": "Maximum",
    "comparison": "GreaterThanThreshold", "threshold": "90 s", "needed": "3", "periods": "5", "period": "60",
    "missing": "notBreaching", "notify": "on-call@example.test\nhttps://hooks.example.test/x", "enabled": "1",
}  # fmt: skip
ONE = "/t/first/alarms/of/late%2520%252F%2520readers%253F"


@pytest.fixture
def alarm(client, stream):
    answer = client.post("/t/first/alarms/create", FORM)
    assert answer.status_code == 302, text_of(answer)
    return Alarm.objects.get()


def test_an_alarm_is_made_in_plain_words(client, alarm):
    assert alarm.settings["Threshold"] == 90_000
    assert alarm.settings["AlarmActions"] == ["mailto:on-call@example.test", "https://hooks.example.test/x"]
    page = text_of(client.get(ONE))
    assert "Highest iterator age of readers is above 90 s in 3 of 5 minutes" in page
    assert "It cannot be said" in page  # without Redis
    assert "late / readers?" in text_of(client.get("/t/first/alarms"))


def test_changing_keeps_what_the_form_shows(client, alarm):
    page = client.get(f"{ONE}/edit")
    shown = page.context["form"]
    sent = {name: shown[name].value() for name in shown.fields if shown[name].value() not in (None, "", False)}
    assert client.post(f"{ONE}/edit", {**sent, "threshold": "2 min"}).status_code == 302
    after = Alarm.objects.get()
    assert after.settings == {**alarm.settings, "Threshold": 120_000}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threshold": "much"}, "Write a number"),
        ({"threshold": "5 MB"}, "not counted in MB"),
        ({"needed": "6"}, "At most 5"),
        ({"notify": "http://example.test"}, "Only https"),
        ({"metric": "shard/IncomingBytes"}, "needs the shard"),
        ({"periods": "1440", "period": "3600", "needed": "1"}, "a week if its periods"),
        ({"of": "delivery/orders"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_said_at_the_field_and_what_was_typed_stays(client, stream, change, words):
    answer = client.post("/t/first/alarms/create", {**FORM, **change})
    assert answer.status_code == 422
    page = text_of(answer)
    assert words in page
    assert "late / readers?" in page
    assert not Alarm.objects.exists()


def test_a_name_that_is_taken(client, alarm):
    assert "There is an alarm" in text_of(client.post("/t/first/alarms/create", FORM))


def test_the_preview_beside_the_form(client, team, stream):
    make_delivery(team)
    page = text_of(client.post("/t/first/alarms/beside", {**FORM, "name": ""}))
    assert "It cannot be said" in page
    assert "of <b>orders</b>" in page
    page = text_of(client.post("/t/first/alarms/beside", {"of": "delivery/ticker", "threshold": "x"}))
    assert "DeliveryToS3.DataFreshness" in page
    assert "Not known yet" in page


def test_muting_trying_switching_and_deleting(client, alarm, mailoutbox):
    client.post(f"{ONE}/mute", {"hours": "8"})
    assert Alarm.objects.get().muted_until_ms
    assert "Muted until" in text_of(client.get(ONE))
    client.post(f"{ONE}/mute", {"hours": "off"})
    assert Alarm.objects.get().muted_until_ms is None
    assert client.post(f"{ONE}/mute", {"hours": "9000"}).status_code == 404
    Alarm.objects.update(settings={**alarm.settings, "AlarmActions": ["mailto:on-call@example.test"]})
    assert "Sent to mailto:on-call@example.test" in text_of(client.post(f"{ONE}/test", follow=True))
    assert len(mailoutbox) == 1
    client.post(f"{ONE}/actions", {"on": "0"})
    assert not Alarm.objects.get().actions_enabled
    client.post(f"{ONE}/state", {"state": "ALARM"})
    assert Alarm.objects.get().state == "ALARM"
    assert "Set by hand by" in text_of(client.get(ONE))
    assert client.post(f"{ONE}/delete", {"name": "late"}).status_code == 422
    assert client.post(f"{ONE}/delete", {"name": "late / readers?"}).status_code == 302
    assert not Alarm.objects.exists()
    assert History.objects.filter(summary__contains="deleted").exists()


def test_a_suggestion_becomes_an_alarm(client, team, stream):
    assert "orders-iterator-age" in text_of(client.get("/t/first/alarms"))
    client.post("/t/first/alarms", {"suggestion": "orders-iterator-age", "mail": "1"})
    assert Alarm.objects.get().settings["AlarmActions"] == [f"mailto:{team.user.email}"]
    assert client.post("/t/first/alarms", {"suggestion": "orders-iterator-age"}).status_code == 404


def test_another_teams_alarm_is_not_there(client, alarm):
    stranger = signed_in(other_team())
    assert stranger.get(ONE.replace("first", "second")).status_code == 404
    assert "late" not in text_of(stranger.get("/t/second/alarms"))


def test_alarms_of_expressions_keep_their_metric(client, team, stream, served):
    from apps.gateway.invoke import invoke_sync

    stat = {"Metric": {"Namespace": "App", "MetricName": "m"}, "Period": 60, "Stat": "Sum"}
    queries = [
        {"Id": "m", "MetricStat": stat, "ReturnData": False},
        {"Id": "e", "Expression": "m * 2", "Label": "Twice"},
    ]
    rule = {"EvaluationPeriods": 1, "Threshold": 5.0, "ComparisonOperator": "LessThanThreshold", "Metrics": queries}
    invoke_sync(served, team.principal, "cloudwatch", "PutMetricAlarm", {"AlarmName": "own", **rule})
    page = text_of(client.get("/t/first/alarms/of/own"))
    assert "Twice" in page
    assert "Would have fired 0 times in 7 days" in page
    sent = {
        "comparison": "LessThanThreshold",
        "threshold": "7",
        "needed": "1",
        "periods": "2",
        "missing": "missing",
        "enabled": "1",
    }
    assert client.post("/t/first/alarms/of/own/edit", sent).status_code == 302
    settings = Alarm.objects.get().settings
    assert settings["Metrics"] == queries
    assert settings["Threshold"] == 7


def test_the_list_is_few_queries(client, alarm, django_assert_max_num_queries):
    for n in range(60):
        Alarm.objects.create(
            team=alarm.team, name=f"a{n}", settings=alarm.settings, reason="", configured_at_ms=1, evaluated_at_ms=1,
            changed_at_ms=1, due_at_ms=1,
        )  # fmt: skip
    with django_assert_max_num_queries(12):
        page = text_of(client.get("/t/first/alarms"))
    assert "61 alarms" in page
    assert "Next" in page
    assert "a7" in text_of(client.get("/t/first/alarms?q=a7", headers={"HX-Request": "true"}))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(90_000, "Milliseconds", "90 s"), (900, "Seconds", "15 min"), (96 * 2**20, "Bytes", "96 MiB"), (5e6, "Bytes", "5 MB"),
     (1_234, "Bytes", "1,234"), (512 * 2**10, "Bytes", "512 KiB"), (1e10, "Bytes", "10 GB"),
     (0.99, "Count", "0.99"), (250, "Milliseconds", "250 ms"), (0, "Milliseconds", "0")],
)  # fmt: skip
def test_thresholds_are_written_as_they_are_read(value, unit, text):
    assert rules.exact(value, unit) == text
    assert rules.threshold_of(text, unit) == value


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [("60 s", "Milliseconds", 60_000), ("15 min", "Seconds", 900), ("1,000", "Count", 1_000), ("99%", "Count", 0.99),
     ("48 MiB", "Bytes", 48 * 2**20), ("5MB/s", "Bytes", 5_000_000), ("-3.5", "", -3.5), ("1e3", "", 1_000)],
)  # fmt: skip
def test_thresholds_are_read_as_people_write_them(text, unit, value):
    assert rules.threshold_of(text, unit) == value
