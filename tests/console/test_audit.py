"""The audit log: what changed and who did it, filters in the address, files, saved views, the tabs Activity."""

import csv
import io
import json

import pytest
from django.test import AsyncClient

from apps.access import audit
from apps.access.models import AuditEntry
from apps.accounts.models import Team
from console.models import SavedView
from console.pages.audit.diff import compare
from console.pages.page_rows import PLAIN_ROWS
from tests.console.conftest import make_stream, other_team, signed_in, text_of
from tests.support.delivery_rows import make_delivery

pytestmark = pytest.mark.usefixtures("served")

LOG = "/t/first/audit"


def write(team, operation="AddTagsToStream", at_ms=1_000, **fields):
    account = team.team.account_id
    given = {
        "account_id": account, "owner_account_id": account, "principal": f"arn:aws:iam::{account}:root",
        "key_id": "AKIA1", "service": "kinesis", "resource": f"arn:aws:kinesis:us-east-1:{account}:stream/orders",
        "source_ip": "192.0.2.1", "endpoint_id": "", "user_agent": "boto3", "request_id": "r-1", "outcome": "",
        "message": "", "is_data": False, **fields,
    }  # fmt: skip
    made = AuditEntry(at_ms=at_ms, operation=operation, resource_key=audit.resource_key(given["resource"]), **given)
    audit.write(made)
    return made


def part(client, address, target="log"):
    return text_of(client.get(address, headers={"HX-Request": "true", "HX-Target": target}))


def test_a_change_made_in_the_console_says_who_where_and_what(client, team, served):
    make_stream(served, team, "orders")
    client.post("/t/first/keys", {"name": "laptop"}, REMOTE_ADDR="192.0.2.55", HTTP_USER_AGENT="Firefox/140")
    entry = AuditEntry.objects.get(operation="CreateAccessKey")
    page = text_of(client.get(LOG, {"entry": entry.pk}))
    for said in (team.user.email, "192.0.2.55", "Firefox/140", entry.session, entry.request_id, "access-key/AKIA"):
        assert said in page
    assert len(entry.session) == 12
    assert "Created" in page
    assert "laptop" in page


def test_an_operation_of_awss_made_in_the_console_says_so_too(client, team, served):
    make_stream(served, team, "orders")
    client.post(
        "/t/first/streams/orders/consumers", {"name": "reader"}, REMOTE_ADDR="192.0.2.55", HTTP_USER_AGENT="Firefox/140"
    )
    entry = AuditEntry.objects.get(operation="RegisterStreamConsumer")
    assert (entry.source_ip, entry.user_agent, entry.person) == ("192.0.2.55", "Firefox/140", team.user.email)
    assert entry.session
    shown = part(client, f"{LOG}?entry={entry.pk}", "entry")
    assert "Consumers.reader" in shown
    assert "<h1>" not in shown


def test_what_only_tidegate_knows_is_told_as_well(client, team, served):
    row = make_delivery(team)
    make_stream(served, team, "orders")
    client.post(f"/t/first/delivery/{row.name}/pause", REMOTE_ADDR="192.0.2.55")
    client.post("/t/first/streams/orders/faults", {"throttle": "5"}, REMOTE_ADDR="192.0.2.55")
    for operation in ("PauseDeliveryStream", "SetFaults"):
        entry = AuditEntry.objects.get(operation=operation)
        assert (entry.person, entry.source_ip, entry.key_id) == (team.user.email, "192.0.2.55", "console")
        assert entry.session


def test_filters_stand_in_the_address(client, team):
    write(team, "DeleteStream", person="ann@example.com")
    write(team, "ListStreams", resource="*")
    write(team, "PutRecords", is_data=True, outcome="AccessDeniedException", message="not you")
    for query, found in (
        ({"q": "who:ann"}, {"DeleteStream"}),
        ({"q": "op:list"}, {"ListStreams"}),
        ({"outcome": "failed"}, {"PutRecords"}),
        ({"kind": "changes"}, {"DeleteStream"}),
        ({"q": "since:2026-01-01"}, set()),
        ({"range": "1h"}, set()),
        ({"q": "orders", "outcome": "ok"}, {"DeleteStream"}),
    ):
        page = text_of(client.get(LOG, query))
        shown = {name for name in ("DeleteStream", "ListStreams", "PutRecords") if f">{name}</a>" in page}
        assert shown == found, query
    assert "Nothing matches" in text_of(client.get(LOG, {"q": "who:nobody"}))
    assert "Clear filters" in text_of(client.get(LOG, {"q": "who:nobody"}))
    assert "is not a filter" in text_of(client.get(LOG, {"q": "colour:red"}))
    assert "is not a time" in text_of(client.get(LOG, {"q": "since:yesterday"}))


