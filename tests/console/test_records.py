"""The data viewer: five starting positions, filter, inspector, links, downloads, following, putting."""

import base64
import html
import json
import re

import pytest

from apps.streams.models import Shard
from console.pages import reading
from console.pages.records import read_positions, write_positions
from tests.console.conftest import other_team, put, signed_in, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unhurried")]

RECORDS = "/t/first/streams/orders/records"
START_MS = 1_795_163_467_000


@pytest.fixture
def full(team, served, stream, clock):
    """Three records a second apart per key; `a` and `b` lie in different shards."""
    numbers = []
    for n in range(3):
        numbers += put(served, team, stream, ("a", b'{"event": "placed", "n": %d}' % n), ("b", b"plain %d" % n))
        clock.advance(1000)
    return numbers


def shown(response):
    """(key, preview) of the rows."""
    rows = re.findall(r'<td class="mono pk">(.*?)</td><td class="json hide-s">(.*?)</td>', text_of(response))
    return [(key, preview.replace("&quot;", '"')) for key, preview in rows]


def test_the_newest_come_first(client, full):
    rows = shown(client.get(RECORDS))
    assert len(rows) == 6
    assert {rows[0], rows[1]} == {("a", '{"event": "placed", "n": 2}'), ("b", "plain 2")}


def test_the_oldest_come_first_when_asked_for(client, full):
    rows = shown(client.get(RECORDS + "?start=oldest"))
    assert {rows[0][1], rows[1][1]} == {'{"event": "placed", "n": 0}', "plain 0"}


def test_records_got_anew_bring_the_first_of_them_to_be_looked_at(client, full):
    part = client.get(RECORDS + "?start=oldest&shard=0001", headers={"HX-Request": "true", "HX-Target": "records"})
    assert "<html" not in text_of(part)
    oldest = next(record["SequenceNumber"] for record in full if record["ShardId"].endswith("0001"))
    assert oldest in text_of(part).partition('id="inspector" hx-swap-oob="true"')[2]
    assert "3 records shown" in text_of(part).partition('id="records-status"')[2]


def test_one_shard_alone(client, full):
    by_shard = [{key for key, _ in shown(client.get(f"{RECORDS}?shard=000{n}"))} for n in (0, 1)]
    assert sorted(map(sorted, by_shard)) == [["a"], ["b"]]


def test_from_a_time_on(client, full):
    rows = shown(client.get(RECORDS + "?start=time&at=2026-11-20T08:31:08"))
    assert {preview for _, preview in rows} == {
        '{"event": "placed", "n": 1}',
        '{"event": "placed", "n": 2}',
        "plain 1",
        "plain 2",
    }


def test_from_a_sequence_number_and_after_it(client, full):
    number = full[2]["SequenceNumber"]
    at, after = (shown(client.get(f"{RECORDS}?start={start}&at={number}")) for start in ("at", "after"))
    assert [row for _, row in at] == ['{"event": "placed", "n": 1}', '{"event": "placed", "n": 2}']
    assert after == at[1:]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("start=time&at=yesterday", "Write a time like"),
        ("start=time&at=2100-01-01", "still to come"),
        ("start=at&at=abc", "digits only"),
        ("start=at&at=1", "of none of these shards"),
        ("start=sideways", "not a starting position"),
        ("shard=0099", "no shard 0099"),
        ("q=data.event+~+x", "After the field comes one of"),
        ('q=key = "open', "well-formed"),
    ],
)
def test_what_cannot_be_understood_is_told(client, full, query, text):
    page = text_of(client.get(f"{RECORDS}?{query}"))
    assert text in page.replace("&#x27;", "'")
    assert "Nothing was read" in page


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("plain", 3),
        ("key = a", 3),
        ("data.n >= 1", 2),
        ("data.event starts_with pl and data.n = 2", 1),
        ("nowhere", 0),
        ("size > 3", 6),
    ],
)
def test_the_filter_looks_into_the_stream_not_into_the_page(client, full, query, count):
    page = client.get(RECORDS, {"q": query})
    assert len(shown(page)) == count
    if not count:
        assert "None of 6 records matches" in text_of(page)


def test_pages_follow_one_another_without_gap_or_repeat(client, team, served, stream, clock):
    for n in range(0, 120, 40):
        put(served, team, stream, *((f"k{n + m}", b"%d" % (n + m)) for m in range(40)))
    for start in ("oldest", "newest"):
        seen, link = [], f"{RECORDS}?start={start}"
        while link and len(seen) < 500:
            clock.advance(1000)  # the shards' budget of reads comes back
            page = client.get(link)
            seen += [int(preview) for _, preview in shown(page)]
            found = re.search(r'href="([^"]+from=[^"]+)">(?:Next|Older)', text_of(page))
            link = found[1].replace("&amp;", "&") if found else None
        assert sorted(seen) == list(range(120)), start


