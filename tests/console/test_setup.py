"""/setup: one link, one use, and then never again."""

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from apps.accounts import setup
from apps.accounts.models import SetupLink, Team, User
from apps.streams.models import Stream
from tests.console.conftest import settle, text_of
from tests.support.teams import EMAIL

pytestmark = pytest.mark.usefixtures("served")

GIVEN = {
    "name": "Mira Okafor",
    "email": "Mira@Acme.example",
    "password": "a long enough one",
    "team_name": "Acme Retail",
}


@pytest.fixture
def token(team):
    return setup.issue(team.user, team.team)


def test_the_link_finishes_the_account_and_signs_in(token, team):
    browser = Client()
    page = text_of(browser.get(f"/setup?token={token}"))
    assert EMAIL in page
    assert browser.post(f"/setup?token={token}", GIVEN)["Location"] == "/t/first/streams"
    user = User.objects.get(pk=team.user.pk)
    assert (user.name, user.email) == ("Mira Okafor", "mira@acme.example")
    assert user.check_password("a long enough one")
    assert Team.objects.get(pk=team.team.pk).name == "Acme Retail"
    assert "Acme Retail" in text_of(browser.get("/t/first/streams"))


def test_it_closes_for_good(token, team):
    Client().post(f"/setup?token={token}", GIVEN)
    for answer in (Client().get(f"/setup?token={token}"), Client().post(f"/setup?token={token}", GIVEN)):
        assert answer.status_code == 404
        assert "This setup link is closed" in text_of(answer)
    assert setup.issue(team.user, team.team) is None
    assert not setup.is_open(team.user)


def test_nobody_else_who_owns_the_team_later_gets_a_link(token, team):
    other = User.objects.create_user("other@example.test", "x")
    assert setup.issue(other, team.team) is None
    Client().post(f"/setup?token={token}", GIVEN)
    assert setup.issue(other, team.team) is None


def test_it_is_no_way_around_a_second_step(token, team):
    Authenticator.objects.create(user=team.user, type=Authenticator.Type.TOTP, data={})
    browser = Client()
    assert browser.post(f"/setup?token={token}", GIVEN)["Location"] == "/sign-in"
    assert browser.get("/t/first/streams").status_code == 302


@pytest.mark.parametrize("wrong", ["", "x", "%00", "a" * 5000])
def test_another_token_opens_nothing(token, wrong):
    assert Client().get("/setup", {"token": wrong}).status_code == 404
    assert Client().post(f"/setup?token={wrong}", GIVEN).status_code == 404
    assert User.objects.get(email=EMAIL)


def test_a_newer_link_replaces_an_older_one(token, team):
    newer = setup.issue(team.user, team.team)
    assert Client().get(f"/setup?token={token}").status_code == 404
    assert Client().get(f"/setup?token={newer}").status_code == 200


def test_only_a_digest_is_kept(token):
    link = SetupLink.objects.get()
    assert token not in link.token_sha256
    assert len(link.token_sha256) == 64


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("password", "short", "at least 10 characters"),
        ("password", "1234567890", "too common"),
        ("email", "nobody", "valid email"),
        ("name", "", "required"),
        ("team_name", "", "required"),
        ("email", "taken@example.test", "Another person signs in with this address"),
    ],
)
def test_what_is_wrong_stands_at_its_field(token, field, value, text):
    User.objects.create_user("taken@example.test", "x")
    answer = Client().post(f"/setup?token={token}", {**GIVEN, field: value})
    assert answer.status_code == 422
    assert text in text_of(answer)
    assert setup.find(token) is not None


@pytest.mark.django_db(transaction=True)
def test_the_demo_stream_is_made_when_wanted(token, served, monkeypatch):
    from console import calls

    monkeypatch.setattr(calls, "wait_until_active", lambda *_: settle(served))
    browser = Client()
    browser.post(f"/setup?token={token}", {**GIVEN, "demo": "on"})
    assert Stream.objects.get().name == "demo-orders"
    assert "demo-orders holds 1,500 made-up orders" in text_of(browser.get("/t/first/streams"))


@pytest.mark.django_db(transaction=True)
def test_demo_orders_that_were_refused_are_not_said_to_be_there(token, served, monkeypatch):
    """All of one key: more than its shard takes in a second."""
    from console import calls
    from console.pages import demo

    monkeypatch.setattr(calls, "wait_until_active", lambda *_: settle(served))
    monkeypatch.setattr(demo, "sample_orders", lambda count: [{"PartitionKey": "one", "Data": b"{}"}] * count)
    browser = Client()
    browser.post(f"/setup?token={token}", {**GIVEN, "demo": "on"})
    page = text_of(browser.get("/t/first/streams"))
    assert "holds 1,500" not in page
    assert "500 of 1,500 made-up orders were refused: Rate exceeded for shard" in page
