"""Signing in and out, resetting and changing a password, and the theme."""

import json
import re
from datetime import timedelta

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from apps.access.models import AuditEntry
from apps.accounts.models import Membership, User
from apps.accounts.roles import Role
from console import mail as post
from console.models import BrowserSession
from console.sign_in import failures
from tests.console.conftest import text_of
from tests.support.teams import EMAIL, PASSWORD, make_team

pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture
def stranger(team):
    return Client()


def sign_in(browser, email=EMAIL, password=PASSWORD, **more):
    return browser.post("/sign-in", {"login": email, "password": password, **more})


def test_the_start_leads_to_signing_in_and_then_to_the_team(stranger):
    assert stranger.get("/")["Location"] == "/sign-in?next=/"
    assert sign_in(stranger)["Location"] == "/"
    assert stranger.get("/")["Location"] == "/t/first"
    assert stranger.get("/t/first").status_code == 200


def test_the_wanted_page_follows_signing_in(stranger):
    answer = stranger.get("/t/first/streams")
    assert answer["Location"] == "/sign-in?next=/t/first/streams"
    assert sign_in(stranger, next="/t/first/streams")["Location"] == "/t/first/streams"


@pytest.mark.parametrize("elsewhere", ["https://evil.test/", "//evil.test/", "javascript:alert(1)"])
def test_no_way_leads_out(stranger, elsewhere):
    assert "evil" not in sign_in(stranger, next=elsewhere)["Location"]
    assert stranger.post("/theme", {"theme": "dark", "next": elsewhere})["Location"] == "/"


def test_a_wrong_password_says_so_and_keeps_the_address(stranger):
    answer = sign_in(stranger, password="wrong")
    assert "The e-mail address or the password is not right." in text_of(answer)
    assert EMAIL in text_of(answer)
    assert "wrong" not in re.findall(r'value="([^"]*)"', text_of(answer))


def test_an_unknown_address_is_answered_alike(stranger):
    known, unknown = (text_of(sign_in(stranger, email=who, password="wrong")) for who in (EMAIL, "no@example.test"))
    mask = re.compile(r'value="[^"]*"|"X-CSRFToken": "\w*"')
    assert mask.sub("", known) == mask.sub("", unknown)


def test_failed_attempts_are_counted_per_address(stranger):
    for _ in range(5):
        sign_in(stranger, password="wrong")
    answer = sign_in(stranger)
    assert "Too many failed attempts" in text_of(answer)
    assert stranger.get("/t/first").status_code == 302


def test_counts_are_kept_however_many_others_there_are(stranger):
    for _ in range(5):
        sign_in(stranger, password="wrong")
    for number in range(400):
        cache.set(f"zzz{number}", [0.0], 300)
    assert "Too many failed attempts" in text_of(sign_in(stranger))


def test_who_was_locked_out_by_others_gets_in_after_a_reset(stranger):
    for _ in range(5):
        sign_in(stranger, password="wrong")
    assert sign_in(stranger).status_code != 302
    link = stranger.get(reset_link(stranger))["Location"]
    stranger.post(link, {"password1": "another long one", "password2": "another long one"})
    assert sign_in(stranger, password="another long one").status_code == 302


def test_attempts_from_one_place_end_in_429(stranger):
    codes = [sign_in(stranger, email=f"n{n}@example.test", password="wrong").status_code for n in range(31)]
    assert codes[-1] == 429
    assert codes[0] == 200


def test_nobody_registers(stranger):
    for path in ("/signup", "/accounts/signup/", "/register", "/sign-up"):
        assert stranger.get(path).status_code == 404


def test_signing_out_needs_a_post(client):
    assert client.get("/sign-out").status_code == 200
    assert client.get("/t/first").status_code == 200
    assert client.post("/sign-out")["Location"] == "/sign-in"
    assert client.get("/t/first").status_code == 302


def test_a_form_without_its_token_changes_nothing(team):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(team.user)
    answer = strict.post("/t/first/keys", {"name": "x"})
    assert answer.status_code == 403
    assert "This form has expired" in text_of(answer)


def test_a_reset_link_names_our_address_whatever_host_was_asked(stranger):
    answer = stranger.post("/password/reset", {"email": EMAIL}, headers={"host": "127.0.0.1"})
    post.settle()
    assert answer["Location"] == "/password/reset/sent"
    link = re.search(r"http\S+", mail.outbox[0].body)[0]
    assert link.startswith("http://localhost:4567/password/reset/key/")
    assert mail.outbox[0].to == [EMAIL]


def test_a_stranger_gets_no_mail_and_the_same_answer(stranger):
    assert stranger.post("/password/reset", {"email": "no@example.test"})["Location"] == "/password/reset/sent"
    post.settle()
    assert mail.outbox == []


