"""OpenID Connect, against a provider in a process of its own."""

import hashlib
import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.conf import settings as django_settings
from django.test import Client

from apps.access.models import AuditEntry
from apps.accounts.models import Invitation, Membership, User
from apps.base.units import DAY_MS
from tests.console.conftest import signed_in_as, text_of
from tests.support.processes import free_port
from tests.support.teams import CREATED_AT_MS, EMAIL

pytestmark = pytest.mark.usefixtures("served")

START_S = 60
PEOPLE = {
    "1": {"email": EMAIL, "email_verified": True, "name": "Mira Okafor"},
    "2": {"email": EMAIL, "email_verified": False},
    "3": {"email": "stranger@example.test", "email_verified": True},
    "4": {"name": "No address"},
}


@pytest.fixture(scope="module")
def issuer():
    """The address of a provider that knows PEOPLE, each by their subject."""
    port = free_port()
    known = [word for sub, claims in PEOPLE.items() for word in ("--user-claims", json.dumps({"sub": sub, **claims}))]
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "oidc_provider_mock",
        "--port",
        str(port),
        "--require-nonce",
        *known,
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as provider:
        address = f"http://localhost:{port}"
        end = time.monotonic() + START_S
        while provider.poll() is None:
            try:
                httpx.get(f"{address}/.well-known/openid-configuration", timeout=START_S)
                break
            except httpx.TransportError:
                assert time.monotonic() < end
        assert provider.poll() is None, "the provider did not start"
        yield address
        provider.terminate()


@pytest.fixture
def oidc(issuer, settings):
    config = replace(
        django_settings.CONFIG, oidc_issuer=issuer, oidc_client_id="tidegate", oidc_client_secret="s", oidc_name="Acme"
    )
    settings.CONFIG = config
    return config


@pytest.fixture
def stranger(team, oidc):
    return Client()


def leave(browser, **more):
    """To the provider: the address that the browser is sent to."""
    answer = browser.post("/sign-in/oidc", more)
    assert answer.status_code == 200, answer.headers
    return answer["Refresh"].removeprefix("0; url=")


def agree(address, sub):
    """At the provider, be somebody: the path that it sends the browser back to."""
    back = httpx.post(address, data={"sub": sub}, timeout=START_S).headers["location"]
    assert back.startswith("http://localhost:4567/sign-in/oidc/back?")
    return back.removeprefix("http://localhost:4567")


def test_the_button_is_there_only_where_there_is_a_provider(team, stranger, settings):
    assert "Sign in with Acme" in text_of(stranger.get("/sign-in"))
    settings.CONFIG = replace(settings.CONFIG, oidc_issuer="")
    assert "Acme" not in text_of(stranger.get("/sign-in"))
    assert stranger.post("/sign-in/oidc").status_code == 404


def test_somebody_known_signs_in_and_is_known_by_subject_from_then_on(stranger, team):
    answer = stranger.get(agree(leave(stranger, next="/t/first/streams"), "1"))
    assert answer["Location"] == "/t/first/streams"
    assert stranger.get("/t/first").status_code == 200
    assert SocialAccount.objects.get().user == team.user
    assert {"ConnectSingleSignOn", "ConsoleLogin"} <= set(AuditEntry.objects.values_list("operation", flat=True))
    User.objects.filter(pk=team.user.pk).update(email="renamed@example.test")
    again = Client()
    assert again.get(agree(leave(again), "1"))["Location"] == "/"


def test_it_is_no_way_around_a_second_step(stranger, team):
    Authenticator.objects.create(user=team.user, type=Authenticator.Type.TOTP, data={})
    assert stranger.get(agree(leave(stranger), "1"))["Location"].startswith("/sign-in/second-step")
    assert stranger.get("/t/first").status_code == 302


def test_who_has_neither_password_nor_second_step_proves_it_by_a_new_sign_in(stranger, team):
    team.user.set_unusable_password()
    team.user.save()
    heir = signed_in_as(team, "admin")
    given = {"member": Membership.objects.get(role="admin").pk}
    stranger.get(agree(leave(stranger), "1"))
    session = stranger.session
    session["account_authentication_methods"] = [
        {**one, "at": one["at"] - 301} for one in session["account_authentication_methods"]
    ]
    session.save()
    for path in ("profile/address", "profile/app", "profile/passkeys/add", "settings/transfer"):
        answer = stranger.post(f"/t/first/{path}", {"email": "new@example.test", **given})
        assert answer["Location"] == "/t/first/profile", path
    assert "Sign out, sign in again" in text_of(stranger.get("/t/first/profile"))
    again = Client()
    again.get(agree(leave(again), "1"))
    assert again.post("/t/first/settings/transfer", given)["Location"] == "/t/first/settings"
    assert heir.get("/t/first/settings/transfer").status_code == 200