def test_a_filter_goes_on_where_it_stopped(client, team, served, stream, monkeypatch, clock):
    from console.pages import records

    monkeypatch.setattr(records, "SCAN_ROWS", 10)
    for n in range(40):
        put(served, team, stream, ("a", b"hit" if n % 10 == 3 else b"miss"))
    seen, link = 0, f"{RECORDS}?start=oldest&q=hit"
    for _ in range(10):
        clock.advance(1000)
        page = client.get(link)
        seen += len(shown(page))
        found = re.search(r'href="([^"]+from=[^"]+)">Next', text_of(page))
        if not found:
            break
        link = found[1].replace("&amp;", "&")
    assert seen == 4


def test_an_empty_range_names_the_newest_record(client, full, clock):
    clock.advance(60_000)
    page = text_of(client.get(RECORDS + "?start=time&at=2026-11-20T08:31:30"))
    assert "No records from there on" in page
    assert "20 Nov 2026, 08:31:09 UTC" in page


def test_an_empty_stream_invites_to_send_some(client, stream):
    page = text_of(client.get(RECORDS))
    assert "No records yet" in page
    assert "/t/first/streams/orders/put" in page


def test_the_first_record_is_open_and_others_open_by_their_address(client, full):
    page = text_of(client.get(RECORDS))
    assert 'aria-selected="true"' in page
    number = full[0]["SequenceNumber"]
    shard = int(full[0]["ShardId"][-4:])
    part = client.get(
        f"{RECORDS}?record={shard:04d}:{number}", headers={"HX-Request": "true", "HX-Target": "inspector"}
    )
    assert "<html" not in text_of(part)
    assert '<span class="p">&quot;event&quot;</span>: <span class="s">&quot;placed&quot;</span>' in text_of(part)
    assert number in text_of(part)


def test_the_views_of_a_record(client, full):
    record, shard = full[1], int(full[1]["ShardId"][-4:])
    link = f"{RECORDS}/{shard}/{record['SequenceNumber']}"
    assert "plain 0" in text_of(client.get(link))
    assert "This data is not JSON" in text_of(client.get(link + "?view=json"))
    assert "00000000  70 6c 61 69 6e 20 30" in text_of(client.get(link + "?view=hex"))
    meta = text_of(client.get(link + "?view=meta"))
    assert "194822477420103142137103044410823353967" not in meta
    assert "7 bytes" in meta
    assert "20 Nov 2026, 08:31:07 UTC" in meta


def test_a_link_to_a_record_says_when_it_is_gone(client, full, clock):
    record, shard = full[0], int(full[0]["ShardId"][-4:])
    link = f"{RECORDS}/{shard}/{record['SequenceNumber']}"
    assert client.get(link).status_code == 200
    for wrong in (f"{RECORDS}/{1 - shard}/{record['SequenceNumber']}", f"{RECORDS}/{shard}/12345", f"{RECORDS}/77/1"):
        assert client.get(wrong).status_code == 404
    assert client.get(f"{RECORDS}/0/{'9' * 5000}").status_code == 404
    clock.advance(25 * 3_600_000)
    answer = client.get(link)
    assert answer.status_code == 404
    assert "past the retention" in text_of(answer)


def test_a_download_is_the_bytes(client, team, served, stream):
    data = bytes(range(256)) * 8
    record = put(served, team, stream, ("a", data))[0]
    answer = client.get(f"{RECORDS}/{int(record['ShardId'][-4:])}/{record['SequenceNumber']}/data")
    assert answer.content == data
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer["Content-Security-Policy"]


def test_an_export_has_a_line_for_each_row(client, full):
    lines = [json.loads(line) for line in client.get(f"{RECORDS}/export?start=oldest&q=plain").content.splitlines()]
    assert [base64.b64decode(line["Data"]) for line in lines] == [b"plain 0", b"plain 1", b"plain 2"]
    assert lines[0]["PartitionKey"] == "b"
    assert lines[0]["SequenceNumber"] == full[1]["SequenceNumber"]


def follow(client, positions="", **more):
    return client.post(f"{RECORDS}/follow", {"from": positions, **more}).json()


