"""The list of delivery streams."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.delivery.models import DeliveryTag
from tests.console.conftest import other_team, signed_in, text_of
from tests.support.delivery_rows import make_delivery, make_lane

pytestmark = pytest.mark.usefixtures("served")

HTTP = {"EndpointConfiguration": {"Url": "https://collector.example/firehose"}}


def names(response):
    return re.findall(r'data-stream="([^"]+)"', text_of(response))


@pytest.fixture
def three(team):
    ticker = make_delivery(team, "ticker")
    DeliveryTag.objects.create(delivery_stream=ticker, key="team", value="core")
    make_lane(ticker, delivered_records=1_200, delivered_at_ms=1, oldest_waiting_ms=2)
    clicks = make_delivery(team, "clicks", destination_type="HttpEndpoint", destination=HTTP)
    make_lane(clicks, failing_since_ms=5, oldest_waiting_ms=1)
    make_delivery(team, "audit", paused_at_ms=7)
    make_delivery(team, "channel", channel_id="c1")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["audit", "clicks", "ticker"]),
        ("?q=tick", ["ticker"]),
        ("?q=tag:team=core", ["ticker"]),
        ("?q=status:failing", ["clicks"]),
        ("?q=status:paused", ["audit"]),
        ("?status=active", ["ticker"]),
        ("?q=to:http", ["clicks"]),
        ("?to=s3", ["audit", "ticker"]),
        ("?q='unclosed", []),
        ("?sort=-delivered", ["ticker", "audit", "clicks"]),
        ("?sort=waiting", ["clicks", "ticker", "audit"]),
        ("?sort=nonsense", ["audit", "clicks", "ticker"]),
        ("?page=999", []),
    ],
)
def test_filters_and_order(client, three, query, found):
    assert names(client.get(f"/t/first/delivery{query}")) == found


def test_a_row_says_where_from_where_to_and_how_it_fares(client, three):
    page = text_of(client.get("/t/first/delivery?q=clicks"))
    for text in ("Direct PUT", "HTTP endpoint", "https://collector.example/firehose", "Failing"):
        assert text in page
    page = text_of(client.get("/t/first/delivery?q=ticker"))
    assert "1,200 rec." in page
    assert "team: core" in page


def test_an_unknown_filter_says_so(client, three):
    assert "color:red is not a filter" in text_of(client.get("/t/first/delivery?q=color:red"))


def test_without_any_the_page_teaches_the_first_step(client):
    page = text_of(client.get("/t/first/delivery"))
    assert "Create your first delivery stream" in page
    assert "aws firehose create-delivery-stream" in page


def test_a_long_list_asks_few_questions(client, team):
    for n in range(120):
        make_lane(make_delivery(team, f"many-{n:03}"), delivered_records=n)
    client.get("/t/first/delivery")
    with CaptureQueriesContext(connection) as asked:
        page = client.get("/t/first/delivery?sort=-delivered")
    assert len(asked) <= 7, "\n".join(query["sql"][:200] for query in asked)
    assert names(page)[0] == "many-119"
    assert "120 delivery streams" in text_of(page)
    assert "delivery-strip" in text_of(page)
    assert "Failing now" in text_of(client.get("/t/first/delivery-strip"))


def test_the_list_is_the_teams_own(client, team):
    make_delivery(other_team(), "theirs")
    make_delivery(team, "ours")
    assert names(client.get("/t/first/delivery")) == ["ours"]
    assert "theirs" not in text_of(client.get("/t/first/palette?q=the"))
    assert "ours" in text_of(client.get("/t/first/palette?q=our"))


def test_a_failing_one_needs_attention_on_the_overview(client, three):
    page = text_of(client.get("/t/first"))
    assert "Deliveries have failed for" in page
    assert "/t/first/delivery/clicks/errors" in page


def test_who_may_only_look_is_offered_nothing_else(team, served):
    viewer = other_team(role="viewer")
    make_delivery(viewer, "theirs")
    page = text_of(signed_in(viewer).get("/t/second/delivery"))
    assert "Create delivery stream" not in page
    detail = text_of(signed_in(viewer).get("/t/second/delivery/theirs"))
    for offered in ("Send demo data", "Pause</button>", "Delete delivery stream"):
        assert offered not in detail
    assert "Needs record:read" in detail
