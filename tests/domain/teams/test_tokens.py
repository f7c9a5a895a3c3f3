"""API tokens: whose, with which scopes, and who ends them."""

import json

import pytest

from apps.access.models import AuditEntry
from apps.accounts import tokens as rows
from apps.accounts.models import ApiToken
from apps.teams import tokens
from apps.teams.authority import Gone, NotAllowed
from tests.domain.teams.people import NOW_MS, by, join, trail
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db


def test_one_makes_a_token_that_does_no_more_than_oneself(team):
    analyst = join(team.team, "ana", "analyst")
    made, text = tokens.create(by(analyst), "ci", ["stream:read", "record:read"], None)
    assert text.startswith("tgt_")
    assert made.actions == {"stream:read", "record:read"}
    with pytest.raises(NotAllowed, match="stream:delete"):
        tokens.create(by(analyst), "ci", ["stream:read", "stream:delete"], None)
    entry = AuditEntry.objects.get(operation="CreateToken")
    assert json.loads(entry.after)["Scopes"] == ["record:read", "stream:read"]
    assert text not in entry.after


def test_a_token_makes_no_token_with_more_than_its_own_scopes(owner):
    narrow = by(owner, actions=frozenset({"token:write", "stream:read"}))
    with pytest.raises(NotAllowed):
        tokens.create(narrow, "x", ["stream:write"], None)


def test_who_may_have_no_tokens_makes_none(viewer):
    with pytest.raises(NotAllowed):
        tokens.create(by(viewer), "x", ["stream:read"], None)


def test_a_token_that_would_have_expired_is_not_made(owner):
    with pytest.raises(tokens.InThePast):
        tokens.create(by(owner), "x", ["stream:read"], NOW_MS)


def test_there_is_a_limit_for_each_member(owner, monkeypatch):
    monkeypatch.setattr(rows, "TOKENS_PER_MEMBER_MAX", 1)
    tokens.create(by(owner), "x", ["stream:read"], None)
    with pytest.raises(tokens.TooManyTokens, match="1 tokens"):
        tokens.create(by(owner), "x", ["stream:read"], None)


def test_own_tokens_are_seen_and_ended_by_oneself_and_all_of_them_by_an_admin(team, admin):
    dev, other = join(team.team, "dev", "developer"), join(team.team, "oli", "developer")
    mine, _ = tokens.create(by(dev), "mine", ["stream:read"], None)
    theirs, _ = tokens.create(by(other, NOW_MS + 1), "theirs", ["stream:read"], None)
    assert [token.name for token in tokens.visible(by(dev))] == ["mine"]
    assert [token.name for token in tokens.visible(by(admin))] == ["theirs", "mine"]
    with pytest.raises(Gone):
        tokens.revoke(by(dev), theirs.public_id)
    tokens.revoke(by(dev), mine.public_id)
    tokens.revoke(by(admin), theirs.public_id)
    assert not ApiToken.objects.exists()
    assert trail()[-2:] == [("RevokeToken", f"token/{mine.public_id}"), ("RevokeToken", f"token/{theirs.public_id}")]
    assert AuditEntry.objects.latest("id").person == admin.user.email


def test_another_teams_token_is_not_there(owner):
    other = make_team(account_id="999988887777", slug="second", access_key_id="AKIAOTHER")
    stranger = join(other.team, "eve", "owner")
    theirs, _ = tokens.create(by(stranger), "x", ["stream:read"], None)
    with pytest.raises(Gone):
        tokens.revoke(by(owner), theirs.public_id)


def test_a_viewer_manages_nothing(viewer, owner):
    made, _ = tokens.create(by(owner), "x", ["stream:read"], None)
    with pytest.raises(NotAllowed):
        tokens.revoke(by(viewer), made.public_id)
