"""Members, roles and requests for access as pages; attempts to get more than one has."""

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail as outbox
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.access.models import AuditEntry
from apps.accounts.models import AccessRequest, Membership, TeamRole, User
from apps.accounts.roles import OWN_ROLE
from apps.teams import invitations
from console import mail
from tests.console.conftest import other_team, signed_in, text_of

HOSTILE = "<script>alert(1)</script>"


def join(team, name, role, own_role=None):
    user = User.objects.create_user(f"{name}@example.test", None, name=name.title())
    return Membership.objects.create(team=team.team, user=user, role=OWN_ROLE if own_role else role, own_role=own_role)


def browser_of(member):
    browser = Client()
    browser.force_login(member.user)
    return browser


def role_of(member):
    return Membership.objects.get(pk=member.pk).role


@pytest.fixture
def viewer(team, served):
    return join(team, "vic", "viewer")


@pytest.fixture
def admin(team, served):
    return join(team, "ada", "admin")


def test_the_list_shows_people_roles_and_second_factors(client, viewer, admin):
    Authenticator.objects.create(user=admin.user, type=Authenticator.Type.TOTP, data={})
    Authenticator.objects.create(user=viewer.user, type=Authenticator.Type.RECOVERY_CODES, data={})
    page = text_of(client.get("/t/first/members"))
    assert page.count("st st-ok") == 1
    assert page.count("st st-warn") == 2
    assert "vic@example.test" in page
    only = text_of(client.get("/t/first/members?q=ada"))
    assert "ada@example.test" in only
    assert "vic@example.test" not in only
    assert "Nobody matches" in text_of(client.get("/t/first/members?q=nobody"))


def test_the_list_asks_few_questions(client, team):
    for n in range(30):
        join(team, f"m{n}", "", TeamRole.objects.create(team=team.team, name=f"r{n}", actions=[], created_at_ms=1))
    for path in ("members", "invitations", "roles"):
        client.get(f"/t/first/{path}")
        with CaptureQueriesContext(connection) as asked:
            client.get(f"/t/first/{path}")
        assert len(asked) <= 6, "\n".join(query["sql"][:160] for query in asked)


def test_a_role_is_changed(client, viewer):
    page = client.post(f"/t/first/members/{viewer.pk}", {"role": "developer"}, follow=True)
    assert "Vic is Developer now" in text_of(page)
    assert role_of(viewer) == "developer"
    assert AuditEntry.objects.filter(operation="ChangeMemberRole", person="owner@example.test").exists()


def test_crafted_posts_raise_nobody(viewer, admin, team):
    owner = Membership.objects.get(user=team.user)
    low, high = browser_of(viewer), browser_of(admin)
    assert low.post(f"/t/first/members/{viewer.pk}", {"role": "admin"}).status_code == 403
    for target in (admin, viewer):
        assert high.post(f"/t/first/members/{target.pk}", {"role": "owner"}).status_code == 422
    for wanted in ("viewer", "owner", "own:1"):
        assert high.post(f"/t/first/members/{owner.pk}", {"role": wanted}).status_code == 422
    refused = high.post(f"/t/first/members/{owner.pk}/remove", {"name": "owner@example.test"})
    assert "team:delete" in text_of(refused)
    assert [role_of(one) for one in (viewer, admin, owner)] == ["viewer", "admin", "owner"]


