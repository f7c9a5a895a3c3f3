"""The list of data streams and the page that creates one."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.streams.models import Shard, Stream, Tag
from tests.console.conftest import other_team, settle, signed_in, text_of

pytestmark = pytest.mark.usefixtures("served")

CREATED = 1_795_163_467_000
FRAGMENT = {"HX-Request": "true"}


def make(team, name, *, shards=1, tags=(), **fields):
    """A finished stream's rows."""
    values = {
        "region": "us-east-1",
        "status": "ACTIVE",
        "created_at_ms": CREATED,
        "stream_id": f"{name:0>20}"[:20] + "-abc",
    }
    stream = Stream.objects.create(team=team.team, name=name, **{**values, **fields})
    for index in range(shards):
        Shard.objects.create(
            stream=stream, index=index, start_hash="0", end_hash="1", created_s=CREATED // 1000, opened_at_ms=CREATED
        )
    for key, value in tags:
        Tag.objects.create(stream=stream, key=key, value=value)
    return stream


def names(response):
    return re.findall(r'data-stream="([^"]+)"', text_of(response))


@pytest.fixture
def three(team):
    make(team, "orders", shards=3, tags=[("team", "core"), ("pci", "")])
    make(team, "clicks", shards=1, tags=[("team", "web")], mode="ON_DEMAND")
    make(team, "audit", shards=2, status="CREATING")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["audit", "clicks", "orders"]),
        ("?q=o", ["orders"]),
        ("?q=ORD", ["orders"]),
        ("?q=tag:team", ["clicks", "orders"]),
        ("?q=tag:team=web", ["clicks"]),
        ("?q=tag:team+tag:pci", ["orders"]),
        ("?q=status:creating", ["audit"]),
        ("?q=status:active+r", ["orders"]),
        ("?q=mode:on-demand", ["clicks"]),
        ("?status=creating", ["audit"]),
        ("?mode=provisioned&q=o", ["orders"]),
        ("?q='unclosed", []),
        ("?sort=-name", ["orders", "clicks", "audit"]),
        ("?sort=shards", ["clicks", "audit", "orders"]),
        ("?sort=nonsense", ["audit", "clicks", "orders"]),
        ("?page=nonsense", ["audit", "clicks", "orders"]),
        ("?page=999", []),
    ],
)
def test_filters_and_order(client, three, query, found):
    assert names(client.get(f"/t/first/streams{query}")) == found


def test_an_unknown_filter_says_so(client, three):
    page = text_of(client.get("/t/first/streams?q=color:red"))
    assert "color:red is not a filter" in page


def test_htmx_gets_the_table_alone(client, three):
    part = client.get("/t/first/streams?q=orders", headers=FRAGMENT)
    assert names(part) == ["orders"]
    assert "<html" not in text_of(part)


def test_a_row_says_what_it_is(client, three):
    page = text_of(client.get("/t/first/streams?q=orders"))
    assert "team: core" in page
    assert "pci" in page
    assert "Active" in page
    assert "24 h" in page


def test_without_streams_the_page_teaches_the_first_step(client):
    page = text_of(client.get("/t/first/streams"))
    assert "Create your first data stream" in page
    assert "aws kinesis create-stream" in page
    assert "http://localhost:4567" in page


@pytest.mark.parametrize("path", ["streams", "streams?q=tag:team&sort=-shards", ""])
def test_pages_with_lists_ask_few_questions(client, team, three, path):
    for n in range(60):
        make(team, f"many-{n:02}", tags=[("team", "x"), ("n", str(n))])
    client.get("/t/first/streams")
    with CaptureQueriesContext(connection) as asked:
        assert client.get(f"/t/first/{path}".rstrip("/")).status_code == 200
    assert len(asked) <= 6, "\n".join(query["sql"][:200] for query in asked)


def test_pages_of_fifty(client, team):
    for n in range(51):
        make(team, f"s-{n:02}")
    first, second = client.get("/t/first/streams"), client.get("/t/first/streams?page=2")
    assert names(first)[-1] == "s-49"
    assert names(second) == ["s-50"]
    assert "51 to 51 of 51 streams" in text_of(second)
    assert 'hx-get="/t/first/streams-strip"' in text_of(first)
    assert "51 left" not in text_of(first)
    assert "51 <small>of" in text_of(client.get("/t/first/streams-strip"))


def test_the_list_is_the_teams_own(client, team):
    make(other_team(), "theirs")
    make(team, "ours")
    assert names(client.get("/t/first/streams")) == ["ours"]
    assert "theirs" not in text_of(client.get("/t/first/palette?q=the"))


def test_numbers_are_unknown_while_redis_is_away(client, three):
    page = text_of(client.get("/t/first/streams"))
    assert "unknown" in page
    assert "0 B/s" not in page


