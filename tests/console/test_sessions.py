"""Sessions: where one is signed in, ending them, and what ends them by itself."""

import hashlib
import re
from datetime import timedelta

import pytest
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.utils import timezone

from apps.access.models import AuditEntry
from apps.accounts.models import Membership, User
from console import sessions
from console.models import BrowserSession
from tests.console.conftest import other_team, signed_in, text_of
from tests.support.teams import EMAIL, PASSWORD

pytestmark = pytest.mark.usefixtures("served")

PROFILE = "/t/first/profile"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def sign_in(browser, **headers):
    answer = browser.post("/sign-in", {"login": EMAIL, "password": PASSWORD}, headers=headers)
    assert answer["Location"] == "/"
    return browser


@pytest.fixture
def elsewhere(team):
    """The owner at another place."""
    return sign_in(Client(REMOTE_ADDR="192.0.2.7"), user_agent=FIREFOX)


def is_in(browser):
    return browser.get("/t/first").status_code == 200


def test_the_list_says_where_with_what_and_which_is_this_one(client, elsewhere):
    page = text_of(client.get(PROFILE))
    assert "Firefox on Linux" in page
    assert "192.0.2.7" in page
    assert page.count("This one") == 1
    assert elsewhere.session.session_key not in page


def test_ending_one_ends_that_one(client, elsewhere):
    third = sign_in(Client())
    name = sessions.digest(elsewhere.session.session_key)[:12]
    assert client.post(f"{PROFILE}/sessions/end", {"session": name})["Location"] == PROFILE
    assert (is_in(client), is_in(elsewhere), is_in(third)) == (True, False, True)
    assert AuditEntry.objects.filter(operation="EndSession").count() == 1


def test_ending_the_others_leaves_this_one(client, elsewhere):
    third = sign_in(Client())
    client.post(f"{PROFILE}/sessions/end")
    assert "2 sessions signed out" in text_of(client.get(PROFILE))
    assert (is_in(client), is_in(elsewhere), is_in(third)) == (True, False, False)


def test_nobody_ends_another_persons_session(client, team):
    stranger = signed_in(other_team())
    assert stranger.get("/t/second").status_code == 200
    name = sessions.digest(stranger.session.session_key)[:12]
    client.post(f"{PROFILE}/sessions/end", {"session": name})
    assert stranger.get("/t/second").status_code == 200


def test_ending_needs_a_post_and_a_token(client, team):
    assert client.get(f"{PROFILE}/sessions/end").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(team.user)
    assert strict.post(f"{PROFILE}/sessions/end").status_code == 403


def test_a_changed_password_ends_the_others(client, elsewhere):
    long = "another long one"
    client.post(PROFILE, {"part": "password", "oldpassword": PASSWORD, "password1": long, "password2": long})
    assert (is_in(client), is_in(elsewhere)) == (True, False)
    assert BrowserSession.objects.filter(user__isnull=False).count() == 1


def test_switching_somebody_off_ends_their_sessions(client, elsewhere, team):
    User.objects.filter(pk=team.user.pk).update(is_active=False)
    assert (is_in(client), is_in(elsewhere)) == (False, False)


def test_the_key_in_the_cookie_is_not_in_the_database(client):
    client.get(PROFILE)
    key = client.cookies["sessionid"].value
    row = BrowserSession.objects.get()
    assert row.key_sha256 == hashlib.sha256(key.encode()).hexdigest()
    assert key not in str(row.__dict__)
    thief = Client()
    thief.cookies["sessionid"] = row.key_sha256
    assert not is_in(thief)


def test_last_seen_is_written_every_few_minutes_and_no_oftener(client, served, django_assert_num_queries, team):
    client.get(PROFILE)
    first = BrowserSession.objects.get().seen_at_ms
    served.clock.advance(sessions.SEEN_EVERY_MS - 1)
    client.get(PROFILE)
    assert BrowserSession.objects.get().seen_at_ms == first
    assert Membership.objects.get(user=team.user).last_seen_at_ms == first
    served.clock.advance(1)
    client.get(PROFILE)
    assert BrowserSession.objects.get().seen_at_ms == first + sessions.SEEN_EVERY_MS
    assert Membership.objects.get(user=team.user).last_seen_at_ms == first + sessions.SEEN_EVERY_MS


