"""API tokens: made with scopes of one's own, shown once, used, revoked."""

import re

import pytest
from django.test import Client

from apps.accounts.models import ApiToken
from apps.accounts.permissions import ACTIONS, actions_of
from apps.base.units import DAY_MS
from tests.console.conftest import make_stream, other_team, signed_in, text_of

pytestmark = pytest.mark.usefixtures("served")

TOKENS = "/t/first/tokens"


def create(client, **fields):
    page = text_of(client.post(TOKENS + "/create", {"name": "ci", "preset": "read", "expiry": "90", **fields}))
    found = re.search(r'id="new-token">([^<]+)<', page)
    assert found, page
    return found[1]


def ask(token, path="/api/v1/streams"):
    return Client().get(path, headers={"Authorization": f"Bearer {token}"})


def test_a_token_is_shown_once_and_works_until_it_is_revoked(client, team, served):
    make_stream(served, team, "orders")
    token = create(client)
    assert [one["name"] for one in ask(token).json()["items"]] == ["orders"]
    listed = text_of(client.get(TOKENS))
    assert token not in listed
    assert token[:10] in listed
    row = ApiToken.objects.get()
    refused = client.post(f"{TOKENS}/{row.public_id}/revoke", {"name": "other"})
    assert refused.status_code == 422
    assert ask(token).status_code == 200
    assert "is revoked" in text_of(client.post(f"{TOKENS}/{row.public_id}/revoke", {"name": "ci"}, follow=True))
    assert ask(token).status_code == 401


def test_the_example_holds_address_and_token(client):
    page = text_of(client.post(TOKENS + "/create", {"name": "ci", "preset": "own", "expiry": "7"}))
    token = re.search(r'id="new-token">([^<]+)<', page)[1]
    block = re.sub(r"<[^>]+>", "", re.search(r'id="new-curl"[^>]*>(.*?)</pre>', page, re.DOTALL)[1])
    expected = f"curl http://localhost:4567/api/v1/streams \\\n  -H &#x27;Authorization: Bearer {token}&#x27;"
    assert block.replace("&quot;", "&#x27;") == expected


@pytest.mark.parametrize(
    ("fields", "scopes"),
    [
        ({"preset": "read"}, {action for action in ACTIONS if action.endswith(":read")}),
        ({"preset": "own"}, set(ACTIONS)),
        ({"preset": "chosen", "scopes": ["stream:read", "record:write"]}, {"stream:read", "record:write"}),
        ({"preset": "", "scopes": ["stream:read"]}, {"stream:read"}),
    ],
)
def test_presets(client, fields, scopes):
    create(client, **fields)
    assert set(ApiToken.objects.get().scopes) == scopes


def test_expiry(client, served):
    create(client, expiry="7")
    row = ApiToken.objects.get()
    assert int(row.expiry.timestamp() * 1_000) // 1_000 == (served.clock.now_ms() + 7 * DAY_MS) // 1_000
    create(client, expiry="never")
    assert ApiToken.objects.filter(expiry=None).count() == 1


@pytest.mark.parametrize(
    "fields",
    [{"name": ""}, {"expiry": "1000"}, {"preset": "chosen"}, {"preset": "chosen", "scopes": ["root:all"]},
     {"preset": "all"}],
)  # fmt: skip
def test_what_is_wrong_is_said_and_kept(client, fields):
    answer = client.post(TOKENS + "/create", {"name": "kept", "preset": "read", "expiry": "90", **fields})
    assert answer.status_code == 422
    assert 'class="err"' in text_of(answer)
    if "name" not in fields:
        assert 'value="kept"' in text_of(answer)
    assert not ApiToken.objects.exists()


def test_nobody_gives_a_token_more_than_they_have(served):
    analyst = signed_in(other_team(role="analyst"))
    address = "/t/second/tokens/create"
    sent = {"name": "x", "preset": "chosen", "scopes": ["stream:read", "stream:delete"], "expiry": "7"}
    answer = analyst.post(address, sent)
    assert answer.status_code == 422
    assert "stream:delete" in text_of(answer)
    analyst.post(address, {"name": "x", "preset": "own", "expiry": "7"})
    assert set(ApiToken.objects.get().scopes) == actions_of("analyst")


def test_another_teams_token_is_not_there(client, served):
    stranger = signed_in(other_team())
    stranger.post("/t/second/tokens/create", {"name": "theirs", "preset": "read", "expiry": "7"})
    row = ApiToken.objects.get()
    assert client.get(f"{TOKENS}/{row.public_id}/revoke").status_code == 404
    assert client.post(f"{TOKENS}/{row.public_id}/revoke", {"name": "theirs"}).status_code == 404
    assert "theirs" not in text_of(client.get(TOKENS))


def test_a_list_of_many_takes_few_queries(client, django_assert_max_num_queries):
    for number in range(5):
        create(client, name=f"token {number}")
    with django_assert_max_num_queries(9):
        assert "5 tokens" in text_of(client.get(TOKENS))
