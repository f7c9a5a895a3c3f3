"""The other tabs of a stream: consumers, connect, configuration, deletion; and the palette."""

import re

import pytest

from apps.accounts.models import Membership
from apps.accounts.roles import Role
from apps.billing.models import Budget
from apps.metrics.readers import Reader
from apps.streams.models import Consumer, Stream, Tag
from console.pages import stream_readers
from tests.console.conftest import other_team, settle, signed_in, text_of

pytestmark = pytest.mark.usefixtures("served", "stream")

STREAM = "/t/first/streams/orders"


def plain(response):
    """Without markup."""
    return re.sub(r"<[^>]+>", "", text_of(response)).replace("&quot;", '"').replace("&#x27;", "'")


# --- consumers --------------------------------------------------------------------------------------------------------


def test_a_consumer_is_registered_and_deregistered(client, served, clock):
    assert client.post(STREAM + "/consumers", {"name": "billing"}).status_code == 302
    settle(served)
    page = plain(client.get(STREAM + "/consumers"))
    assert "billing" in page
    assert f"consumer/billing:{Consumer.objects.get().created_at_ms // 1000}" in page
    assert "1 of 20" in page
    assert "Deregister billing" in plain(client.get(STREAM + "/consumers/deregister?consumer=billing"))
    refused = client.post(STREAM + "/consumers/deregister", {"consumer": "billing", "name": "billings"})
    assert refused.status_code == 422
    assert Consumer.objects.get().status == "ACTIVE"
    client.post(STREAM + "/consumers/deregister", {"consumer": "billing", "name": "billing"})
    assert "Deleting" in plain(client.get(STREAM + "/consumers"))
    clock.advance(10_000)
    settle(served)
    assert not Consumer.objects.exists()


@pytest.mark.parametrize(
    ("name", "text"), [("", "required"), ("a b", "regular expression"), ("billing", "already exists")]
)
def test_a_consumer_that_aws_refuses_is_told_at_its_name(client, served, name, text):
    client.post(STREAM + "/consumers", {"name": "billing"})
    answer = client.post(STREAM + "/consumers", {"name": name})
    assert answer.status_code == 422
    assert text in re.search(r'id="id_name_err">(.*?)</div>', text_of(answer), re.DOTALL)[1]


def test_an_unknown_consumer_is_told(client):
    answer = client.post(STREAM + "/consumers/deregister", {"consumer": "nobody"}, follow=True)
    assert "There is no consumer nobody" in plain(answer)


def test_readers_are_told_apart_by_their_keys(client, team, clock, monkeypatch):
    now = clock.now_ms()
    seen = [Reader(team.access_key_id, now - 5_000, 0), Reader("ASIATEMPORARY", now - 90_000, 45_000)]
    monkeypatch.setattr(stream_readers, "readers", lambda *_, **__: seen)
    page = plain(client.get(STREAM + "/consumers"))
    assert team.access_key_id in page
    assert "at the tip" in page
    assert "Temporary key" in page
    assert "45 s" in page
    monkeypatch.setattr(stream_readers, "readers", lambda *_, **__: None)
    assert "Redis does not answer" in plain(client.get(STREAM + "/consumers"))


# --- connect ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tab", ["", "/connect"])
def test_code_holds_the_real_endpoint_region_and_name(client, tab):
    page = plain(client.get(STREAM + tab))
    for text in (
        'endpoint_url="http://localhost:4567"',
        'region_name="us-east-1"',
        'StreamName="orders"',
        "--stream-name orders",
    ):
        assert text in page


def test_the_python_sample_is_python(client):
    from console.pages import samples

    for sample in [*samples.produce("orders"), *samples.consume("orders")]:
        if sample.language == "python":
            compile(sample.text, sample.key, "exec")


def test_colours_change_no_character():
    from html import unescape

    from console.pages import samples

    for sample in [
        *samples.produce("o-_.9"),
        *samples.consume("orders"),
        *samples.create_stream(samples.NewStream("x", 3, {"a": "it's"}, 2048, 168, "alias/k")),
    ]:
        assert unescape(re.sub(r"</?span[^>]*>", "", sample.html)) == sample.text


# --- configuration ----------------------------------------------------------------------------------------------------


def test_the_retention_goes_up_and_down(client):
    for amount, unit, hours in (("7", "days", 168), ("30", "hours", 30), ("1", "days", 24)):
        client.post(STREAM + "/configuration", {"part": "retention", "amount": amount, "unit": unit})
        assert Stream.objects.get().retention_hours == hours


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        ("23", "hours", "From 24 hours to 365 days"),
        ("366", "days", "From 24 hours to 365 days"),
        ("", "days", "required"),
        ("x", "days", "whole number"),
        ("0", "days", "greater than"),
    ],
)
def test_a_retention_outside_is_told_at_its_field(client, amount, unit, text):
    answer = client.post(STREAM + "/configuration", {"part": "retention", "amount": amount, "unit": unit})
    assert answer.status_code == 422
    assert text in re.search(r'id="amount-err">(.*?)</div>', text_of(answer), re.DOTALL)[1]