def test_following_begins_at_the_end_and_goes_on(client, team, served, full, stream):
    first = follow(client)
    assert first["rows"] == ""
    put(served, team, stream, ("a", b"new one"), ("b", b"new two"))
    second = follow(client, first["from"])
    assert second["shown"] == 2
    assert "new one" in second["rows"]
    assert "new two" in second["rows"]
    assert second["skipped"] == 0
    assert follow(client, second["from"])["shown"] == 0


def test_following_is_capped_and_says_what_it_skipped(client, team, served, stream):
    begun = follow(client)["from"]
    for n in range(3):
        put(served, team, stream, *(("a", b"%d" % (n * 100 + m)) for m in range(100)))
    answer = follow(client, begun)
    assert answer["shown"] == 50
    assert answer["skipped"] == 250
    assert re.findall(r'<td class="json hide-s">(\d+)</td>', answer["rows"])[0] == "299"


def test_following_keeps_to_the_filter(client, team, served, stream):
    begun = follow(client)["from"]
    put(served, team, stream, ("a", b"keep"), ("a", b"drop"))
    answer = follow(client, begun, q="keep")
    assert answer["shown"] == 1
    link = re.search(r'<a href="([^"]+)"', answer["rows"])[1].replace("&amp;", "&")
    assert "q=keep" in link
    assert client.get(link).status_code == 200
    assert client.post(f"{RECORDS}/follow", {"q": "data.x ~ 1"}).status_code == 422


def test_following_meets_new_shards(client, team, served, stream):
    from tests.console.conftest import settle

    begun = follow(client)["from"]
    client.post("/t/first/streams/orders/shards/split", {"shard": "0", "how": "evenly"})
    client.post("/t/first/streams/orders/shards/split", {"shard": "1", "how": "evenly"})
    settle(served)
    put(served, team, stream, ("a", b"into a child"), ("b", b"into another"))
    assert follow(client, begun)["shown"] == 2


def test_following_reads_what_came_before_a_shard_closed(client, team, served, stream):
    from tests.console.conftest import settle

    begun = follow(client)["from"]
    put(served, team, stream, *((f"key {n}", b"last of the parent %d" % n) for n in range(20)))
    client.post("/t/first/streams/orders/shards/split", {"shard": "0", "how": "evenly"})
    settle(served)
    answer = follow(client, begun)
    assert answer["shown"] == 20
    followed = read_positions(answer["from"])
    assert 0 not in followed, "a closed shard that is read to its end is left behind"
    assert len(followed) == 3
    assert follow(client, answer["from"])["shown"] == 0


@pytest.fixture
def divided(client, served, full):
    """The same with each shard split since: what there is lies in closed ones."""
    from tests.console.conftest import settle

    for index in (0, 1):
        client.post("/t/first/streams/orders/shards/split", {"shard": str(index), "how": "evenly"})
        settle(served)
    return full


@pytest.mark.parametrize("query", ["", "?start=oldest", "?start=time&at=2026-11-20T08:31:08"])
def test_what_lies_in_closed_shards_is_not_said_to_be_nothing(client, divided, query):
    page = text_of(client.get(RECORDS + query))
    assert "No records yet" not in page
    assert "No records in the open shards" in page
    links = re.findall(r'<a class="link" href="([^"]+)">000[01]</a>', page)
    found = [row for link in links for row in shown(client.get(html.unescape(link)))]
    assert len(found) == (4 if "time" in query else 6)


def test_closed_shards_are_not_named_where_they_have_nothing_to_show(client, divided, team, served, stream):
    put(served, team, stream, ("a", b"fresh"))
    for query in ("?shard=0000", "?start=time&at=2026-11-20T08:32:00"):
        assert "Closed shards are read one at a time" not in text_of(client.get(RECORDS + query)), query
    assert "Closed shards are read one at a time" in text_of(client.get(RECORDS))


def test_a_sequence_number_finds_its_shard_when_that_is_closed(client, divided):
    number = divided[2]["SequenceNumber"]
    rows = shown(client.get(f"{RECORDS}?start=at&at={number}"))
    assert [row for _, row in rows] == ['{"event": "placed", "n": 1}', '{"event": "placed", "n": 2}']


def test_latest_reads_only_what_is_new(client, team, served, full, stream):
    path = "/t/first/streams/orders/latest"
    page = text_of(client.get(path))
    assert "plain 2" in page
    known = re.search(r"known=([^\"&]+)", page)[1].replace("%2C", ",")
    assert client.get(path, {"known": known}).status_code == 204
    put(served, team, stream, ("a", b"fresh"))
    assert "fresh" in text_of(client.get(path, {"known": known}))