def test_signing_in_gives_a_new_key_and_forgets_the_old_one(team):
    browser = Client()
    fixed = browser.session.session_key  # as if somebody had planted it
    sign_in(browser)
    assert browser.cookies["sessionid"].value != fixed
    planted = Client()
    planted.cookies["sessionid"] = fixed
    assert not is_in(planted)
    assert not sessions.SessionStore().exists(fixed)


def test_an_unknown_session_is_short_and_is_cleared_away(team):
    browser = Client()
    browser.get("/sign-in/passkey", headers={"accept": "application/json"})
    row = BrowserSession.objects.get()
    assert row.user is None
    assert row.expire_date < timezone.now() + timedelta(seconds=sessions.UNKNOWN_S + 1)
    BrowserSession.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    sign_in(Client())
    assert BrowserSession.objects.filter(user=None).count() == 0


def test_signing_out_ends_the_row(client):
    client.get(PROFILE)
    client.post("/sign-out")
    assert not BrowserSession.objects.exists()


def test_the_cookies_flags(client, settings):
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    browser = Client()
    browser.get("/sign-in", secure=True)
    answer = browser.post("/sign-in", {"login": EMAIL, "password": PASSWORD}, secure=True)
    cookie = answer.cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"], cookie["secure"], cookie["domain"]) == (True, "Lax", True, "")
    assert browser.cookies["csrftoken"]["samesite"] == "Lax"
    assert browser.cookies["csrftoken"]["secure"] is True


def test_every_form_of_an_account_wants_its_token(team):
    strict = Client(enforce_csrf_checks=True)
    for path in ("/sign-in", "/sign-out", "/password/reset", "/sign-in/start-over", "/sign-in/passkey", "/theme"):
        assert strict.post(path).status_code == 403, path
    strict.force_login(team.user)
    paths = ("", "/app", "/passkeys/add", "/passkeys/1", "/steps/1/remove", "/recovery-codes/new", "/sessions/end")
    for path in ("/confirm", "/confirm/code", "/confirm/passkey", *(PROFILE + path for path in paths)):
        assert strict.post(path).status_code == 403, path


def test_the_limit_of_an_address_does_not_depend_on_the_host(team, settings):
    settings.ALLOWED_HOSTS = ["*"]
    browser = Client()
    for n in range(5):
        browser.post("/sign-in", {"login": EMAIL, "password": "wrong"}, headers={"host": f"h{n}.test"})
    answer = browser.post("/sign-in", {"login": EMAIL.upper(), "password": PASSWORD}, headers={"host": "other.test"})
    assert "Too many failed attempts. Try again in 5 minutes." in text_of(answer)
    assert SESSION_KEY not in browser.session


def test_too_many_says_how_long_to_wait(team):
    browser = Client()
    for n in range(31):
        answer = browser.post("/sign-in", {"login": f"n{n}@example.test", "password": "wrong"})
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 60
    assert re.search(r"Try again in \d+ seconds\.", text_of(answer))


def test_resets_are_counted_per_address_and_answered_alike(team):
    answers = {}
    for email in (EMAIL, "no@example.test"):
        browser = Client(REMOTE_ADDR="192.0.2.9")
        answers[email] = [browser.post("/password/reset", {"email": email}).status_code for _ in range(6)]
    assert answers[EMAIL] == answers["no@example.test"]
    assert answers[EMAIL][-1] == 429


def test_proving_it_again_is_counted(client):
    codes = [client.post("/confirm", {"password": "wrong"}).status_code for _ in range(11)]
    assert codes[0] == 422
    assert codes[-1] == 429
    refused = signed_in_again()
    assert refused.post("/confirm", {"password": PASSWORD}).status_code == 429


def signed_in_again():
    browser = Client()
    browser.force_login(User.objects.get(email=EMAIL))
    return browser


@pytest.mark.parametrize("elsewhere", ["https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:alert(1)"])
def test_no_way_leads_out_of_proving_it(client, elsewhere):
    answer = client.post("/confirm", {"password": PASSWORD, "next": elsewhere})
    assert "evil" not in answer["Location"]
    assert "javascript" not in answer["Location"]
