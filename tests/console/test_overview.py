"""The overview: what needs attention, what is set aside, activity for those who may see it."""

import pytest

from apps.access.models import AuditEntry
from apps.accounts.models import Membership, User
from apps.cloudwatch.models import Acknowledgement, Alarm
from apps.streams.models import Ingestion
from console.pages.streams import counts_of
from tests.console.conftest import make_stream, signed_in, text_of
from tests.support.teams import make_team

RULE = {
    "Namespace": "AWS/Kinesis", "MetricName": "IncomingBytes", "Dimensions": [{"Name": "StreamName", "Value": "orders"}],
    "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 5e6, "ComparisonOperator": "GreaterThanThreshold",
}  # fmt: skip


@pytest.fixture
def alarm(team):
    return Alarm.objects.create(
        team=team.team, name="busy", settings=RULE, reason="", state="ALARM", configured_at_ms=1, evaluated_at_ms=1,
        changed_at_ms=7, due_at_ms=1,
    )  # fmt: skip


def member(team, role):
    user = User.objects.create_user(f"{role}@members.test", None)
    Membership.objects.create(team=team.team, user=user, role=role)
    return type("Member", (), {"user": user})()


def concern(client):
    [found] = client.get("/t/first").context["concerns"]
    return {"about": found.about, "state": found.state}


def test_alarms_and_failed_jobs_need_attention(client, team, stream, alarm, served):
    Ingestion.objects.create(
        kind="import", target_name="orders", created_at_ms=1, finished_at_ms=served.clock.now_ms(), status="FAILED",
        error="no such file", team=team.team, source={},
    )  # fmt: skip
    page = text_of(client.get("/t/first"))
    assert "Alarm: Sum of incoming bytes per minute is above 5 MB for 1 minute, of orders" in page
    assert "Failed: no such file" in page


def test_what_is_acknowledged_is_hidden_from_this_person_until_it_changes(client, team, stream, alarm, served):
    client.post("/t/first/acknowledge", concern(client))
    page = text_of(client.get("/t/first"))
    assert "Nothing right now" in page or "Not known" in page
    assert "Show 1 that you have hidden" in page
    assert "is above 5 MB" in text_of(signed_in(member(team, "admin")).get("/t/first"))
    Alarm.objects.update(changed_at_ms=8)
    assert "is above 5 MB" in text_of(client.get("/t/first"))
    client.post("/t/first/acknowledge", concern(client))
    served.clock.advance(25 * 3_600_000)
    assert "is above 5 MB" in text_of(client.get("/t/first"))
    client.post("/t/first/acknowledge", concern(client))
    client.post("/t/first/acknowledge", {"all": "1"})
    assert not Acknowledgement.objects.exists()
    assert client.post("/t/first/acknowledge", {}).status_code == 404


def test_activity_is_for_those_who_may_see_the_audit_log(client, team, stream):
    assert AuditEntry.objects.exists()
    assert "Create stream" in text_of(client.get("/t/first"))
    assert "Recent activity" not in text_of(signed_in(member(team, "viewer")).get("/t/first"))


def test_what_nobody_did_is_tidegates_own_doing(client, team, stream):
    AuditEntry.objects.all().delete()
    AuditEntry.objects.create(
        owner_account_id=team.team.account_id, operation="HoldSpending", resource="team/first", at_ms=1, is_data=False
    )
    assert [done.who for done in client.get("/t/first").context["activity"]] == ["Tidegate"]


def test_a_stream_that_is_not_read_now_may_have_been_read_before(client, team, stream):
    assert "no reads yet" not in text_of(client.get("/t/first"))
    assert "no reads yet" not in text_of(client.get("/t/first/streams"))


def test_the_page_is_few_queries_however_many_streams(client, team, stream, alarm, django_assert_max_num_queries):
    with django_assert_max_num_queries(18):
        client.get("/t/first")


def test_quotas_and_the_live_chart(client, team, stream):
    page = text_of(client.get("/t/first"))
    assert 'topic="team/throughput"' in page
    assert "Provisioned shards" in page
    assert "2 of 20,000" in page or "2 of 1,000" in page or "2 of 500" in page


def test_shards_of_on_demand_streams_do_not_count_against_the_quota(client, team, stream, served):
    make_stream(served, team, "wild", shards=None, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    counts = counts_of(client.get("/t/first/streams").wsgi_request)
    assert (counts.open_shards, counts.provisioned_shards) == (6, 2)


def test_an_empty_team_has_three_steps(served, db):
    fresh = make_team("999999999999", "fresh", "AKIDFRESH", email="fresh@example.test")
    page = text_of(signed_in(fresh).get("/t/fresh"))
    for words in ("Create a data stream", "Point a client at it", "Watch the first record arrive"):
        assert words in page
