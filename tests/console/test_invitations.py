"""Invitations: the page, the mail, the link, and everybody whom it is not for."""

import re
from dataclasses import replace

import pytest
from django.core import mail as outbox
from django.test import Client

from apps.accounts.models import Invitation, Membership, User
from apps.base.units import DAY_MS
from console import mail
from console.pages import invitations as invitation_pages
from tests.console.conftest import other_team, signed_in, signed_in_as, text_of

ADDRESS = "noor@example.test"
GOOD = {"name": "Noor Haddad", "password": "a long enough password"}


def invite(client, email=ADDRESS, role="viewer"):
    """The link's path, as the page shows it once."""
    page = text_of(client.post("/t/first/invitations", {"email": email, "role": role}))
    found = re.search(r'id="invite-link">http://localhost:4567(/invite/[\w-]+)<', page)
    assert found, page
    return found[1]


def test_a_new_person_is_invited_by_mail_and_joins(client, team):
    path = invite(client)
    mail.settle()
    assert outbox.outbox[0].to == [ADDRESS]
    assert f"http://localhost:4567{path}" in outbox.outbox[0].body
    assert path not in text_of(client.get("/t/first/invitations"))
    browser = Client()
    page = text_of(browser.get(path))
    assert "Join First" in page
    assert ADDRESS in page
    weak = browser.post(path, {"name": "Noor", "password": "short"})
    assert weak.status_code == 422
    assert 'value="Noor"' in text_of(weak)
    joined = browser.post(path, GOOD)
    assert joined["Location"] == "/t/first"
    assert browser.get("/t/first").status_code == 200
    assert Membership.objects.get(user__email=ADDRESS).role == "viewer"
    again = browser.get(path)
    assert again.status_code == 410
    assert "You are in First already" in text_of(again)
    assert "This invitation was used" in text_of(Client().get(path))


def test_an_existing_person_signs_in_first(client, team):
    noor = User.objects.create_user(ADDRESS, "a long enough password")
    path = invite(client, role="developer")
    browser = Client()
    page = text_of(browser.get(path))
    assert f"/sign-in?next={path}" in page
    assert browser.post(path, GOOD).status_code == 422
    assert User.objects.filter(email=ADDRESS).count() == 1
    browser.force_login(noor)
    assert "You are signed in as noor@example.test" in text_of(browser.get(path))
    assert browser.post(path)["Location"] == "/t/first"
    assert Membership.objects.get(user=noor).role == "developer"


def test_the_wrong_person_is_told_so(client, team):
    path = invite(client)
    wrong = signed_in_as(team, "viewer")
    page = text_of(wrong.get(path))
    assert "this invitation is for" in page
    assert f'name="next" value="{path}"' in page
    assert wrong.post(path).status_code == 422
    assert Invitation.objects.get().accepted_at_ms is None


def test_expired_revoked_and_unknown_links_say_so(client, clock):
    path = invite(client)
    clock.advance(7 * DAY_MS)
    assert "This invitation has expired" in text_of(Client().get(path))
    assert Client().post(path, GOOD).status_code == 410
    other = invite(client, "b@example.test")
    made = Invitation.objects.get(email="b@example.test")
    client.post(f"/t/first/invitations/{made.pk}", {"do": "revoke"})
    assert "This invitation was revoked" in text_of(Client().get(other))
    unknown = Client().get("/invite/nothing")
    assert unknown.status_code == 404
    assert not User.objects.filter(email__in=[ADDRESS, "b@example.test"]).exists()


def test_sending_again_shows_another_link(client):
    old = invite(client)
    made = Invitation.objects.get()
    page = text_of(client.post(f"/t/first/invitations/{made.pk}", {"do": "resend"}))
    new = re.search(r"/invite/[\w-]+", page)[0]
    assert new != old
    assert "There is no such invitation" in text_of(Client().get(old))
    assert Client().get(new).status_code == 200


def test_the_same_address_twice_is_refused_at_the_field(client):
    invite(client)
    page = client.post("/t/first/invitations", {"email": ADDRESS, "role": "admin"})
    assert page.status_code == 422
    assert f"{ADDRESS} is invited already" in text_of(page)
    assert f'value="{ADDRESS}"' in text_of(page)


def test_an_admin_invites_no_owner(team, served):
    admin = signed_in_as(team, "admin")
    assert 'value="owner"' not in text_of(admin.get("/t/first/invitations"))
    assert admin.post("/t/first/invitations", {"email": ADDRESS, "role": "owner"}).status_code == 422
    assert not Invitation.objects.exists()


def test_another_teams_invitation_is_not_there(client):
    invite(client)
    made = Invitation.objects.get()
    stranger = signed_in(other_team())
    assert stranger.post(f"/t/second/invitations/{made.pk}", {"do": "revoke"}).status_code == 404
    assert Invitation.objects.get().revoked_at_ms is None


def test_links_are_not_tried_out_without_end(served, db):
    browser = Client()
    codes = {browser.get(f"/invite/{n}").status_code for n in range(40)}
    assert codes == {404, 429}


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a" * 121, ""])
def test_hostile_names(client, name):
    path = invite(client)
    answer = Client().post(path, {**GOOD, "name": name}, follow=True)
    assert "<script>alert" not in text_of(answer)
    assert "<script>alert" not in text_of(client.get("/t/first/members"))


def test_without_a_mail_server_nobody_is_told_that_it_was_mailed(client):
    page = text_of(client.post("/t/first/invitations", {"email": ADDRESS, "role": "viewer"}))
    assert "There is no mail server" in page
    assert "was mailed" not in page


def test_no_address_is_flooded(client, monkeypatch):
    monkeypatch.setattr(invitation_pages, "MAILS_BURST", 2)
    invite(client)
    made = Invitation.objects.get()
    pages = [text_of(client.post(f"/t/first/invitations/{made.pk}", {"do": "resend"})) for _ in range(2)]
    assert ["kept in the data directory" in page for page in pages] == [True, False]
    assert "No mail was written now" in pages[1]
    assert "invite-link" in pages[1]
    assert len(outbox.outbox) == 2


def test_with_a_mail_server_the_link_is_for_the_mail_alone(client, team, settings):
    """Who invites somebody else's address cannot make that account."""
    settings.CONFIG = replace(settings.CONFIG, mail_url="smtp://mail.example.test")
    page = text_of(client.post("/t/first/invitations", {"email": ADDRESS, "role": "viewer"}))
    assert "/invite/" not in page
    assert "Invitation of noor@example.test" in page