def test_tags_are_added_changed_and_removed(client):
    for lines, tags in (("a=1\nb=2", {"a": "1", "b": "2"}), ("b=3\nc", {"b": "3", "c": ""}), ("", {})):
        client.post(STREAM + "/configuration", {"part": "tags", "tags": lines})
        assert dict(Tag.objects.values_list("key", "value")) == tags


def test_tags_that_aws_refuses_change_nothing(client):
    client.post(STREAM + "/configuration", {"part": "tags", "tags": "a=1"})
    answer = client.post(STREAM + "/configuration", {"part": "tags", "tags": "k" * 129 + "=1"})
    assert answer.status_code == 422
    assert "128" in text_of(answer)
    assert dict(Tag.objects.values_list("key", "value")) == {"a": "1"}


# --- deletion ---------------------------------------------------------------------------------------------------------


def test_deleting_needs_the_name(client, served):
    for name in ("", "Orders", "orders2"):
        assert client.post(STREAM + "/delete", {"name": name}).status_code == 422
    assert Stream.objects.get().status == "ACTIVE"
    assert client.post(STREAM + "/delete", {"name": "orders"})["Location"] == "/t/first/streams"
    settle(served)
    assert not Stream.objects.exists()
    assert client.get(STREAM).status_code == 404


def test_deleting_names_the_consumers_and_asks_for_them(client, served):
    client.post(STREAM + "/consumers", {"name": "billing"})
    settle(served)
    assert "billing" in plain(client.get(STREAM + "/delete"))
    answer = client.post(STREAM + "/delete", {"name": "orders"})
    assert answer.status_code == 422
    assert "there are consumers associated" in plain(answer)
    assert client.post(STREAM + "/delete", {"name": "orders", "consumers": "on"}).status_code == 302


def test_deleting_names_budgets_of_the_stream_to_who_may_see_budgets(client, team):
    Budget.objects.create(
        team=team.team,
        name="Orders alone",
        amount_cents=100,
        resource="stream/orders",
        created_at_ms=1,
        changed_at_ms=1,
    )
    assert "Orders alone" in plain(client.get(STREAM + "/delete"))
    Membership.objects.update(role=Role.DEVELOPER)
    page = plain(client.get(STREAM + "/delete"))
    assert "What depends on it" in page
    assert "Orders alone" not in page


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_a_stream_that_is_not_there_is_not_found(client):
    for tab in (
        "",
        "/shards",
        "/records",
        "/consumers",
        "/connect",
        "/configuration",
        "/delete",
        "/monitoring",
        "/put",
    ):
        assert client.get(f"/t/first/streams/nothing{tab}").status_code == 404


def options(response):
    return re.findall(r'role="option"[^>]*>.*?</svg>([^<]+)<', text_of(response))


def test_the_palette_finds_streams_actions_and_pages(client):
    assert options(client.get("/t/first/palette"))[0] == "Create data stream"
    assert options(client.get("/t/first/palette?q=order"))[0] == "orders"
    assert "Split shard" in options(client.get("/t/first/palette?q=ord"))
    assert options(client.get("/t/first/palette?q=access"))[-1] == "Access keys"
    assert "Data viewer" in options(client.get("/t/first/palette?at=/t/first/streams/orders/shards&q=data+v"))
    assert "Nothing is called" in text_of(client.get("/t/first/palette?q=zzzz"))


def test_the_palette_offers_only_what_one_may_do(served):
    viewer = signed_in(other_team(role="viewer"))
    found = options(viewer.get("/t/second/palette"))
    assert "Create data stream" not in found
    assert "Access keys" not in found
    page = text_of(viewer.get("/t/second/palette?q=create+data+stream"))
    assert "needs stream:create" in page
    assert 'aria-disabled="true"' in page


def test_every_link_of_every_page_leads_somewhere(client):
    """No dead links: whatever a page of ours offers answers with 200."""
    seen, todo = set(), ["/t/first", "/t/first/palette?q=orders"]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = client.get(path)
        if answer.status_code == 302 and answer["Location"].startswith("/confirm"):
            continue  # what matters more asks for the password once more
        assert answer.status_code in {200, 204}, path
        if answer.get("Content-Type", "").startswith("text/html"):
            found = re.findall(r'(?:href|hx-get|data-source|data-poll)="(/[^"#]*)', text_of(answer))
            todo += [
                link.replace("&amp;", "&")
                for link in found
                if not link.startswith(("/static/", "/ws/")) and not link.endswith("/follow")
            ]
        assert len(seen) < 400
    assert len(seen) > 100


def test_configuration_tells_whether_records_are_encrypted(client):
    page = "/t/first/streams/orders/configuration"
    assert "<h2>Encryption</h2><p>off</p>" in client.get(page).content.decode()
    Stream.objects.filter(name="orders").update(encryption_key_arn="arn:aws:kms:x", encryption_key_id="alias/mine")
    assert "KMS, alias/mine" in client.get(page).content.decode()