def test_another_teams_member_and_role_are_not_there(client, viewer):
    other = other_team()
    theirs = Membership.objects.get(team=other.team)
    foreign = TeamRole.objects.create(team=other.team, name="Theirs", actions=["stream:read"], created_at_ms=1)
    assert client.get(f"/t/first/members/{theirs.pk}").status_code == 404
    assert client.post(f"/t/first/members/{theirs.pk}", {"role": "viewer"}).status_code == 404
    assert client.post(f"/t/first/members/{theirs.pk}/remove", {"name": "other@example.test"}).status_code == 404
    assert client.get(f"/t/first/roles/{foreign.pk}").status_code == 404
    assert client.post(f"/t/first/roles/{foreign.pk}/delete", {"name": "Theirs"}).status_code == 404
    assert client.get(f"/t/first/roles/new?copy=own:{foreign.pk}").status_code == 404
    assert client.post(f"/t/first/members/{viewer.pk}", {"role": f"own:{foreign.pk}"}).status_code == 422
    assert (
        client.post("/t/first/invitations", {"email": "x@example.test", "role": f"own:{foreign.pk}"}).status_code == 422
    )


def test_what_a_person_can_do_and_from_where(client, viewer):
    page = text_of(client.get(f"/t/first/members/{viewer.pk}"))
    assert "5 of 27 permissions, all from the role Viewer" in page
    assert "yes, from the role Viewer" in page
    assert "no; roles with it: Owner, Admin, Developer, Analyst" in page


def test_removing_asks_for_the_address(client, viewer):
    path = f"/t/first/members/{viewer.pk}/remove"
    assert "close within a minute" in text_of(client.get(path))
    refused = client.post(path, {"name": "vic"})
    assert refused.status_code == 422
    assert 'value="vic"' in text_of(refused)
    assert client.post(path, {"name": "vic@example.test"}).status_code == 302
    assert not Membership.objects.filter(pk=viewer.pk).exists()


def test_leaving(client, viewer):
    browser = browser_of(viewer)
    assert browser.post("/t/first/leave", {"name": "nothing"}).status_code == 422
    assert browser.post("/t/first/leave", {"name": "first"}).status_code == 302
    assert browser.get("/t/first").status_code == 404
    refused = client.post("/t/first/leave", {"name": "first"})
    assert "A team always has an owner" in text_of(refused)


def test_a_viewer_reads_the_list_and_is_told_what_is_missing(viewer):
    page = text_of(browser_of(viewer).get("/t/first/members"))
    assert "Needs member:write" in page
    assert "/t/first/ask?for=member%3Awrite&amp;next=%2Ft%2Ffirst%2Fmembers" in page


def test_a_role_is_made_from_another_changed_and_deleted(client, viewer):
    page = text_of(client.get("/t/first/roles/new?copy=analyst"))
    assert 'value="record:read" checked' in page
    assert 'value="key:write" checked' not in page
    refused = client.post("/t/first/roles/new", {"name": "Admin", "actions": ["stream:read"]})
    assert refused.status_code == 422
    assert "There is a role Admin already" in text_of(refused)
    assert 'value="stream:read" checked' in text_of(refused)
    given = {"name": HOSTILE, "description": HOSTILE, "actions": ["stream:read", "audit:read"]}
    page = text_of(client.post("/t/first/roles/new", given, follow=True))
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    made = TeamRole.objects.get()
    client.post(f"/t/first/roles/{made.pk}", {"name": "Auditors", "actions": ["audit:read"]})
    client.post(f"/t/first/members/{viewer.pk}", {"role": f"own:{made.pk}"})
    assert browser_of(viewer).get("/t/first/streams").status_code == 403
    assert "vic@example.test" in text_of(client.get(f"/t/first/roles/{made.pk}/delete"))
    assert client.post(f"/t/first/roles/{made.pk}/delete", {"name": "Auditors"}).status_code == 422
    client.post(f"/t/first/members/{viewer.pk}", {"role": "viewer"})
    assert client.post(f"/t/first/roles/{made.pk}/delete", {"name": "Auditors"}).status_code == 302
    assert not TeamRole.objects.exists()


