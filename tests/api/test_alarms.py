"""Alarms, dashboards and metrics over REST."""

import pytest

from apps.accounts.models import Membership, User
from apps.accounts.roles import Role
from apps.cloudwatch.models import Alarm, Dashboard, History
from tests.api.conforming import conforming
from tests.api.test_envelope import problem
from tests.console.conftest import make_stream
from tests.support.metrics import valkey, valkey_server
from tests.support.teams import make_team

__all__ = ["valkey", "valkey_server"]

RULE = {
    "series": [{"stream": "orders", "metric": "IncomingBytes", "statistic": "Sum"}],
    "comparison": "GreaterThanThreshold", "threshold": 5, "evaluation_periods": 3, "missing_data": "notBreaching",
    "actions": {"alarm": ["mailto:ann@example.test"]},
}  # fmt: skip
BODY = {"widgets": [{"type": "text", "properties": {"markdown": "# Orders"}}]}


@pytest.fixture
def api(team, served):
    return conforming(team.user, team.team)


@pytest.fixture
def other(db):
    return make_team("210987654321", "other", "AKIDOTHER")


def test_an_alarm_is_put_told_put_again_and_deleted(api):
    made = api.put("/alarms/late", RULE)
    assert made.status_code == 201, made.content
    told = api.get("/alarms/late")
    assert told.json()["series"] == [
        {"namespace": "AWS/Kinesis", "metric": "IncomingBytes", "dimensions": {"StreamName": "orders"},
         "statistic": "Sum", "period_s": 60, "is_told": True}
    ]  # fmt: skip
    assert told.json()["state"] == "INSUFFICIENT_DATA"
    writable = {name: told.json()[name] for name in (*RULE, "period_s", "description", "datapoints_to_alarm")}
    settings = Alarm.objects.get().settings
    again = api.put("/alarms/late", writable, if_match=told["ETag"])
    assert again.status_code == 200, again.content
    assert Alarm.objects.get().settings == settings
    problem(api.put("/alarms/late", RULE, if_match='"other"'), 412)
    assert api.delete("/alarms/late").status_code == 204
    problem(api.get("/alarms/late"), 404)
    history = api.get("/alarm-history?alarm=late").json()["items"]
    assert [line["data"]["type"] for line in history] == ["Delete", "Update", "Create"]


def test_names_may_have_slashes(api):
    assert api.put("/alarms/a%2Fb%20c", RULE).json()["name"] == "a/b c"
    assert api.get("/alarms/a%2Fb%20c").status_code == 200


def test_a_rule_over_an_expression_keeps_its_series(api):
    series = [
        {"id": "b", "stream": "orders", "metric": "IncomingBytes", "is_told": False},
        {"id": "r", "stream": "orders", "metric": "IncomingRecords", "is_told": False},
        {"id": "size", "expression": "b / r", "label": "Size"},
    ]
    told = api.put("/alarms/size", {**RULE, "series": series}).json()
    assert [one["id"] for one in told["series"]] == ["b", "r", "size"]
    assert api.put("/alarms/size", {**RULE, "series": told["series"]}).status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"series": []}, "series"),
        ({"series": [{"metric": "IncomingBytes"}]}, "series[0]"),
        ({"series": [{"stream": "a", "metric": "x"}, {"stream": "a", "metric": "y"}]}, "series"),
        ({"series": [{"stream": "a", "metric": "x", "colour": "red"}]}, "series[0].colour"),
        ({"threshold": "5"}, "threshold"),
        ({"threshold": 10**400}, "threshold"),
        ({"comparison": "Never"}, "comparison"),
        ({"evaluation_periods": 0}, "evaluation_periods"),
        ({"actions": {"alarm": ["mailto:a@b.example"] * 6}}, "actions.alarm"),
    ],
)
def test_wrong_rules(api, change, field):
    for call in (lambda body: api.put("/alarms/late", body), lambda body: api.post("/alarm-previews", body)):
        told = problem(call({**RULE, **change}), 400)
        assert field in [error["field"] for error in told["errors"]], told
    assert not Alarm.objects.exists()


def test_what_the_operation_refuses_keeps_its_code(api):
    for change in ({"actions": {"alarm": ["http://a.example"]}}, {"datapoints_to_alarm": 4}, {"period_s": 7}):
        told = problem(api.put("/alarms/late", {**RULE, **change}), 400)
        assert told["code"] in {"ValidationException", "InvalidParameterValueException"}
        assert problem(api.post("/alarm-previews", {**RULE, **change}), 400)["code"] == told["code"]


def test_muting_and_switching(api, served):
    api.put("/alarms/late", RULE)
    until_ms = served.clock.now_ms() + 3_600_000
    told = api.patch("/alarms/late", {"muted_until_ms": until_ms, "actions_enabled": False}).json()
    assert (told["muted_until_ms"], told["actions_enabled"]) == (until_ms, False)
    assert api.patch("/alarms/late", {"muted_until_ms": None}).json()["muted_until_ms"] is None
    problem(api.patch("/alarms/late", {"muted_until_ms": 1}), 400)
    problem(api.patch("/alarms/none", {"muted_until_ms": None}), 404)


def test_a_test_notification_says_how_it_went(api):
    api.put("/alarms/late", {**RULE, "actions": {}})
    assert api.post("/alarm-tests", {"alarm": "late"}).json() == {"sent": []}
    assert problem(api.post("/alarm-tests", {"alarm": "none"}), 400)["errors"][0]["field"] == "alarm"