def test_a_shard_is_read_once_a_second(served, team, stream, monkeypatch):
    monkeypatch.undo()
    pace = reading.Pace()
    assert pace.may_read(1, 5_000, 1000)
    assert not pace.may_read(1, 5_999, 1000)
    assert pace.may_read(2, 5_999, 1000)
    assert pace.may_read(1, 6_000, 1000)


def test_records_listed_a_moment_ago_are_not_read_again(client, full, monkeypatch):
    client.get(RECORDS)
    monkeypatch.setattr(reading, "_wait_for_turn", None)
    record, shard = full[0], int(full[0]["ShardId"][-4:])
    assert client.get(f"{RECORDS}/{shard}/{record['SequenceNumber']}").status_code == 200


def test_what_is_kept_of_listed_records_is_bounded(monkeypatch):
    monkeypatch.setattr(reading, "RECENT_BYTES_MAX", 1000)
    recent = reading.Recent()
    shard = Shard(id=1, index=0)
    for n in range(50):
        recent.keep(reading.Found(shard, n, str(n), "k", b"x" * 99, 1))
    assert recent.get(1, 0) is None
    assert recent.get(1, 49) is not None
    assert len(recent._kept) == 10
    recent.keep(reading.Found(shard, 99, "99", "k", b"x" * 10**6, 1))
    assert recent.get(1, 99) is None


def test_positions_travel_in_the_address():
    assert read_positions(write_positions({0: 12, 7: 2**40})) == {0: 12, 7: 2**40}
    assert read_positions("x,1-2,-,3-,9999999999-1,5-" + "9" * 30) == {1: 2}


def test_another_teams_records_are_not_there(full, served):
    stranger = signed_in(other_team())
    for path in ("", "/export", "/0/1", "/0/1/data"):
        assert stranger.get(RECORDS + path).status_code == 404


def test_looking_at_old_records_is_no_lag(client, served, full, clock):
    clock.advance(3_600_000)
    client.get(RECORDS + "?start=oldest")
    counted = {metric for _, _, metric in served.counters.drain()}
    assert "GetRecords.Bytes" in counted
    assert "GetRecords.IteratorAgeMilliseconds" not in counted


# --- putting ----------------------------------------------------------------------------------------------------------


PUT = "/t/first/streams/orders/put"


def test_sample_orders_are_stored(client, stream):
    assert client.post(PUT, {"kind": "sample", "count": "30"})["Location"] == RECORDS
    page = client.get(RECORDS)
    assert "30 records stored" in text_of(page)
    assert len(shown(page)) == 30
    assert "ord_" in shown(page)[0][1]


def test_text_and_base64_are_stored_as_given(client, stream):
    client.post(PUT, {"kind": "text", "key": "k", "content": "one\r\ntwo", "count": "1"})
    client.post(PUT, {"kind": "base64", "key": "k", "content": "AP8=\r\n", "count": "1"})
    lines = [json.loads(line) for line in client.get(f"{RECORDS}/export?start=oldest").content.splitlines()]
    assert [base64.b64decode(line["Data"]) for line in lines] == [b"one\ntwo", b"\x00\xff"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"kind": "base64", "content": "%%%"}, "This is not base64"),
        ({"count": "501"}, "less than or equal to 500"),
        ({"count": ""}, "required"),
        ({"kind": "text", "content": "x" * (1024 * 1024 + 1)}, "record"),
        ({"key": "k" * 257}, "256"),
    ],
)
def test_what_cannot_be_put_is_told_and_nothing_stored(client, stream, given, text):
    answer = client.post(PUT, {"kind": "text", "key": "", "content": "x", "count": "1", **given})
    assert answer.status_code == 422
    assert text in text_of(answer)
    assert shown(client.get(RECORDS)) == []


def test_a_record_can_be_put_again(client, team, served, stream):
    texts = put(served, team, stream, ("key & <b>", "wörter".encode()), ("k", b"\x00\x01"))
    first, second = (f"{int(r['ShardId'][-4:]):04d}:{r['SequenceNumber']}" for r in texts)
    page = text_of(client.get(PUT, {"again": first}))
    assert "wörter" in page
    assert 'value="key &amp; &lt;b&gt;"' in page
    assert "AAE=" in text_of(client.get(PUT, {"again": second}))
    assert client.get(PUT, {"again": "0001:5"}).status_code == 200


def test_throttled_records_are_told_not_hidden(client, stream):
    client.post(PUT, {"kind": "text", "key": "k", "content": "x" * 3000, "count": "500"})
    page = text_of(client.get(RECORDS))
    assert "refused: Rate exceeded for shard" in page