def test_pages_by_cursor(client, team):
    for number in range(PLAIN_ROWS + 5):
        write(team, f"Op{number:02d}", at_ms=1_000 + number)
    page = text_of(client.get(LOG))
    assert f">Op{PLAIN_ROWS + 4}</a>" in page
    assert ">Op05</a>" in page
    assert ">Op04</a>" not in page
    cursor = page.partition("before=")[2].partition('"')[0]
    older = text_of(client.get(LOG, {"before": cursor}))
    assert ">Op04</a>" in older
    assert ">Op05</a>" not in older


def test_following_adds_what_is_newer_and_no_more(client, team):
    first = write(team, "One")
    page = text_of(client.get(LOG, {"follow": "1"}))
    assert 'id="newer"' in page
    assert 'id="newer"' not in text_of(client.get(LOG))
    write(team, "Two", at_ms=2_000)
    write(team, "Three", at_ms=3_000, outcome="X")
    answer = client.get(f"{LOG}/newer", {"after": f"1000-{first.pk}", "shown": "0", "outcome": "ok", "follow": "1"})
    added = text_of(answer)
    assert ">Two</a>" in added
    assert ">One</a>" not in added
    assert ">Three</a>" not in added
    assert "shown=1" in added
    assert "HX-Refresh" not in answer
    many = client.get(f"{LOG}/newer", {"after": f"1000-{first.pk}", "shown": "500"})
    assert many["HX-Refresh"] == "true"
    assert client.get(f"{LOG}/newer", {"after": "x"}).status_code == 404


def test_an_entry_of_another_team_is_not_there(client, team):
    theirs = write(other_team(), "DeleteStream")
    assert "There is no such entry" in text_of(client.get(LOG, {"entry": theirs.pk}))
    assert ">DeleteStream</a>" not in text_of(client.get(LOG))


def test_texts_of_callers_are_not_believed(client, team):
    entry = write(
        team, resource="<script>1</script>", user_agent="<img src=x>", person="<b x>", before='{"<i>": "<u>"}'
    )
    page = text_of(client.get(LOG, {"entry": entry.pk, "q": "<s>"}))
    for tag in ("<script>1", "<img", "<b x>", "<i>", "<u>", "<s>"):
        assert tag not in page


def exported(client, **query):
    answer = client.get(f"{LOG}/export", query)
    return answer, b"".join(answer.streaming_content)


def test_the_csv_has_what_is_filtered_and_nothing_that_spreadsheets_run(client, team):
    write(team, "DeleteStream", person="ann@example.com", before='{"a": 1}')
    write(team, "AddTagsToStream", at_ms=2_000, resource="=HYPERLINK(1)", user_agent="@SUM(1)", principal="-1")
    answer, body = exported(client, **{"as": "csv"})
    assert answer["Content-Disposition"] == 'attachment; filename="audit-first.csv"'
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    assert [row["operation"] for row in rows] == ["AddTagsToStream", "DeleteStream"]
    assert (rows[0]["resource"], rows[0]["user_agent"], rows[0]["principal"]) == ("'=HYPERLINK(1)", "'@SUM(1)", "'-1")
    assert (rows[1]["who"], rows[1]["before"], rows[1]["result"]) == ("ann@example.com", '{"a": 1}', "ok")
    _, filtered = exported(client, **{"as": "csv", "q": "op:delete"})
    assert len(filtered.decode().splitlines()) == 2


def test_the_json_is_json_whatever_is_left(client, team, monkeypatch):
    monkeypatch.setattr("console.pages.audit.files.CHUNK", 2)
    for number in range(5):
        write(team, f"Op{number}", at_ms=number, after='{"a": {"b": 1}}')
    _, body = exported(client, **{"as": "json"})
    found = json.loads(body)
    assert [one["operation"] for one in found] == ["Op4", "Op3", "Op2", "Op1", "Op0"]
    assert found[0]["after"] == {"a": {"b": 1}}
    assert json.loads(exported(client, **{"as": "json", "q": "op:none"})[1]) == []
    monkeypatch.setattr("console.pages.audit.files.ENTRIES_MAX", 3)
    assert len(json.loads(exported(client, **{"as": "json"})[1])) == 3


