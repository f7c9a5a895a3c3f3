"""Second steps: an authenticator app, recovery codes, and what stands between the password and a session."""

import json
import re
import time

import pytest
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.contrib.auth import SESSION_KEY
from django.core import mail
from django.test import Client
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

from apps.access.models import AuditEntry
from apps.accounts.models import User
from console import mail as post
from console.models import BrowserSession
from tests.console.conftest import text_of
from tests.support.teams import EMAIL, PASSWORD

pytestmark = pytest.mark.usefixtures("served")

PROFILE = "/t/first/profile"


@pytest.fixture
def stranger(team):
    return Client()


@pytest.fixture
def app(client, team):
    """The owner has an app; the secret in it."""
    return add_app(client)


def sign_in(browser, **more):
    return browser.post("/sign-in", {"login": EMAIL, "password": PASSWORD, **more})


def confirm(browser, then):
    """Prove it again by password, as whoever opens `then` is asked to."""
    asked = browser.get(then)["Location"]
    assert asked.startswith("/confirm?next=")
    assert browser.post(asked, {"password": PASSWORD})["Location"] == then


def code(secret, step=0):
    """The app's code now; step 1: the next one, which is taken as well."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + step))


def add_app(browser):
    confirm(browser, f"{PROFILE}/app")
    secret = re.search(r'id="totp-secret">(\w+)<', text_of(browser.get(f"{PROFILE}/app")))[1]
    answer = browser.post(f"{PROFILE}/app", {"code": code(secret, -1)})
    assert answer["Location"] == f"{PROFILE}/recovery-codes"
    return secret


def codes_of(browser):
    page = text_of(browser.get(f"{PROFILE}/recovery-codes"))
    return re.findall(r"^(\d{4} \d{4})$", page.replace('codes">', 'codes">\n'), re.MULTILINE)


def operations():
    return list(AuditEntry.objects.filter(service="console").order_by("pk").values_list("operation", flat=True))


def test_adding_asks_to_prove_it_again_and_shows_the_codes_once(client, team, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        add_app(client)
    codes = codes_of(client)
    assert len(set(codes)) == 10
    assert codes_of(client) == []
    assert "10 codes of 10 left" in text_of(client.get(f"{PROFILE}/recovery-codes"))
    assert "AddAuthenticatorApp" in operations()
    post.settle()
    assert "an authenticator app was added" in mail.outbox[-1].body


def test_secrets_are_sealed_at_rest(app, team):
    rows = {row.type: row.data for row in Authenticator.objects.all()}
    assert app not in str(rows)
    assert rows["totp"]["secret"] != app
    assert re.fullmatch(r"[A-Za-z0-9+/]{60,}=*", rows["recovery_codes"]["seed"])


def test_a_wrong_first_code_adds_nothing(client, team):
    confirm(client, f"{PROFILE}/app")
    answer = client.post(f"{PROFILE}/app", {"code": "000000"})
    assert answer.status_code == 422
    assert "This code is not right" in text_of(answer)
    assert not Authenticator.objects.exists()


def test_the_password_alone_is_no_session(app, stranger):
    assert sign_in(stranger, next="/t/first/streams")["Location"].startswith("/sign-in/second-step")
    assert SESSION_KEY not in stranger.session
    assert stranger.get("/t/first").status_code == 302
    assert stranger.get("/t/first/live.json").status_code == 401
    answer = stranger.post("/sign-in/second-step", {"code": code(app)})
    assert answer["Location"] == "/t/first/streams"
    assert stranger.get("/t/first").status_code == 200


def test_the_session_gets_a_new_key_at_each_step(app, stranger):
    keys = [stranger.session.session_key]
    sign_in(stranger)
    keys.append(stranger.session.session_key)
    stranger.post("/sign-in/second-step", {"code": code(app)})
    keys.append(stranger.session.session_key)
    answer = stranger.get(f"{PROFILE}/recovery-codes")
    stranger.post(answer["Location"], {"password": PASSWORD})
    keys.append(stranger.session.session_key)
    assert len(set(keys)) == 4
    assert BrowserSession.objects.filter(user__isnull=False).count() == 2  # the owner's own, and the stranger's last


def test_a_wrong_code_says_so_and_keeps_nothing(app, stranger):
    sign_in(stranger)
    answer = stranger.post("/sign-in/second-step", {"code": "123"})
    assert answer.status_code == 422
    assert "This code is not right" in text_of(answer)


def test_a_code_works_once(app, stranger):
    same = code(app)
    sign_in(stranger)
    assert stranger.post("/sign-in/second-step", {"code": same}).status_code == 302
    second = Client()
    sign_in(second)
    assert second.post("/sign-in/second-step", {"code": same}).status_code == 422
    assert second.post("/sign-in/second-step", {"code": code(app, 1)}).status_code == 302


def test_the_code_that_added_the_app_does_not_sign_in(app, stranger):
    sign_in(stranger)
    assert stranger.post("/sign-in/second-step", {"code": code(app, -1)}).status_code == 422


def test_guessing_codes_ends_and_says_for_how_long(app, stranger):
    sign_in(stranger)
    for _ in range(5):
        stranger.post("/sign-in/second-step", {"code": "000000"})
    answer = stranger.post("/sign-in/second-step", {"code": code(app)})
    assert "Too many attempts. Try again in 5 minutes." in text_of(answer)
    assert stranger.get("/t/first").status_code == 302


def test_a_recovery_code_works_once(client, app, stranger):
    first, second, *_ = codes_of(client)
    sign_in(stranger)
    assert stranger.post("/sign-in/second-step", {"code": first}).status_code == 302
    again = Client()
    sign_in(again)
    assert again.post("/sign-in/second-step", {"code": first}).status_code == 422
    assert again.post("/sign-in/second-step", {"code": second.replace(" ", "")}).status_code == 302
    assert "8 of 10 left" in text_of(client.get(PROFILE))


def test_new_codes_end_the_old_ones(client, app, stranger):
    old, *_ = codes_of(client)
    assert client.post(f"{PROFILE}/recovery-codes/new")["Location"] == f"{PROFILE}/recovery-codes"
    assert len(codes_of(client)) == 10
    sign_in(stranger)
    assert stranger.post("/sign-in/second-step", {"code": old}).status_code == 422
    assert "CreateRecoveryCodes" in operations()


def test_removing_the_app_leaves_the_password_alone(client, app, stranger):
    key = Authenticator.objects.get(type="totp").pk
    assert "your recovery codes are deleted" in text_of(client.get(f"{PROFILE}/steps/{key}/remove"))
    assert client.post(f"{PROFILE}/steps/{key}/remove")["Location"] == PROFILE
    assert not Authenticator.objects.exists()
    assert sign_in(stranger)["Location"] == "/"
    assert "RemoveAuthenticatorApp" in operations()


def test_another_persons_steps_are_not_there(client, app, team):
    other = User.objects.create_user("other@example.test", None)
    key = Authenticator.objects.create(user=other, type="webauthn", data={"name": "x"}).pk
    assert client.get(f"{PROFILE}/steps/{key}/remove").status_code == 404
    assert client.post(f"{PROFILE}/steps/{key}/remove").status_code == 404
    assert client.post(f"{PROFILE}/passkeys/{key}", {"name": "mine"}).status_code == 404
    assert Authenticator.objects.filter(pk=key, data={"name": "x"}).exists()


def test_starting_over_forgets_the_password_that_was_right(app, stranger):
    sign_in(stranger)
    assert stranger.get("/sign-in/start-over").status_code == 405
    assert stranger.post("/sign-in/start-over")["Location"] == "/sign-in"
    assert stranger.post("/sign-in/second-step", {"code": code(app)})["Location"] == "/sign-in"
    assert "Sign in" in text_of(stranger.get("/sign-in"))


def test_who_is_switched_off_between_the_steps_does_not_get_in(app, stranger, team):
    sign_in(stranger)
    User.objects.filter(pk=team.user.pk).update(is_active=False)
    stranger.post("/sign-in/second-step", {"code": code(app)})
    assert stranger.get("/t/first").status_code == 302


def test_a_passkeys_options_are_told_and_counted(stranger):
    answer = stranger.get("/sign-in/passkey", headers={"accept": "application/json"})
    options = answer.json()["request_options"]["publicKey"]
    assert (options["rpId"], options["userVerification"]) == ("localhost", "required")
    codes = [stranger.get("/sign-in/passkey", headers={"accept": "application/json"}).status_code for _ in range(30)]
    assert codes[-1] == 429
    assert BrowserSession.objects.filter(user=None).count() <= 1


def test_nonsense_for_a_passkey_is_refused(stranger):
    stranger.get("/sign-in/passkey", headers={"accept": "application/json"})
    for given in ("", "{}", "[]", "null", '{"id": 1}', '{"rawId":"x","response":{"userHandle":"MQ"}}', "x" * 5000):
        assert stranger.post("/sign-in/passkey", {"credential": given})["Location"] == "/sign-in"
    assert stranger.get("/t/first").status_code == 302


def passkey(user, credential_id):
    """A row of one, as a browser tells of it."""
    key = AttestedCredentialData.create(
        b"\0" * 16, credential_id, ES256({1: 2, 3: -7, -1: 1, -2: b"x" * 32, -3: b"y" * 32})
    )
    flags = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.AT
    about = AttestationObject.create("none", AuthenticatorData.create(b"\0" * 32, flags, 0, key), {})
    told = {"clientDataJSON": websafe_encode(b'{"type":"webauthn.create","challenge":"YQ","origin":"x"}')}
    told["attestationObject"] = websafe_encode(about)
    name = websafe_encode(credential_id)
    given = {"id": name, "rawId": name, "type": "public-key", "response": told}
    return Authenticator.objects.create(user=user, type="webauthn", data={"name": "x", "credential": given})


def answer_of(user, credential_id):
    """What a browser answers with that passkey, signed wrongly."""
    told = {"clientDataJSON": websafe_encode(b'{"type":"webauthn.get","challenge":"YQ","origin":"x"}')}
    told["authenticatorData"] = websafe_encode(AuthenticatorData.create(b"\0" * 32, AuthenticatorData.FLAG.UP, 1))
    told |= {"signature": "YQ", "userHandle": websafe_encode(user_pk_to_url_str(user).encode())}
    name = websafe_encode(credential_id)
    return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": told})


@pytest.mark.parametrize(("named", "written"), [(b"mine", 1), (b"made up", 0)])
def test_a_wrong_passkey_instead_of_a_password_is_in_the_trail_of_its_person(stranger, team, named, written):
    passkey(team.user, b"mine")
    stranger.get("/sign-in/passkey", headers={"accept": "application/json"})
    answer = stranger.post("/sign-in/passkey", {"credential": answer_of(team.user, named)})
    assert answer["Location"] == "/sign-in"
    found = AuditEntry.objects.values_list("operation", "outcome", "person")
    assert list(found) == [("ConsoleLogin", "WrongSecondStep", EMAIL)] * written


def test_a_second_step_that_failed_is_in_the_trail(client, stranger, app):
    def failed():
        return list(AuditEntry.objects.exclude(outcome="").order_by("id").values_list("operation", "outcome", "person"))

    assert failed() == []
    sign_in(stranger)
    stranger.post("/sign-in/second-step", {"code": "000000"})
    assert failed() == [("ConsoleLogin", "WrongSecondStep", EMAIL)]
    used = code(app)
    stranger.post("/sign-in/second-step", {"code": used})
    other = Client()
    sign_in(other)
    other.post("/sign-in/second-step", {"code": used})  # each code once
    assert failed()[1:] == [("ConsoleLogin", "WrongSecondStep", EMAIL)]
    stranger.post("/confirm", {"password": "wrong"})
    assert failed()[2:] == [("ProveIdentity", "WrongPassword", EMAIL)]
    client.post(f"{PROFILE}/app", {"code": "000000"})
    assert len(failed()) == 3