def test_a_reset_works_once(stranger):
    stranger.post("/password/reset", {"email": EMAIL})
    post.settle()
    path = re.search(r"http://localhost:4567(\S+)", mail.outbox[0].body)[1]
    form = stranger.get(path)["Location"]
    answer = stranger.post(form, {"password1": "another long one", "password2": "another long one"})
    assert answer["Location"] == "/password/reset/done"
    assert sign_in(stranger, password="another long one")["Location"] == "/"
    assert "does not work any more" in text_of(Client().get(path))


def test_a_short_password_is_refused_at_its_field(client):
    given = {"part": "password", "oldpassword": PASSWORD, "password1": "short", "password2": "short"}
    answer = client.post("/t/first/profile", given)
    assert answer.status_code == 422
    assert "at least 10 characters" in text_of(answer)


def test_changing_the_password_keeps_this_session(client, team):
    given = {
        "part": "password",
        "oldpassword": PASSWORD,
        "password1": "another long one",
        "password2": "another long one",
    }
    assert client.post("/t/first/profile", given).status_code == 302
    assert client.get("/t/first").status_code == 200
    assert User.objects.get(pk=team.user.pk).check_password("another long one")


def test_the_theme_is_kept_with_the_person_and_in_the_browser(client, team):
    assert '<html lang="en">' in text_of(client.get("/t/first"))
    answer = client.post("/theme", {"theme": "dark", "next": "/t/first"})
    assert answer["Location"] == "/t/first"
    assert answer.cookies["theme"].value == "dark"
    assert '<html lang="en" data-theme="dark">' in text_of(client.get("/t/first"))
    assert User.objects.get(pk=team.user.pk).theme == "dark"


ABOUT = {"part": "about", "name": "Mira Okafor", "theme": "light", "density": "compact", "zone": "UTC"}


def test_the_profile_is_saved(client, team):
    assert client.post("/t/first/profile", ABOUT).status_code == 302
    page = text_of(client.get("/t/first/profile"))
    assert "Mira Okafor" in page
    assert ">MO<" in page
    assert '<html lang="en" data-theme="light" data-density="compact" data-shortcuts="off">' in page
    entry = AuditEntry.objects.get(operation="UpdateProfile")
    assert '"theme":"light"' in entry.after
    assert '"theme":"system"' in entry.before


def test_a_name_is_one_line(client, team):
    given = {"part": "about", "name": "Mira\nhttps://evil.test\n", "theme": "dark", "density": "normal", "zone": "UTC"}
    assert client.post("/t/first/profile", given).status_code == 302
    assert User.objects.get(pk=team.user.pk).name == "Mira https://evil.test"


def test_times_follow_the_persons_zone(client, team):
    client.post("/t/first/profile", {**ABOUT, "zone": "named", "zone_name": "Asia/Tokyo"})
    page = text_of(client.get("/t/first/profile"))
    assert 'data-zone="Asia/Tokyo"' in page
    assert " JST" in page
    client.post("/t/first/profile", {**ABOUT, "zone": "browser"})
    client.cookies["zone"] = "Europe/Athens"
    assert " EET" in text_of(client.get("/t/first/profile"))
    client.cookies["zone"] = "../../etc/passwd"
    assert " UTC" in text_of(client.get("/t/first/profile"))


def test_an_unknown_zone_is_refused_at_its_field(client):
    answer = client.post("/t/first/profile", {**ABOUT, "zone": "named", "zone_name": "Middle/Earth"})
    assert answer.status_code == 422
    assert "like Europe/Berlin" in text_of(answer)
    assert "Middle/Earth" in text_of(answer)


def test_somebody_without_a_team_is_told(served, team):
    browser = Client()
    browser.force_login(User.objects.create_user("alone@example.test", PASSWORD))
    assert "You are in no team" in text_of(browser.get("/"))


def reset_link(browser):
    browser.post("/password/reset", {"email": EMAIL})
    post.settle()
    return re.search(r"http://localhost:4567(\S+)", mail.outbox[-1].body)[1]


def test_a_reset_link_dies_with_a_changed_password(client, stranger):
    path = reset_link(stranger)
    given = {
        "part": "password",
        "oldpassword": PASSWORD,
        "password1": "another long one",
        "password2": "another long one",
    }
    assert client.post("/t/first/profile", given).status_code == 302
    assert "does not work any more" in text_of(stranger.get(path))


def test_a_reset_ends_every_session_and_tells_the_person(client, stranger):
    form = stranger.get(reset_link(stranger))["Location"]
    stranger.post(form, {"password1": "another long one", "password2": "another long one"})
    assert client.get("/t/first").status_code == 302
    assert not BrowserSession.objects.filter(user__isnull=False).exists()
    post.settle()
    assert "the password was reset" in mail.outbox[-1].body
    assert AuditEntry.objects.filter(operation="ResetPassword").exists()