@pytest.mark.django_db(transaction=True)
async def test_a_file_is_sent_piece_by_piece_by_the_server_too(team):
    browser = AsyncClient()
    await browser.aforce_login(team.user)
    answer = await browser.get(f"{LOG}/export", {"as": "csv"})
    pieces = [piece async for piece in answer]
    assert pieces[0].startswith(b"time,who,")


def test_an_unknown_format_is_not_there(client):
    assert client.get(f"{LOG}/export", {"as": "xls"}).status_code == 404


def test_views_are_kept_per_person(client, team):
    sent = {"name": "Deletions", "query": "q=op%3ADelete&outcome=ok&before=1-1&evil=%3Cscript%3E"}
    page = text_of(client.post(f"{LOG}/views", sent, follow=True))
    view = SavedView.objects.get()
    assert view.query == "q=op%3ADelete&outcome=ok"
    assert ">Deletions</a>" in page
    client.post(f"{LOG}/views", {"name": "Deletions", "query": "q=other"})
    assert SavedView.objects.get().query == "q=other"
    stranger = signed_in(other_team())
    assert stranger.post(f"/t/second/audit/views/{view.pk}/delete").status_code == 404
    assert "not saved" in text_of(client.post(f"{LOG}/views", {"name": ""}, follow=True))
    client.post(f"{LOG}/views/{view.pk}/delete")
    assert not SavedView.objects.exists()


def test_views_have_a_limit(client, team, monkeypatch):
    monkeypatch.setattr("console.pages.audit.views.VIEWS_MAX", 1)
    client.post(f"{LOG}/views", {"name": "a"})
    client.post(f"{LOG}/views", {"name": "a", "query": "q=x"})
    assert "Delete one first" in text_of(client.post(f"{LOG}/views", {"name": "b"}, follow=True))
    assert SavedView.objects.count() == 1


def test_the_tab_activity_of_a_stream_has_its_entries_alone(client, team, served):
    make_stream(served, team, "orders")
    arn = f"arn:aws:kinesis:us-east-1:{Team.objects.get(slug='first').account_id}:stream/"
    write(team, "AddTagsToStream", resource=arn + "orders")
    write(team, "DeregisterStreamConsumer", resource=f"{arn}orders/consumer/reader:1")
    write(team, "DeleteStream", resource=arn + "orders-2")
    page = text_of(client.get("/t/first/streams/orders/activity"))
    assert ">AddTagsToStream</a>" in page
    assert ">DeregisterStreamConsumer</a>" in page
    assert ">DeleteStream</a>" not in page
    assert ">AddTagsToStream</a>" not in part(client, "/t/first/streams/orders/activity?q=op:none")
    entry = AuditEntry.objects.get(operation="AddTagsToStream")
    assert "boto3" in part(client, f"/t/first/streams/orders/activity?entry={entry.pk}", "entry")
    assert client.get("/t/first/streams/nobody/activity").status_code == 404


def test_the_tab_activity_of_a_delivery_stream(client, team):
    row = make_delivery(team)
    write(team, "UpdateDestination", service="firehose", resource=str(row.arn))
    write(team, "AddTagsToStream")
    page = text_of(client.get(f"/t/first/delivery/{row.name}/activity"))
    assert ">UpdateDestination</a>" in page
    assert ">AddTagsToStream</a>" not in page


def test_the_page_takes_few_queries(client, team, django_assert_max_num_queries):
    for number in range(60):
        write(team, f"Op{number}", at_ms=number)
    client.get(LOG)
    with django_assert_max_num_queries(8):  # session, person, memberships, sidebar; views and two are the log's
        client.get(LOG)


def test_differences_are_told_by_path():
    before = {"Tags": {"a": "1", "b": "2"}, "Policy": '{"Statement": [{"Effect": "Allow"}]}', "Shards": 4}
    after = {"Tags": {"a": "1", "c": "3"}, "Policy": '{"Statement": [{"Effect": "Deny"}]}', "Shards": 4}
    diff = compare(json.dumps(before), json.dumps(after))
    assert {(line.path, line.kind, line.old, line.new) for line in diff.lines} == {
        ("Tags.b", "removed", "2", ""),
        ("Tags.c", "added", "", "3"),
        ("Policy.Statement[0].Effect", "changed", "Allow", "Deny"),
    }
    assert {line.path for line in diff.same} == {"Tags.a", "Shards"}
    assert compare(None, None) is None
    assert compare(None, "{}").is_new
    assert compare("[1, 2]", "nonsense") is not None
