"""Settings, several teams, export, danger zone."""

import json

import pytest
from django.test import Client

from apps.access.models import AuditEntry, TeamAccess
from apps.accounts.models import Membership, Team, User
from apps.teams import export
from tests.console.conftest import make_stream, other_team, signed_in, signed_in_as, text_of
from tests.support.delivery_rows import make_delivery
from tests.support.teams import PASSWORD

ABOUT = {"part": "about", "name": "Payments", "environment": "staging", "notify": "mailto:ops@example.test"}


async def body_of(answer):
    return b"".join([piece async for piece in answer.streaming_content])


def test_settings_are_shown_and_saved(client, team):
    page = text_of(client.get("/t/first/settings"))
    for shown in ("123456789012", "us-east-1", "http://localhost:4567", "manage.py quotas", "Single sign-on"):
        assert shown in page
    assert client.post("/t/first/settings", ABOUT).status_code == 302
    saved = Team.objects.get()
    assert (saved.name, saved.environment, saved.notify) == ("Payments", "staging", ["mailto:ops@example.test"])
    page = text_of(client.get("/t/first/settings"))
    assert 'class="env env-staging">Staging, us-east-1' in page


def test_new_alarms_begin_with_the_teams_addresses(client):
    assert "mailto:ops@example.test" not in text_of(client.get("/t/first/alarms/create"))
    client.post("/t/first/settings", ABOUT)
    assert "mailto:ops@example.test" in text_of(client.get("/t/first/alarms/create"))


def test_what_is_wrong_stands_at_the_field(client):
    wrong = client.post("/t/first/settings", {**ABOUT, "notify": "ftp://x\nmailto:a@example.test"})
    assert wrong.status_code == 422
    assert "ftp://x\nmailto:a@example.test" in text_of(wrong)
    assert 'id="id_notify_err"' in text_of(wrong)
    assert client.post("/t/first/settings", {**ABOUT, "environment": "moon"}).status_code == 422
    assert Team.objects.get().name == "First"


def test_data_calls_in_the_trail(client):
    client.post("/t/first/settings", {"part": "audit", "data_calls": "on"})
    assert TeamAccess.objects.get().audits_data
    client.post("/t/first/settings", {"part": "audit"})
    assert not TeamAccess.objects.get().audits_data


def test_quotas_with_their_use(client, team, served):
    make_stream(served, team, "orders", 3)
    assert "20,000" in text_of(client.get("/t/first/settings"))
    page = text_of(client.get("/t/first/settings/quotas"))
    assert "calls/CreateStream" in page


def test_a_viewer_reads_and_changes_nothing(team, served):
    viewer = signed_in_as(team, "viewer")
    page = text_of(viewer.get("/t/first/settings"))
    assert "Danger zone" not in page
    assert "ask?for=team:write" in page
    assert viewer.post("/t/first/settings", ABOUT).status_code == 403


def exported(team, role="owner"):
    actions = Membership.objects.get(team=team.team, role=role).actions
    return json.loads("".join(export.pieces(team.team, actions, 1)))


def test_the_export_holds_what_is_configured_and_no_secret(team, served):
    make_stream(served, team, "orders", 2)
    make_delivery(team)
    found = exported(team)
    assert [stream["name"] for stream in found["streams"]] == ["orders"]
    assert len(found["streams"][0]["shards"]) == 2
    assert [one["name"] for one in found["delivery_streams"]] == ["ticker"]
    assert found["members"][0]["email"] == "owner@example.test"
    assert found["left_out"] == []
    text = json.dumps(found)
    assert team.secret not in text
    assert "sealed" not in text
    signed_in_as(team, "viewer")
    assert {one["section"] for one in exported(team, "viewer")["left_out"]} == {"access_keys", "budgets"}


def test_the_export_is_read_some_rows_at_a_time(team, served, monkeypatch):
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(export, "ROWS_MAX", 5)
    for n in range(7):
        make_stream(served, team, f"s{n}")
    found = exported(team)
    assert [stream["name"] for stream in found["streams"]] == [f"s{n}" for n in range(5)]
    assert found["left_out"] == [{"section": "streams", "more_than": "5"}]


def test_the_export_is_a_file(client):
    answer = client.get("/t/first/settings/export")
    assert answer["Content-Disposition"] == 'attachment; filename="first.json"'
    assert answer.streaming


def test_ownership_is_transferred_with_the_password(client, team):
    signed_in_as(team, "developer")
    heir = Membership.objects.get(role="developer")
    wrong = client.post("/t/first/settings/transfer", {"member": heir.pk, "password": "wrong"})
    assert "The password is not right" in text_of(wrong)
    foreign = Membership.objects.get(team=other_team().team)
    refused = client.post("/t/first/settings/transfer", {"member": foreign.pk, "password": PASSWORD})
    assert refused.status_code == 422
    assert client.post("/t/first/settings/transfer", {"member": heir.pk, "password": PASSWORD}).status_code == 302
    assert Membership.objects.get(pk=heir.pk).role == "owner"
    assert client.get("/t/first/settings/transfer").status_code == 403


def test_a_team_is_deleted_when_its_name_is_typed_and_it_is_empty(team, served):
    other = other_team()
    browser = signed_in(other)
    make_stream(served, other, "orders")
    page = text_of(browser.get("/t/second/settings/delete"))
    assert "orders" in page
    assert "It cannot be deleted yet" in page
    assert "still has 1 data streams" in text_of(browser.post("/t/second/settings/delete", {"name": "second"}))
    from apps.streams.models import Shard, Stream

    Shard.objects.filter(stream__team=other.team).delete()
    Stream.objects.filter(team=other.team).delete()
    assert browser.post("/t/second/settings/delete", {"name": "Second"}).status_code == 422
    assert browser.post("/t/second/settings/delete", {"name": "second"}).status_code == 302
    assert not Team.objects.filter(slug="second").exists()
    assert AuditEntry.objects.filter(operation="DeleteTeam", account_id="999999999999").exists()
    assert "cannot be deleted" in text_of(signed_in(team).get("/t/first/settings/delete"))


def test_new_teams_are_made_by_staff(client, team):
    assert client.get("/new-team").status_code == 403
    assert client.post("/new-team", {"name": "x", "slug": "x", "environment": "other"}).status_code == 403
    User.objects.update(is_staff=True)
    taken = client.post("/new-team", {"name": "Again", "slug": "first", "environment": "other"})
    assert "There is a team first already" in text_of(taken)
    made = client.post("/new-team", {"name": "<b>Orders</b>", "slug": "orders", "environment": "development"})
    assert made["Location"] == "/t/orders"
    page = text_of(client.get("/t/orders"))
    assert "<b>Orders</b>" not in page
    assert "env-development" in page


def test_many_teams_are_searched(client, team):
    for n in range(9):
        one = Team.objects.create(account_id=f"{n:012}", slug=f"t{n}", name=f"Team {n}", created_at_ms=1)
        Membership.objects.create(team=one, user=team.user, role="viewer")
    assert "Search 10 teams" in text_of(client.get("/t/first"))
    page = text_of(client.get("/teams?q=Team+3"))
    assert "/t/t3" in page
    assert "/t/t4" not in page
    stranger = Client()
    assert stranger.get("/teams")["Location"].startswith("/sign-in")


@pytest.mark.parametrize("path", ["/teams", "/new-team"])
def test_a_nul_is_a_bad_request(client, path):
    assert client.get(f"{path}?q=%00").status_code == 400