@pytest.mark.parametrize("name", [".", "..", "...", "new", "create", "a" * 128, "A_b-c.9", "shards"])
def test_every_name_that_aws_allows_has_a_page(client, team, name):
    make(team, name)
    link = re.search(r'class="name" href="([^"]+)"', text_of(client.get("/t/first/streams")))[1]
    assert "/../" not in link
    assert not link.endswith(("/.", "/.."))
    page = client.get(link)
    assert page.status_code == 200
    assert f"<h1>{name}</h1>" in text_of(page)


# --- creating ---------------------------------------------------------------------------------------------------------


def create(client, **given):
    values = {
        "name": "orders",
        "mode": "PROVISIONED",
        "shards": "2",
        "retention": "24",
        "max_record_kib": "1024",
        "tags": "",
    }
    return client.post("/t/first/create-stream", {**values, **given})


def test_a_stream_is_created_through_the_operation(client, team, served):
    assert create(client, tags="team=core\npci\n\n")["Location"] == "/t/first/streams/orders"
    stream = Stream.objects.get()
    assert stream.status == "CREATING"
    assert {tag.key: tag.value for tag in stream.tags.all()} == {"team": "core", "pci": ""}
    assert "Creating" in text_of(client.get("/t/first/streams/orders"))
    settle(served)
    assert Stream.objects.get().status == "ACTIVE"
    assert client.get("/t/first/streams/orders/state")["HX-Refresh"] == "true"


def test_on_demand_needs_no_number(client):
    assert create(client, mode="ON_DEMAND", shards="").status_code == 302
    assert Stream.objects.get().mode == "ON_DEMAND"


def test_a_longer_retention_follows_when_the_stream_is_there(client, served, monkeypatch):
    from console import calls

    monkeypatch.setattr(calls, "wait_until_active", lambda *_: settle(served))
    create(client, retention="168")
    assert Stream.objects.get().retention_hours == 168


def test_a_retention_that_could_not_be_set_is_told(client, monkeypatch):
    from console import calls

    def never(*_):
        raise TimeoutError

    monkeypatch.setattr(calls, "wait_until_active", never)
    answer = create(client, retention="168")
    assert "The retention is still 24 hours" in text_of(client.get(answer["Location"]))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"name": "with space"}, "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
        ({"name": ""}, "required"),
        ({"shards": "0"}, "greater than or equal to 1"),
        ({"shards": ""}, "needs a number of shards"),
        ({"shards": "x"}, "whole number"),
        ({"tags": "=value"}, "has no key before the equals sign"),
        ({"tags": "\n".join(f"k{n}=v" for n in range(51))}, "50"),
        ({"tags": "k=" + "v" * 300}, "256"),
        ({"mode": "HYBRID"}, "HYBRID is not one of the available choices"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_input_is_kept(client, given, text):
    answer = create(client, **given)
    assert answer.status_code == 422
    assert text in text_of(answer).replace("&#x27;", "'").replace("&quot;", '"')
    assert not Stream.objects.exists()
    if "name" not in given:
        assert 'value="orders"' in text_of(answer)


def test_a_taken_name_stands_at_the_name(client, team):
    make(team, "orders")
    page = text_of(create(client))
    error = page.index("Stream orders under account 123456789012 already exists.")
    assert page.index('id="id_name"') < error < page.index('id="id_retention"')


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("orders", "orders exists already"),
        ("free", "free is free"),
        ("a b", "only"),
        ("", "cannot be changed later"),
        ("x" * 129, "at most"),
    ],
)
def test_the_name_is_checked_while_it_is_typed(client, team, name, text):
    make(team, "orders")
    assert text in text_of(client.get("/t/first/create-stream/name", {"name": name}))


def test_the_same_thing_as_code_follows_the_form(client):
    part = text_of(
        client.get(
            "/t/first/create-stream/beside", {"name": "o'r", "shards": "7", "mode": "PROVISIONED", "tags": "a=b"}
        )
    )
    assert "my-stream" in part
    part = text_of(
        client.get(
            "/t/first/create-stream/beside", {"name": "web", "shards": "7", "mode": "PROVISIONED", "tags": "a=b"}
        )
    )
    for text in ("--stream-name web", "ShardCount", "7,000 records/s", "14 MiB/s", "&quot;a&quot;: &quot;b&quot;"):
        assert text in re.sub(r"</?span[^>]*>", "", part)
    part = text_of(client.get("/t/first/create-stream/beside", {"name": "web", "mode": "ON_DEMAND", "shards": "1e9"}))
    assert "StreamMode=ON_DEMAND" in part


def test_a_member_without_the_right_has_no_form(team, served):
    viewer = signed_in(other_team(role="viewer"))
    assert viewer.get("/t/second/create-stream").status_code == 403
    assert viewer.post("/t/second/create-stream", {"name": "x"}).status_code == 403
    assert "Load demo stream" not in text_of(viewer.get("/t/second/streams"))