def test_an_admin_cannot_give_a_role_what_an_admin_has_not(admin):
    browser = browser_of(admin)
    page = text_of(browser.get("/t/first/roles/new?copy=owner"))
    assert "Left out of the copy:</b> billing:enforce, team:delete" in page
    refused = browser.post("/t/first/roles/new", {"name": "Kings", "actions": ["team:delete"]})
    assert "permissions that you do not have: team:delete" in text_of(refused)
    kings = TeamRole.objects.create(team=admin.team, name="Kings", actions=["team:delete"], created_at_ms=1)
    assert "You cannot change this role" in text_of(browser.get(f"/t/first/roles/{kings.pk}"))
    assert browser.post(f"/t/first/roles/{kings.pk}", {"name": "K", "actions": ["stream:read"]}).status_code == 422


def test_access_is_asked_for_mailed_and_given(client, viewer, served):
    browser = browser_of(viewer)
    locked = text_of(browser.get("/t/first/streams/orders/records"))
    assert "ask?for=record%3Aread" in locked or "ask?for=record:read" in locked
    asked = browser.post("/t/first/ask?for=record:read&next=/t/first/streams", {"reason": HOSTILE})
    assert asked["Location"] == "/t/first/streams"
    mail.settle()
    assert [message.to for message in outbox.outbox] == [["owner@example.test"]]
    assert "/t/first/members" in outbox.outbox[0].body
    page = text_of(client.get("/t/first/members"))
    assert "record:read" in page
    assert HOSTILE not in page
    request = AccessRequest.objects.get()
    low = browser.post(f"/t/first/access/{request.pk}", {"do": "grant", "role": "owner"})
    assert low.status_code == 403
    client.post(f"/t/first/access/{request.pk}", {"do": "grant", "role": "billing"})
    assert role_of(viewer) == "viewer"
    client.post(f"/t/first/access/{request.pk}", {"do": "grant", "role": "analyst"})
    assert role_of(viewer) == "analyst"
    assert browser.get("/t/first/ask?for=record:read").status_code == 200
    assert "You have this permission already" in text_of(browser.get("/t/first/ask?for=record:read"))


def test_asking_twice_goes_nowhere_else(viewer, served):
    browser = browser_of(viewer)
    for _ in range(2):
        answer = browser.post("/t/first/ask?for=key:read&next=https://evil.example/", {"reason": ""})
        assert answer["Location"] == "/t/first"
    assert AccessRequest.objects.count() == 1
    assert browser.get("/t/first/ask?for=nothing").status_code == 404


def test_a_refused_request_is_gone_from_the_list(client, viewer):
    browser_of(viewer).post("/t/first/ask?for=key:read", {})
    request = AccessRequest.objects.get()
    client.post(f"/t/first/access/{request.pk}", {"do": "refuse"})
    assert "Requests for access" not in text_of(client.get("/t/first/members"))
    again = client.post(f"/t/first/access/{request.pk}", {"do": "grant", "role": "admin"}, follow=True)
    assert "answered already" in text_of(again)
    assert role_of(viewer) == "viewer"


def test_hostile_names_stay_text(client, team, viewer):
    User.objects.filter(pk=viewer.user_id).update(name=HOSTILE)
    for path in ("members", f"members/{viewer.pk}", f"members/{viewer.pk}/remove", "settings/transfer"):
        assert HOSTILE not in text_of(client.get(f"/t/first/{path}")), path
    assert invitations.LASTS_DAYS == 7
    assert signed_in(team).get("/t/first/members?q=%00").status_code == 400


def test_a_role_without_streams_begins_where_it_may(team, served):
    made = TeamRole.objects.create(team=team.team, name="Inviters", actions=["member:read"], created_at_ms=1)
    browser = browser_of(join(team, "ivy", "", made))
    assert browser.get("/")["Location"] == "/t/first/members"
    refused = text_of(browser.get("/t/first"))
    assert 'href="/t/first/members">Back to First' in refused
    bare = TeamRole.objects.create(team=team.team, name="Nothing", actions=["token:write"], created_at_ms=1)
    assert browser_of(join(team, "nil", "", bare)).get("/")["Location"] in {"/t/first/tokens", "/t/first/profile"}
