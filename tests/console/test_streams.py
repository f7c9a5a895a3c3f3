"""The list of data streams and the page that creates one."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.streams.models import Consumer, Shard, Stream, Tag
from console.pages import streams
from console.pages.create import shards_for
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
        ("?q=tag:web", ["clicks"]),
        ("?after=nonsense", ["audit", "clicks", "orders"]),
        ("?after=~orders", []),
        ("?sort=shards&after=many~orders", ["clicks", "audit", "orders"]),
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


@pytest.mark.parametrize(("path", "most"), [("streams", 6), ("streams?q=tag:team&sort=-shards", 6), ("", 12)])
def test_pages_with_lists_ask_few_questions(client, team, three, path, most):
    """As many for 60 streams as for three. The overview has six panels about different things."""
    for n in range(60):
        make(team, f"many-{n:02}", tags=[("team", "x"), ("n", str(n))])
    client.get("/t/first/streams")
    with CaptureQueriesContext(connection) as asked:
        assert client.get(f"/t/first/{path}".rstrip("/")).status_code == 200
    assert len(asked) <= most, "\n".join(query["sql"][:200] for query in asked)


def test_pages_follow_a_cursor_both_ways(client, team, monkeypatch):
    monkeypatch.setattr(streams, "PAGE_ROWS", 2)
    for n, shards in enumerate((1, 2, 2, 2, 3)):
        make(team, f"s-{n}", shards=shards)
    for sort, expected in (
        ("name", [["s-0", "s-1"], ["s-2", "s-3"], ["s-4"]]),
        ("-name", [["s-4", "s-3"], ["s-2", "s-1"], ["s-0"]]),
        ("shards", [["s-0", "s-1"], ["s-2", "s-3"], ["s-4"]]),
        ("-shards", [["s-4", "s-1"], ["s-2", "s-3"], ["s-0"]]),
        ("status", [["s-0", "s-1"], ["s-2", "s-3"], ["s-4"]]),
    ):
        there, back = walk(client, f"?sort={sort}", "after"), []
        assert [found for _, found in there] == expected, sort
        back = walk(client, there[-1][0], "before")
        assert [found for _, found in back] == expected[::-1], sort
    Shard.objects.filter(stream__name="s-1").delete()
    Stream.objects.filter(name="s-1").delete()  # what is gone moves nobody's page
    assert names(client.get("/t/first/streams?sort=name&after=s-1~s-1")) == ["s-2", "s-3"]
    page = text_of(client.get("/t/first/streams"))
    assert "2 of 4 streams" in page
    assert 'hx-get="/t/first/streams-strip"' in page


def walk(client, query, way):
    """(query, names) of each page, following Next or Previous."""
    pages = []
    while query and len(pages) < 9:
        page = client.get(f"/t/first/streams{query}")
        pages.append((query, names(page)))
        found = re.search(rf'href="(\?[^"]*{way}=[^"]*)"', text_of(page))
        query = found[1].replace("&amp;", "&") if found else ""
    return pages


def test_columns_are_chosen_and_kept_by_the_browser(client, three):
    sent = client.post("/t/first/streams-columns", {"column": ["shards", "nonsense"], "query": "?q=o\r\nX: y"})
    assert sent["Location"] == "/t/first/streams?q=o%0D%0AX%3A+y"
    page = text_of(client.get("/t/first/streams"))
    assert "sort=shards" in page
    assert "sort=retention" not in page
    assert "team: core" not in page
    client.post("/t/first/streams-columns", {})
    assert names(client.get("/t/first/streams")) == ["audit", "clicks", "orders"]


def test_tags_of_several_streams_at_once(client, team, three):
    make(other_team(), "theirs")
    page = text_of(client.get("/t/first/streams-tag?n=orders&n=clicks&n=theirs"))
    assert "Change tags of 2 streams" in page
    assert '<li class="mono">theirs' not in page
    chosen = {"n": ["orders", "clicks", "theirs"]}
    sent = client.post("/t/first/streams-tag", {**chosen, "tags": "team=data\nnew=1", "remove": "pci"}, follow=True)
    assert "Tags changed on 2 streams" in text_of(sent)
    for name in ("orders", "clicks"):
        tags = dict(Tag.objects.filter(stream__name=name).values_list("key", "value"))
        assert tags == {"team": "data", "new": "1"}
    for values, told in (({}, "Write at least one tag."), ({"tags": "a=1", "remove": "a"}, "set and removed at once")):
        refused = client.post("/t/first/streams-tag", {**chosen, **values})
        assert refused.status_code == 422
        assert told in text_of(refused)
    assert "Choose at least one stream." in text_of(client.get("/t/first/streams-tag?n=theirs", follow=True))


def test_several_streams_are_deleted_by_their_names(client, team, three):
    Consumer.objects.create(stream=Stream.objects.get(name="orders"), name="billing", created_at_ms=1)
    make(other_team(), "theirs")
    page = text_of(client.get("/t/first/streams-delete?n=orders&n=clicks&n=theirs"))
    assert "Delete 2 data streams" in page
    assert "billing" in page
    assert "Deregister 1 consumer with them" in page
    chosen = {"n": ["orders", "clicks", "theirs"]}
    for typed, told in (("orders", "Not typed: clicks."), ("orders clicks theirs", "Not chosen: theirs.")):
        refused = client.post("/t/first/streams-delete", {**chosen, "names": typed})
        assert refused.status_code == 422
        assert told in text_of(refused)
        assert f">\n{typed}</textarea>" in text_of(refused)
    sent = client.post("/t/first/streams-delete", {**chosen, "names": "clicks\norders"}, follow=True)
    page = text_of(sent)
    assert "1 data stream being deleted" in page
    assert "orders: DeleteStream can" in page
    assert {s.name: s.status for s in Stream.objects.filter(team=team.team)} == {
        "audit": "CREATING", "orders": "ACTIVE", "clicks": "DELETING",
    }  # fmt: skip


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


def test_without_script_the_calculator_answers_with_the_form(client):
    answer = create(client, rate="2500", size="1.5", calculate="1")
    page = text_of(answer)
    assert answer.status_code == 200
    assert not Stream.objects.exists()
    assert 'name="shards" type="number" value="4"' in page
    assert "4 shards, if the keys are spread evenly" in page
    assert 'value="orders"' in page
    for rate, size, shards in (("1", "1", 1), ("1001", "0.1", 2), ("10", "512", 5), ("", "1", None), ("x", "1", None),
                               ("1e400", "1", None), ("-5", "1", None)):  # fmt: skip
        assert shards_for(rate, size) == shards


def test_encryption_follows_when_the_stream_is_there(client, served, monkeypatch):
    from console import calls

    made = []
    monkeypatch.setattr(calls, "wait_until_active", lambda *_: settle(served))
    real = calls.call
    monkeypatch.setattr(
        calls, "call", lambda request, operation, **params: made.append((operation, params))
        if operation == "StartStreamEncryption" else real(request, operation, **params),
    )  # fmt: skip
    create(client, encryption="KMS", key="")
    assert made == [
        ("StartStreamEncryption", {"StreamName": "orders", "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"})
    ]


def test_the_same_as_code_says_all_that_the_form_does(client):
    query = (
        "name=orders&mode=PROVISIONED&shards=3&retention=168&max_record_kib=2048&encryption=KMS&key=alias/k&tags=a=b"
    )
    part = text_of(client.get(f"/t/first/create-stream/beside?{query}"))
    text = re.sub(r"<[^>]+>", "", part).replace("&quot;", '"').replace("&#x27;", "'")
    for said in (
        "--max-record-size-in-ki-b 2048", "--retention-period-hours 168", "--key-id alias/k", "wait stream-exists",
        "kinesis.increase_stream_retention_period(", '"StartStreamEncryption"', "--tags '{\"a\": \"b\"}'",
    ):  # fmt: skip
        assert said in text
    plain = text_of(client.get("/t/first/create-stream/beside?name=orders"))
    assert "wait stream-exists" not in plain


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