def test_filters_and_pages(api):
    for name in ("a", "b", "c"):
        api.put(f"/alarms/{name}", RULE)
    first = api.get("/alarms?limit=2").json()
    rest = api.get(f"/alarms?limit=2&cursor={first['next_cursor']}").json()
    assert [one["name"] for one in (*first["items"], *rest["items"])] == ["a", "b", "c"]
    assert [one["name"] for one in api.get("/alarms?q=B&state=INSUFFICIENT_DATA").json()["items"]] == ["b"]
    assert api.get("/alarms?state=OK").json()["items"] == []
    assert len(api.get("/alarm-history?kind=ConfigurationUpdate").json()["items"]) == 3
    assert api.get("/alarm-history?from_ms=9000000000000").json()["items"] == []


def test_suggestions_can_be_put(api, team, served):
    make_stream(served, team, "orders")
    items = api.get("/alarm-suggestions").json()["items"]
    assert items
    for one in items:
        assert api.put(f"/alarms/{one['name']}", one["alarm"]).status_code == 201
    assert api.get("/alarm-suggestions").json()["items"] == []


def test_dashboards(api):
    made = api.put("/dashboards/orders", {"body": BODY})
    assert made.status_code == 201, made.content
    assert made.json()["body"] == BODY
    etag = api.get("/dashboards/orders")["ETag"]
    changed = {"body": {**BODY, "colour": "red"}}
    told = api.put("/dashboards/orders", changed, if_match=etag)
    assert told.status_code == 200
    assert told.json()["warnings"][0]["path"] == "/colour"
    problem(api.put("/dashboards/orders", changed, if_match=etag), 412)
    wrong = problem(api.put("/dashboards/other", {"body": {"widgets": [{"type": "video", "properties": {}}]}}), 400)
    assert wrong["errors"][0]["field"] == "body/widgets/0/type"
    problem(api.put("/dashboards/a b", {"body": BODY}), 400)
    assert [one["name"] for one in api.get("/dashboards?q=ORD").json()["items"]] == ["orders"]
    assert api.delete("/dashboards/orders").status_code == 204
    problem(api.delete("/dashboards/orders"), 404)


def test_another_teams_are_not_there(api, other, served):
    theirs = conforming(other.user, other.team)
    theirs.put("/alarms/theirs", RULE)
    theirs.put("/dashboards/theirs", {"body": BODY})
    for path in ("/alarms/theirs", "/dashboards/theirs"):
        problem(api.get(path), 404)
        problem(api.delete(path), 404)
    problem(api.patch("/alarms/theirs", {"actions_enabled": False}), 404)
    problem(api.post("/alarm-tests", {"alarm": "theirs"}), 400)
    for path in ("/alarms", "/dashboards", "/alarm-history"):
        assert api.get(path).json()["items"] == []
    assert (Alarm.objects.count(), Dashboard.objects.count(), History.objects.count()) == (1, 1, 1)


def test_roles(team, served):
    user = User.objects.create_user("v@example.test", None)
    Membership.objects.create(team=team.team, user=user, role=Role.VIEWER)
    viewer = conforming(user, team.team)
    assert viewer.get("/alarms").status_code == 200
    for call in (
        lambda: viewer.put("/alarms/a", RULE),
        lambda: viewer.patch("/alarms/a", {}),
        lambda: viewer.delete("/alarms/a"),
        lambda: viewer.post("/alarm-tests", {"alarm": "a"}),
        lambda: viewer.post("/alarm-previews", RULE),
        lambda: viewer.put("/dashboards/a", {"body": BODY}),
        lambda: viewer.delete("/dashboards/a"),
    ):
        assert problem(call(), 403)["needs"] == "alarm:write"


@pytest.mark.django_db(transaction=True)  # metrics are read on another connection
def test_metrics_over_time(api, team, served, valkey):
    from apps.gateway.invoke import invoke_sync

    now_ms = served.clock.now_ms() // 60_000 * 60_000
    for minute, value in ((1, 4), (3, 6)):
        datum = {"MetricName": "size", "Value": value, "Timestamp": now_ms - minute * 60_000}
        invoke_sync(served, team.principal, "cloudwatch", "PutMetricData", {"Namespace": "App", "MetricData": [datum]})
    series = [
        {"id": "a", "namespace": "App", "metric": "size", "statistic": "Sum"},
        {"expression": "a / 0", "label": "Nothing"},
    ]
    answer = api.post("/metrics/query", {"start_ms": now_ms - 240_000, "end_ms": now_ms, "series": series})
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert told["t"] == [now_ms - minute * 60_000 for minute in (4, 3, 2, 1)]
    assert told["d"][0] == [None, 6, None, 4]
    assert set(told["d"][1]) == {None}
    assert [one["label"] for one in told["columns"]] == ["size", "Nothing"]
    names = api.get("/metrics/names?namespace=App").json()
    assert names == {"items": [{"namespace": "App", "metric": "size", "dimensions": {}}], "next_cursor": None}
    preview = api.post("/alarm-previews", {**RULE, "series": series[:1], "evaluation_periods": 1}).json()
    assert preview["has_data"]
    assert preview["fired"]


@pytest.mark.parametrize(
    "body",
    [
        {"series": []},
        {"series": [{"stream": "a", "metric": "b"}] * 101},
        {"series": [{"stream": "a", "namespace": "b", "metric": "b"}]},
        {"series": [{"expression": "a", "stream": "b"}]},
        {"series": [{"id": "A", "stream": "a", "metric": "b"}]},
        {"series": [{"stream": "a", "metric": "b"}], "period_s": 7},
        {"series": [{"stream": "a", "metric": "b"}], "start_ms": 5, "end_ms": 5},
        {"series": [{"stream": "a", "metric": "b"}], "start_ms": 0},
        {"series": [{"id": "x", "stream": "a", "metric": "b"}] * 2},
    ],
)
def test_wrong_queries(api, body):
    problem(api.post("/metrics/query", body), 400)
