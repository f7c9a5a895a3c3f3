"""Pages of dashboards: the team's own streams without doing anything, and dashboards made by forms."""

import json

import pytest

from apps.cloudwatch.dashboards import Series
from apps.cloudwatch.models import Dashboard
from console.pages.dashboards import standard, tiles
from tests.console.conftest import other_team, signed_in, text_of
from tests.support.delivery_rows import make_delivery

ONE = "/t/first/dashboards/of/web"


@pytest.fixture
def dashboard(client, stream):
    answer = client.post("/t/first/dashboards", {"name": "web", "begin": "empty"})
    assert answer["Location"] == f"{ONE}/edit"
    return Dashboard.objects.get()


def change(client, **sent):
    seen = client.get(f"{ONE}/edit").context["seen"]
    return client.post(f"{ONE}/edit", {"seen": seen, **sent})


def widgets():
    return json.loads(Dashboard.objects.get().body)["widgets"]


def test_a_teams_streams_have_a_dashboard_without_making_one(client, team, stream):
    make_delivery(team)
    page = text_of(client.get("/t/first/dashboards/streams"))
    for title in ("Incoming bytes", "Iterator age of readers", "Age of the oldest record waiting"):
        assert title in page
    assert page.count('<svg viewBox="0 0 1000 200"') == 6
    assert "Nothing on this dashboard yet" in text_of(signed_in(other_team()).get("/t/second/dashboards/streams"))


def test_the_standard_one_says_whose_charts_it_shows(client, team, stream, monkeypatch):
    make_delivery(team)
    assert "Charts show" not in text_of(client.get("/t/first/dashboards/streams"))
    monkeypatch.setattr(standard, "STREAMS_SHOWN", 0)
    page = text_of(client.get("/t/first/dashboards/streams"))
    assert "Charts show the 0 busiest of 1 data streams and the first 0 of 1 delivery streams." in page


def query(name, metric, thing, stat="Sum", **more):
    dimensions = [{"Name": "StreamName", "Value": thing}]
    told = {"Namespace": "AWS/Kinesis", "MetricName": metric, "Dimensions": dimensions}
    return Series({"Id": name, "MetricStat": {"Metric": told, "Stat": stat}, **more}, None)


@pytest.mark.parametrize(
    ("series", "names"),
    [
        ([query("a", "IncomingBytes", "orders"), query("b", "IncomingRecords", "orders", Label="own")], {"a": "Incoming bytes"}),
        ([query("a", "IncomingBytes", "orders"), query("b", "IncomingBytes", "clicks")], {"a": "orders", "b": "clicks"}),
        (
            [query("a", "IncomingBytes", "orders"), query("b", "IncomingRecords", "clicks")],
            {"a": "orders: incoming bytes", "b": "clicks: incoming records"},
        ),
        (
            [query("a", "IncomingBytes", "orders"), query("b", "IncomingBytes", "orders", "Average")],
            {"a": "Incoming bytes, Sum", "b": "Incoming bytes, Average"},
        ),
        ([Series({"Id": "e", "Expression": "1 + 1"}, None)], {}),
    ],
)  # fmt: skip
def test_lines_without_a_label_are_named_in_words(series, names):
    assert tiles._plain(series) == names


def test_charts_and_texts_are_added_moved_and_removed(client, dashboard):
    chart = {
        "part": "chart",
        "of": "stream/orders",
        "metrics": "stream/IncomingBytes",
        "statistic": "Sum",
        "width": "12",
    }
    assert change(client, **chart).status_code == 302
    assert (
        change(
            client, **{**chart, "metrics": ["stream/IncomingRecords", "stream/IncomingBytes"], "title": "Both"}
        ).status_code
        == 302
    )
    change(client, part="text", markdown="# Read me\nAsk Mira.")
    assert [(w["type"], w["x"], w["y"], w["width"]) for w in widgets()] == [
        ("metric", 0, 0, 12), ("metric", 12, 0, 12), ("text", 0, 6, 24),
    ]  # fmt: skip
    page = text_of(client.get(ONE))
    for words in ("<h2>Read me</h2><p>Ask Mira.</p>", "Both", "Sum per minute"):
        assert words in page
    change(client, move="down-0")
    change(client, move="wider-0")
    assert [w["properties"].get("title") for w in widgets()] == ["Both", "orders", None]
    assert widgets()[0]["width"] == 24
    change(client, move="remove-2")
    assert [w["type"] for w in widgets()] == ["metric", "metric"]


def test_what_cannot_be_drawn_is_said_at_the_field(client, team, dashboard):
    make_delivery(team)
    wrong = change(
        client, part="chart", of="delivery/ticker", metrics="stream/IncomingBytes", statistic="Sum", width="12"
    )
    assert wrong.status_code == 422
    assert "choose of the same kind" in text_of(wrong)
    wrong = change(client, part="source", body='{"widgets": [{"type": "alarm", "properties": {}}]}')
    assert wrong.status_code == 422
    assert "/widgets/0/type" in text_of(wrong)
    assert widgets() == []
    assert change(client, part="source", body='{"widgets": [], "start": "-PT1H"}').status_code == 302
    assert 'aria-current="true">1h' in text_of(client.get(ONE))


def test_whoever_comes_second_overwrites_nothing(client, dashboard):
    seen = client.get(f"{ONE}/edit").context["seen"]
    change(client, part="text", markdown="first")
    client.post(f"{ONE}/edit", {"seen": seen, "part": "text", "markdown": "second"})
    assert [w["properties"]["markdown"] for w in widgets()] == ["first"]


@pytest.mark.django_db(transaction=True)  # metrics are read on another connection
def test_values_as_table_and_csv(client, team, dashboard, served):
    from apps.gateway.invoke import invoke_sync

    data = [{"MetricName": "m", "Value": 42.5}]
    invoke_sync(served, team.principal, "cloudwatch", "PutMetricData", {"Namespace": "App", "MetricData": data})
    served.clock.advance(120_000)
    body = {"widgets": [{"type": "metric", "properties": {"metrics": [["App", "m"]], "title": "Own", "stat": "Sum"}}]}
    change(client, part="source", body=json.dumps(body))
    assert "42.5" in text_of(client.get(f"{ONE}?range=1h&view=table"))
    answer = client.get(f"{ONE}?range=1h&format=csv")
    assert answer["Content-Type"].startswith("text/csv")
    assert "Own,m," in text_of(answer)
    assert ",42.5" in text_of(answer)
    part = text_of(client.get(f"{ONE}?range=1h&widget=0", headers={"HX-Request": "true"}))
    assert part.strip().startswith("<section")


def test_deleting_asks_for_the_name(client, dashboard):
    assert client.post(f"{ONE}/delete", {"name": "wrong"}).status_code == 422
    assert client.post(f"{ONE}/delete", {"name": "web"}).status_code == 302
    assert not Dashboard.objects.exists()
    assert client.get(ONE).status_code == 404


def test_names_and_other_teams(client, dashboard):
    assert "There is a dashboard" in text_of(client.post("/t/first/dashboards", {"name": "web"}))
    assert client.post("/t/first/dashboards", {"name": "a b"}).status_code == 422
    assert signed_in(other_team()).get("/t/second/dashboards/of/web").status_code == 404
