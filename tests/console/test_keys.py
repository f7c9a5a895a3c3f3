"""Access keys: created with a secret that is shown once, disabled, enabled, deleted."""

import re

import pytest

from apps.accounts import keys
from apps.accounts.models import AccessKey
from apps.accounts.secrets import decrypt
from tests.console.conftest import other_team, signed_in, text_of

pytestmark = pytest.mark.usefixtures("served")

KEYS = "/t/first/keys"


def create(client, name="orders service"):
    page = text_of(client.post(KEYS, {"name": name}))
    return re.search(r'id="new-key">([^<]+)<', page)[1], re.search(r'id="new-secret">([^<]+)<', page)[1]


def change(client, key_id, do):
    return client.post(KEYS + "/change", {"key": key_id, "do": do}, follow=True)


def test_a_secret_is_shown_once(client):
    key_id, secret = create(client)
    row = AccessKey.objects.get(key_id=key_id)
    assert decrypt(row.secret_encrypted, key_id) == secret
    assert len(secret) == 40
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", key_id)
    again = text_of(client.get(KEYS))
    assert key_id in again
    assert secret not in again


def test_the_environment_to_paste_is_whole(client):
    page = text_of(client.post(KEYS, {"name": "x"}))
    block = re.sub(r"</?span[^>]*>", "", re.search(r'id="new-environment"[^>]*>(.*?)</pre>', page, re.DOTALL)[1])
    assert re.fullmatch(
        r"export AWS_ACCESS_KEY_ID=AKIA\w{16}\nexport AWS_SECRET_ACCESS_KEY=(&#x27;)?[\w+/]{40}(&#x27;)?\n"
        r"export AWS_REGION=us-east-1\nexport AWS_ENDPOINT_URL_KINESIS=http://localhost:4567",
        block,
    )


def test_a_key_is_deleted_only_after_it_was_disabled(client):
    key_id, _ = create(client)
    assert "Disable it first" in text_of(change(client, key_id, "delete"))
    assert AccessKey.objects.filter(key_id=key_id, is_active=True).exists()
    assert f"{key_id} is disabled" in text_of(change(client, key_id, "disable"))
    assert not AccessKey.objects.get(key_id=key_id).is_active
    change(client, key_id, "enable")
    assert AccessKey.objects.get(key_id=key_id).is_active
    change(client, key_id, "disable")
    assert f"{key_id} is deleted" in text_of(change(client, key_id, "delete"))
    assert not AccessKey.objects.filter(key_id=key_id).exists()


def test_another_teams_key_is_not_there(client, team):
    theirs = other_team()
    for do in ("disable", "enable", "delete"):
        assert change(client, theirs.access_key_id, do).status_code == 404
    assert AccessKey.objects.get(key_id=theirs.access_key_id).is_active
    assert theirs.access_key_id not in text_of(client.get(KEYS))


@pytest.mark.parametrize(
    ("key", "do", "status"),
    [("nobody", "disable", 404), ("AKIDEXAMPLE", "steal", 404), ("", "", 404), ("a\0b", "disable", 400)],
)
def test_nonsense_changes_nothing(client, key, do, status):
    assert client.post(KEYS + "/change", {"key": key, "do": do}).status_code == status


def test_a_key_needs_a_name(client):
    answer = client.post(KEYS, {"name": ""})
    assert answer.status_code == 422
    assert "required" in text_of(answer)
    assert AccessKey.objects.count() == 1


def test_keys_have_a_limit(client, team, monkeypatch):
    monkeypatch.setattr(keys, "KEYS_PER_TEAM_MAX", 1)
    answer = client.post(KEYS, {"name": "one more"})
    assert answer.status_code == 422
    assert "has 1 keys already" in text_of(answer)


def test_an_analyst_sees_no_keys(served):
    analyst = signed_in(other_team(role="analyst"))
    assert analyst.get("/t/second/keys").status_code == 403
    page = text_of(analyst.get("/t/second"))
    assert "/t/second/keys" not in page
