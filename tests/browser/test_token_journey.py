"""The journey: make an API token in the console, and call the REST API with it as the page says."""

import shlex
import subprocess

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.demo_data import kinesis_of

pytestmark = [pytest.mark.browser, pytest.mark.system]


def test_create_a_token_and_call_rest_with_it(context: BrowserContext, running, demo) -> None:
    page = context.new_page()
    client = kinesis_of(running)
    names = client.list_streams()["StreamNames"]
    client.close()
    page.goto(f"{running.endpoint}/t/first")
    page.click("nav.nav >> text=API tokens")
    page.click("text=Create token")
    page.fill("#id_name", "journey")
    page.click(".cards >> text=Read")
    expect(page.locator("[name=preset][value=read]")).to_be_checked()
    page.check("[value=chosen]")
    page.check("[name=scopes][value='stream:read']")
    page.click("main button:has-text('Create token')")
    token = page.inner_text("#new-token").strip()
    assert token.startswith("tgt_")
    given = {"Authorization": f"Bearer {token}"}
    curl = shlex.split(page.inner_text("#new-curl").replace("\\\n", " "))
    done = subprocess.run([*curl, "--silent", "--fail"], capture_output=True, timeout=60, check=True)
    assert names[0].encode() in done.stdout
    answer = httpx.get(f"{running.endpoint}/api/v1/streams", headers=given)
    assert names[0] in {one["name"] for one in answer.json()["items"]}
    answer = httpx.post(
        f"{running.endpoint}/api/v1/streams", headers=given, json={"name": "not-mine", "open_shards": 1}
    )
    assert (answer.status_code, answer.json()["needs"]) == (403, "stream:create")
    page.click("text=I have saved it")
    row = page.locator("tr", has_text="journey")
    expect(row).to_contain_text("1 scope")
    row.locator("a:has-text('Revoke journey')").click()
    page.fill("#id_name", "journey")
    page.click("main button:has-text('Revoke token')")
    expect(page.locator(".toast")).to_contain_text("journey is revoked")
    answer = httpx.get(f"{running.endpoint}/api/v1/streams", headers=given)
    assert answer.status_code == 401
