"""Another e-mail address: proved by the new one, told to the old one."""

import re

import pytest
from django.core import mail
from django.test import Client

from apps.access.models import AuditEntry
from apps.accounts.models import User
from console import mail as post
from tests.console.conftest import text_of
from tests.support.teams import EMAIL, PASSWORD

pytestmark = pytest.mark.usefixtures("served")

CHANGE = "/t/first/profile/address"
NEW = "mira@acme.example"


@pytest.fixture
def owner(client):
    """Has just proved who they are."""
    client.post("/confirm", {"password": PASSWORD})
    return client


def ask(browser, email=NEW):
    """The path of the link, or nothing if there was no mail."""
    assert browser.post(CHANGE, {"email": email})["Location"] == "/t/first/profile"
    post.settle()
    return re.search(r"http://localhost:4567(\S+)", mail.outbox[-1].body)[1] if mail.outbox else None


def test_it_changes_when_the_link_is_opened_and_not_before(owner, team):
    path = ask(owner)
    assert mail.outbox[-1].to == [NEW]
    assert User.objects.get(pk=team.user.pk).email == EMAIL
    assert NEW in text_of(owner.get(path))
    assert User.objects.get(pk=team.user.pk).email == EMAIL
    assert owner.post(path)["Location"] == "/profile"
    assert User.objects.get(pk=team.user.pk).email == NEW
    post.settle()
    assert mail.outbox[-1].to == [EMAIL]
    assert AuditEntry.objects.get(operation="ChangeEmail").resource == f"member/{EMAIL}"


def test_the_link_works_once_and_whole(owner):
    path = ask(owner)
    assert Client().get(path[:-3] + "abc").status_code == 404
    assert Client().get("/address/x").status_code == 404
    owner.post(path)
    assert owner.post(path).status_code == 404


def test_a_new_password_ends_the_links_that_were_asked_for_before(owner, team):
    path = ask(owner)
    team.user.set_password("a quite different one")
    team.user.save()
    assert Client().post(path).status_code == 404
    assert User.objects.get(pk=team.user.pk).email == EMAIL


def test_an_address_of_somebody_else_is_answered_alike_and_sends_nothing(owner):
    User.objects.create_user(NEW, None)
    assert ask(owner) is None
    assert "A link was sent to" in text_of(owner.get("/t/first/profile"))


def test_who_has_the_address_by_then_keeps_it(owner, team):
    path = ask(owner)
    User.objects.create_user(NEW, None)
    assert owner.post(path).status_code == 404
    assert User.objects.get(pk=team.user.pk).email == EMAIL


def test_it_asks_to_prove_it_again(client):
    assert client.post(CHANGE, {"email": NEW})["Location"].startswith("/confirm?next=")


def test_nonsense_is_refused_at_its_field(owner):
    answer = owner.post(CHANGE, {"email": "nobody"})
    assert answer.status_code == 422
    assert "valid email" in text_of(answer)
