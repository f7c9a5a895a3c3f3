"""A person's way through their own account: an authenticator app, recovery codes, a passkey, and signing in with each.

For the test that walks it and for the pictures: both look at each page on the way.
"""

import base64
import hashlib
import hmac
import struct
import time
from collections.abc import Iterator

from playwright.sync_api import Page

from tests.browser import chromium, demo_data
from tests.support.processes import Up

_MAKE = """
from apps.accounts.models import Membership, Team, User
team = Team.objects.get(slug="first")
user = User.objects.create_user("{email}", "{password}", name="Lena Fischer", created_at_ms=1)
Membership.objects.create(team=team, user=user, role="analyst", created_at_ms=1)
"""
_END = "from apps.accounts.models import User; User.objects.get(email='{email}').delete()"
PROFILE = "/t/first/profile"


def make(running: Up, email: str) -> None:
    """A person of one's own: second steps would stand in the way of others who sign in as the owner."""
    demo_data.shell(running, _MAKE.format(email=email, password=demo_data.PASSWORD))


def end(running: Up, email: str) -> None:
    """Nobody meets the person in the lists of members."""
    demo_data.shell(running, _END.format(email=email))


def walk(page: Page, base: str, email: str) -> Iterator[str]:
    """The names of the pages, each as it is in the browser. What must happen on the way is waited for."""
    _add_authenticator(page)
    chromium.sign_in(page, base, email, demo_data.PASSWORD)
    page.goto(f"{base}{PROFILE}/app")
    yield "confirm"
    page.fill("#id_password", demo_data.PASSWORD)
    page.click("main button:has-text('Continue')")
    page.wait_for_url(f"**{PROFILE}/app")
    yield "app"
    page.fill("#id_code", code(page.text_content("#totp-secret") or ""))
    page.click("button:has-text('Add app')")
    page.wait_for_url(f"**{PROFILE}/recovery-codes")
    yield "recovery-codes"
    recovery_code = (page.text_content("#recovery-codes") or "").split("\n")[0]
    page.goto(f"{base}{PROFILE}/passkeys/add")
    yield "passkey"
    page.fill("#id_name", "Laptop")
    page.click("button:has-text('Add passkey')")
    page.wait_for_selector("#second-step li:has-text('signs in alone')")
    yield "profile-second-step"
    page.click("#second-step li:has-text('Authenticator app') a")
    yield "step-remove"
    _sign_out(page, base)
    page.fill("#id_login", email)
    page.fill("#id_password", demo_data.PASSWORD)
    page.click("main button:text-is('Sign in')")
    page.wait_for_url("**/sign-in/second-step")
    yield "second-step"
    page.fill("#id_code", recovery_code)
    page.click("main button:has-text('Continue')")
    page.wait_for_url("**/t/first")
    _sign_out(page, base)
    page.click("button:has-text('Sign in with a passkey')")
    page.wait_for_url("**/t/first")


def code(secret: str) -> str:
    """What the app shows now."""
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


def _add_authenticator(page: Page) -> None:
    """Chromium's virtual one: a device with a fingerprint that always fits."""
    talk = page.context.new_cdp_session(page)
    talk.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    talk.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def _sign_out(page: Page, base: str) -> None:
    page.goto(f"{base}/t/first")
    page.click(".account-menu summary")
    page.click(".account-menu button:has-text('Sign out')")
    page.wait_for_url("**/sign-in")