def test_what_leaves_has_pkce_state_and_nonce(stranger):
    asked = parse_qs(urlsplit(leave(stranger, next="https://evil.test/")).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert all(len(asked[name][0]) >= 16 for name in ("state", "nonce", "code_challenge"))
    assert asked["redirect_uri"] == ["http://localhost:4567/sign-in/oidc/back"]
    assert set(asked["scope"][0].split()) == {"openid", "profile", "email"}


def test_no_way_leads_out(stranger):
    assert stranger.get(agree(leave(stranger, next="https://evil.test/"), "1"))["Location"] == "/"


@pytest.mark.parametrize(
    ("sub", "said"), [("2", "has not verified"), ("3", "Nobody signs in here"), ("4", "has not verified")]
)
def test_who_is_not_known_by_a_verified_address_does_not_get_in(stranger, sub, said):
    answer = stranger.get(agree(leave(stranger), sub))
    assert answer["Location"] == "/sign-in"
    assert said in text_of(stranger.get("/sign-in"))
    assert not SocialAccount.objects.exists()
    assert User.objects.count() == 1


def test_an_answer_to_another_browser_is_refused(stranger):
    back = agree(leave(stranger), "1")
    other = Client()
    assert other.get(back)["Location"] == "/sign-in"
    assert other.get("/t/first").status_code == 302


def test_an_answer_works_once(stranger):
    back = agree(leave(stranger), "1")
    stranger.get(back)
    stranger.post("/sign-out")
    assert stranger.get(back)["Location"] == "/sign-in"
    assert stranger.get("/t/first").status_code == 302


def test_a_token_with_another_nonce_is_refused(stranger):
    address = re.sub(r"nonce=\w+", "nonce=" + "x" * 32, leave(stranger))
    stranger.get(agree(address, "1"))
    assert "not to this sign-in" in text_of(stranger.get("/sign-in"))
    assert stranger.get("/t/first").status_code == 302


def test_who_is_switched_off_does_not_get_in(stranger, team):
    User.objects.filter(pk=team.user.pk).update(is_active=False)
    assert stranger.get(agree(leave(stranger), "1"))["Location"] == "/account-off"
    assert stranger.get("/t/first").status_code == 302


def test_a_provider_that_is_away_says_so_in_words(stranger, settings):
    settings.CONFIG = replace(settings.CONFIG, oidc_issuer="http://localhost:1")
    assert stranger.post("/sign-in/oidc")["Location"] == "/sign-in"
    assert "did not work. Try again, or use your password." in text_of(stranger.get("/sign-in"))


def test_another_issuers_document_is_refused(stranger, settings, issuer):
    settings.CONFIG = replace(settings.CONFIG, oidc_issuer=issuer.replace("localhost", "127.0.0.1"))
    # The provider calls itself what it was asked as, so this one is fine; one that is named otherwise is not.
    assert leave(stranger)
    settings.CONFIG = replace(settings.CONFIG, oidc_issuer=f"{issuer}/.well-known/openid-configuration")
    assert stranger.post("/sign-in/oidc")["Location"] == "/sign-in"


def test_leaving_needs_a_form_of_ours(team, oidc):
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/sign-in/oidc").status_code == 403
    assert strict.get("/sign-in/oidc").status_code == 405


def invite(team, email):
    """An open invitation; its path."""
    token = "t" * 32
    Invitation.objects.create(
        team=team.team, email=email, role="viewer", token_sha256=hashlib.sha256(token.encode()).hexdigest(),
        invited_by=team.user, created_at_ms=CREATED_AT_MS, expires_at_ms=CREATED_AT_MS + 7 * DAY_MS,
    )  # fmt: skip
    return f"/invite/{token}"


def test_an_invitation_makes_a_person_of_its_address(stranger, team):
    path = invite(team, "stranger@example.test")
    assert "Join with Acme" in text_of(stranger.get(path))
    assert stranger.get(agree(leave(stranger, next=path), "3"))["Location"] == path
    person = User.objects.get(email="stranger@example.test")
    assert not person.has_usable_password()
    assert person.memberships.count() == 0
    stranger.post(path)
    assert person.memberships.get().role == "viewer"


def test_an_invitation_to_somebody_else_makes_nobody(stranger, team):
    path = invite(team, "another@example.test")
    assert stranger.get(agree(leave(stranger, next=path), "3"))["Location"] == "/sign-in"
    Invitation.objects.update(email="stranger@example.test", revoked_at_ms=CREATED_AT_MS)
    assert stranger.get(agree(leave(stranger, next=path), "3"))["Location"] == "/sign-in"
    assert User.objects.count() == 1
