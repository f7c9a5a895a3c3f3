"""Access keys: created with a secret that is shown once, rotated, disabled, enabled, deleted."""

import re

import pytest
from django.test import Client

from apps.accounts import keys
from apps.accounts.keys import works
from apps.accounts.models import AccessKey, Membership, TeamRole, User
from apps.accounts.permissions import GIVEN_BY_KEYS
from apps.accounts.roles import OWN_ROLE
from apps.accounts.secrets import decrypt
from apps.base.units import DAY_MS
from tests.console.conftest import other_team, signed_in, text_of
from tests.support.teams import ACCESS_KEY_ID

pytestmark = pytest.mark.usefixtures("served")

KEYS = "/t/first/keys"


def shown(answer):
    page = text_of(answer)
    return re.search(r'id="new-key">([^<]+)<', page)[1], re.search(r'id="new-secret">([^<]+)<', page)[1]


def create(client, name="orders service"):
    return shown(client.post(KEYS, {"name": name}))


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
        r"export AWS_REGION=us-east-1\nexport AWS_ENDPOINT_URL_KINESIS=http://localhost:4567\n"
        r"export AWS_ENDPOINT_URL_FIREHOSE=http://localhost:4567\nexport AWS_ENDPOINT_URL_CLOUDWATCH=http://localhost:4567",
        block,
    )


def test_a_new_key_is_saved_as_a_file_and_a_wrong_secret_is_not(client):
    key_id, secret = create(client)
    csv = client.post(KEYS + "/file", {"key": key_id, "secret": secret, "as": "csv"})
    assert csv["Content-Disposition"] == f'attachment; filename="{key_id}.csv"'
    assert text_of(csv) == f"Access key ID,Secret access key\r\n{key_id},{secret}\r\n"
    profile = text_of(client.post(KEYS + "/file", {"key": key_id, "secret": secret, "as": "profile"}))
    assert f"aws_secret_access_key = {secret}" in profile
    assert client.post(KEYS + "/file", {"key": key_id, "secret": "another", "as": "csv"}).status_code == 404
    assert client.get(KEYS + "/file").status_code == 405


def test_a_key_is_deleted_only_after_it_was_disabled(client):
    key_id, _ = create(client)
    page = client.post(f"{KEYS}/delete?key={key_id}", {"name": key_id}, follow=True)
    assert "is active. Disable it first" in text_of(page)
    assert f"{key_id} is disabled" in text_of(change(client, key_id, "disable"))
    assert not AccessKey.objects.get(key_id=key_id).is_active
    change(client, key_id, "enable")
    assert AccessKey.objects.get(key_id=key_id).is_active
    change(client, key_id, "disable")
    refused = client.post(f"{KEYS}/delete?key={key_id}", {"name": "something"})
    assert refused.status_code == 422
    assert "something" in text_of(refused)
    assert AccessKey.objects.filter(key_id=key_id).exists()
    assert "is deleted" in text_of(client.post(f"{KEYS}/delete?key={key_id}", {"name": key_id}, follow=True))
    assert not AccessKey.objects.filter(key_id=key_id).exists()


def test_a_key_is_rotated_with_an_overlap_and_back(client, served):
    old_id, _ = create(client)
    answer = client.post(f"{KEYS}/rotate?key={old_id}", {"overlap": DAY_MS})
    new_id, secret = shown(answer)
    assert f"{new_id} replaces {old_id}" in text_of(answer)
    old, new = AccessKey.objects.get(key_id=old_id), AccessKey.objects.get(key_id=new_id)
    now_ms = served.clock.now_ms()
    assert works(old, now_ms)
    assert not works(old, now_ms + DAY_MS)
    assert decrypt(new.secret_encrypted, new_id) == secret
    page = text_of(client.get(KEYS))
    assert "Ends in 24 h" in page
    assert "Cancel rotation" in page
    assert "goes on working" in text_of(change(client, old_id, "keep"))
    old.refresh_from_db()
    assert old.ends_at_ms is None


@pytest.mark.parametrize("overlap", ["", "-1", "17", "soon"])
def test_only_the_offered_overlaps_are_taken(client, overlap):
    old_id, _ = create(client)
    assert client.post(f"{KEYS}/rotate?key={old_id}", {"overlap": overlap}).status_code == 422
    assert AccessKey.objects.get(key_id=old_id).ends_at_ms is None


def test_another_teams_key_is_not_there(client, team):
    theirs = other_team()
    for do in ("disable", "enable", "keep"):
        assert change(client, theirs.access_key_id, do).status_code == 404
    for page in ("rotate", "delete"):
        assert client.get(f"{KEYS}/{page}?key={theirs.access_key_id}").status_code == 404
    sent = {"key": theirs.access_key_id, "secret": theirs.secret, "as": "csv"}
    assert client.post(KEYS + "/file", sent).status_code == 404
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


def test_the_list_says_where_from_and_what_for(client, team, served, django_assert_max_num_queries):
    AccessKey.objects.filter(pk=team.access_key.pk).update(
        last_used_at_ms=served.clock.now_ms() - 3_600_000, last_used_from="192.0.2.7", last_used_service="firehose"
    )
    for number in range(5):
        create(client, f"key {number}")
    with django_assert_max_num_queries(9):  # session, person, memberships, sidebar; two are the list's
        page = text_of(client.get(KEYS))
    assert "1 h ago" in page or "60 min ago" in page
    assert "firehose from" in page
    assert "192.0.2.7" in page
    assert "key 3" in text_of(client.get(KEYS, {"q": "key 3"}))
    assert "No key matches" in text_of(client.get(KEYS, {"q": "nothing"}))


def test_an_analyst_sees_no_keys(served):
    analyst = signed_in(other_team(role="analyst"))
    assert analyst.get("/t/second/keys").status_code == 403
    page = text_of(analyst.get("/t/second"))
    assert "/t/second/keys" not in page


def test_who_may_not_all_that_a_key_may_is_told_so_and_offered_no_key(client, team, served):
    off, old = create(client, "off")[0], create(client, "old")[0]
    change(client, off, "disable")
    client.post(f"{KEYS}/rotate?key={old}", {"overlap": DAY_MS})
    actions = sorted(GIVEN_BY_KEYS - {"stream:delete"})
    role = TeamRole.objects.create(team=team.team, name="Keys", actions=actions, created_at_ms=1)
    user = User.objects.create_user("kim@example.test", None)
    Membership.objects.create(team=team.team, user=user, role=OWN_ROLE, own_role=role)
    browser = Client()
    browser.force_login(user)
    reason = "An access key has permissions that you do not have: stream:delete."
    page = text_of(browser.get(KEYS))
    assert f"{reason} Whoever creates, rotates or enables a key needs all of them." in page
    assert 'name="name"' not in page
    assert 'value="enable"' not in page
    assert 'value="keep"' not in page
    assert "/keys/rotate" not in page
    assert 'value="disable"' in page  # takes away, gives nothing
    for path, given in (("", {"name": "x"}), (f"/rotate?key={ACCESS_KEY_ID}", {"overlap": DAY_MS})):
        answer = browser.post(KEYS + path, given)
        assert answer.status_code == 422
        assert reason in text_of(answer)
    assert reason in text_of(browser.get(f"{KEYS}/rotate?key={ACCESS_KEY_ID}", follow=True))
    for key, do in ((off, "enable"), (old, "keep")):
        assert reason in text_of(change(browser, key, do))
    assert not AccessKey.objects.get(key_id=off).is_active
    assert AccessKey.objects.get(key_id=old).ends_at_ms is not None