def test_signing_in_is_in_the_trail_of_each_team(stranger, team):
    sign_in(stranger)
    entry = AuditEntry.objects.get(operation="ConsoleLogin")
    assert (entry.account_id, entry.person, entry.resource) == (team.team.account_id, EMAIL, f"member/{EMAIL}")
    assert "password" in entry.after
    assert PASSWORD not in str(entry.__dict__)


def failed():
    """(operation, outcome, message) of each entry of a failure, oldest first."""
    rows = AuditEntry.objects.exclude(outcome="").order_by("id")
    return list(rows.values_list("operation", "outcome", "message"))


def test_a_failed_sign_in_is_in_the_trail_of_each_team(stranger, client, team):
    other = make_team("999999999999", "second", "AKIDOTHER", email="second@example.test")
    Membership.objects.create(team=other.team, user=team.user, role=Role.VIEWER)
    stranger.post("/sign-in", {"login": f" {EMAIL.upper()} ", "password": "hunter2"}, headers={"user-agent": "curl/8"})
    rows = list(AuditEntry.objects.order_by("id"))
    assert [row.account_id for row in rows] == [team.team.account_id, "999999999999"]
    for row in rows:
        assert (row.operation, row.outcome, row.message) == (
            "ConsoleLogin",
            "WrongPassword",
            "The password was not right.",
        )
        assert (row.person, row.person_id, row.resource) == (EMAIL, None, f"member/{EMAIL}")
        assert (row.source_ip, row.user_agent) == ("127.0.0.1", "curl/8")
        assert "hunter2" not in str(row.__dict__)
    page = text_of(client.get("/t/first/audit"))
    assert "WrongPassword" in page
    assert "Failed" in page


@pytest.mark.parametrize("typed", ["nobody@example.test", "hunter2-the-password", ""])
def test_what_is_nobodys_address_is_not_written(stranger, typed):
    sign_in(stranger, email=typed, password="hunter2")
    assert not AuditEntry.objects.exists()


def test_a_flood_does_not_fill_the_trail(stranger, team, served, monkeypatch):
    monkeypatch.setattr(failures, "ENTRIES_PER_HOUR", 3)
    for _ in range(9):
        sign_in(stranger, password="wrong")
    assert [row[1] for row in failed()] == ["WrongPassword"] * 3
    served.clock.advance(3_600_000)
    sign_in(stranger, password="wrong")
    assert failed()[-1] == (
        "ConsoleLogin", "TooManyAttempts",
        "There were too many attempts before this one, so it was not looked at. Before this one 6 failed attempts were not listed.",
    )  # fmt: skip
    cache.clear()  # so that it is looked at again
    for _ in range(4):
        sign_in(stranger, password="wrong")
    sign_in(stranger)
    assert json.loads(AuditEntry.objects.get(outcome="").after)["failed_attempts_not_listed"] == 1


def test_pauses_between_floods_do_not_fill_the_trail_either(stranger, team, served, monkeypatch):
    monkeypatch.setattr(failures, "ENTRIES_PER_HOUR", 3)
    for _ in range(5):
        sign_in(stranger, password="wrong")
    later = timezone.now() + timedelta(minutes=10)
    monkeypatch.setattr("django.core.cache.backends.db.tz_now", lambda: later)
    sign_in(stranger, password="wrong")
    assert len(failed()) == 3
    served.clock.advance(3_600_000)
    sign_in(stranger, password="wrong")
    assert failed()[3][2].endswith("Before this one 3 failed attempts were not listed.")


def test_an_account_that_is_switched_off(stranger, team):
    User.objects.filter(pk=team.user.pk).update(is_active=False)
    sign_in(stranger)
    assert [row[:2] for row in failed()] == [("ConsoleLogin", "SwitchedOff")]


@pytest.mark.django_db(transaction=True)
def test_it_is_written_in_the_background(stranger, team, monkeypatch):
    monkeypatch.undo()  # served writes at once
    sign_in(stranger, password="wrong")
    failures.settle()
    assert [row[:2] for row in failed()] == [("ConsoleLogin", "WrongPassword")]


@pytest.mark.parametrize("path", ["/sign-in", "/sign-in/passkey"])
def test_no_page_of_signing_in_is_kept_by_caches(stranger, path):
    answer = stranger.get(path, headers={"accept": "application/json"})
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("path", ["/sign-in", "/password/reset", "/sign-out"])
def test_pages_are_pages_whatever_is_accepted(client, stranger, path):
    for browser in (client, stranger):
        answer = browser.get(path, headers={"accept": "application/json", "x-requested-with": "XMLHttpRequest"})
        assert "json" not in answer.headers.get("Content-Type", "")
