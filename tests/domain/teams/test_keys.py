"""Access keys: rotation with an overlap, and what each change leaves in the trail."""

import json

import pytest

from apps.access.models import AuditEntry, Identity
from apps.accounts import keys as rows
from apps.accounts.models import AccessKey
from apps.accounts.permissions import GIVEN_BY_KEYS, actions_of
from apps.accounts.roles import Role
from apps.accounts.secrets import decrypt
from apps.base.units import DAY_MS, HOUR_MS
from apps.teams import keys
from apps.teams.authority import Gone, NotAllowed
from tests.domain.teams.people import NOW_MS, by, join, own, trail
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db


def made(owner, name="orders"):
    return keys.create(by(owner), name)[0]


def test_a_rotated_key_works_on_for_as_long_as_was_said(owner):
    old = made(owner)
    new, secret = keys.rotate(by(owner), old.key_id, 24 * HOUR_MS)
    old.refresh_from_db()
    assert (new.name, new.identity, new.team) == (old.name, None, old.team)
    assert decrypt(new.secret_encrypted, new.key_id) == secret
    assert old.replaced_by == new
    assert rows.works(old, NOW_MS + 24 * HOUR_MS - 1)
    assert not rows.works(old, NOW_MS + 24 * HOUR_MS)
    assert rows.works(new, NOW_MS + 100 * DAY_MS)


def test_no_overlap_ends_it_at_once(owner):
    old = made(owner)
    keys.rotate(by(owner), old.key_id, 0)
    old.refresh_from_db()
    assert not rows.works(old, NOW_MS)


@pytest.mark.parametrize("overlap_ms", [-1, 30 * DAY_MS + 1])
def test_the_overlap_has_limits(owner, overlap_ms):
    with pytest.raises(keys.CannotRotate, match="0 to 30 days"):
        keys.rotate(by(owner), made(owner).key_id, overlap_ms)
    assert AccessKey.objects.filter(replaced_by__isnull=False).count() == 0


def test_what_is_being_replaced_or_does_not_work_is_not_replaced(owner):
    old = made(owner)
    keys.rotate(by(owner), old.key_id, DAY_MS)
    with pytest.raises(keys.CannotRotate, match="being replaced already"):
        keys.rotate(by(owner), old.key_id, DAY_MS)
    off = made(owner)
    keys.set_active(by(owner), off.key_id, active=False)
    with pytest.raises(keys.CannotRotate, match="does not work"):
        keys.rotate(by(owner), off.key_id, DAY_MS)


def test_a_rotation_can_be_taken_back_even_after_its_end(owner):
    old = made(owner)
    keys.rotate(by(owner), old.key_id, HOUR_MS)
    keys.cancel_rotation(by(owner, NOW_MS + 2 * HOUR_MS), old.key_id)
    old.refresh_from_db()
    assert rows.works(old, NOW_MS + 90 * DAY_MS)
    assert old.replaced_by is None
    with pytest.raises(keys.NotRotating):
        keys.cancel_rotation(by(owner), old.key_id)


def test_only_what_does_not_work_is_deleted(owner):
    key = made(owner)
    with pytest.raises(keys.StillActive, match="Disable it first"):
        keys.delete(by(owner), key.key_id)
    keys.rotate(by(owner), key.key_id, HOUR_MS)
    keys.delete(by(owner, NOW_MS + HOUR_MS), key.key_id)
    assert not AccessKey.objects.filter(pk=key.pk).exists()


def test_each_change_is_in_the_trail_with_what_changed(owner):
    key = made(owner)
    keys.set_active(by(owner), key.key_id, active=False)
    keys.set_active(by(owner), key.key_id, active=False)
    keys.set_active(by(owner), key.key_id, active=True)
    new, _ = keys.rotate(by(owner), key.key_id, 0)
    keys.delete(by(owner), key.key_id)
    old, name = f"access-key/{key.key_id}", f"access-key/{new.key_id}"
    assert trail() == [
        ("CreateAccessKey", old), ("UpdateAccessKey", old), ("UpdateAccessKey", old), ("RotateAccessKey", old),
        ("CreateAccessKey", name), ("DeleteAccessKey", old),
    ]  # fmt: skip
    rotated = AuditEntry.objects.get(operation="RotateAccessKey")
    before, after = json.loads(rotated.before), json.loads(rotated.after)
    assert {k for k in before if before[k] != after[k]} == {"Status", "EndsAt", "ReplacedBy"}
    assert (after["Status"], after["ReplacedBy"]) == ("Ended", new.key_id)


def test_no_secret_is_in_the_trail(owner):
    _, secret = keys.create(by(owner), "x")
    assert not AuditEntry.objects.filter(after__contains=secret).exists()


def test_who_may_not_changes_nothing(owner, viewer):
    key = made(owner)
    for change in (
        lambda: keys.create(by(viewer), "x"),
        lambda: keys.rotate(by(viewer), key.key_id, 0),
        lambda: keys.cancel_rotation(by(viewer), key.key_id),
        lambda: keys.set_active(by(viewer), key.key_id, active=False),
        lambda: keys.delete(by(viewer), key.key_id),
    ):
        with pytest.raises(NotAllowed):
            change()
    assert trail() == [("CreateAccessKey", f"access-key/{key.key_id}")]


def test_another_teams_key_is_not_there(owner):
    other = make_team(account_id="999988887777", slug="second", access_key_id="AKIAOTHER")
    for change in (
        lambda: keys.rotate(by(owner), other.access_key_id, 0),
        lambda: keys.set_active(by(owner), other.access_key_id, active=False),
        lambda: keys.delete(by(owner), other.access_key_id),
    ):
        with pytest.raises(Gone):
            change()


def test_a_users_key_keeps_its_user_and_its_limit(owner, team):
    user = Identity.objects.create(
        team=team.team, kind="user", name="ann", name_key="ann", unique_id="AIDA1", created_at_ms=1
    )
    old, _ = rows.create(team.team, None, "ann", NOW_MS, identity=user)
    new, _ = keys.rotate(by(owner), old.key_id, HOUR_MS)
    assert new.identity == user
    with pytest.raises(keys.TooManyKeys, match="at most 2 keys"):
        keys.rotate(by(owner), new.key_id, HOUR_MS)


def test_who_makes_a_key_holds_all_that_it_gives(team):
    member = join(team.team, "kim", "", own(team.team, "Keys", *GIVEN_BY_KEYS))
    assert keys.create(by(member), "x")[0].created_by == member.user


@pytest.mark.parametrize("missing", ["stream:delete", "record:read"])
def test_nobody_gets_by_a_key_what_they_were_not_given(owner, team, missing):
    old = made(owner)
    keys.rotate(by(owner), old.key_id, DAY_MS)
    off = made(owner)
    keys.set_active(by(owner), off.key_id, active=False)
    before = AccessKey.objects.count()
    member = join(team.team, "kim", "", own(team.team, "Keys", *(GIVEN_BY_KEYS - {missing})))
    narrow = by(owner, actions=GIVEN_BY_KEYS - {missing})  # as with a token's scopes
    for who in (by(member), narrow):
        for change in (
            lambda who=who: keys.create(who, "x"),
            lambda who=who: keys.rotate(who, off.key_id, DAY_MS),
            lambda who=who: keys.cancel_rotation(who, old.key_id),
            lambda who=who: keys.set_active(who, off.key_id, active=True),
        ):
            with pytest.raises(NotAllowed, match=f"that you do not have: {missing}"):
                change()
    assert AccessKey.objects.count() == before
    assert not AccessKey.objects.get(key_id=off.key_id).is_active
    keys.set_active(by(member), old.key_id, active=False)
    keys.delete(by(member), off.key_id)


def test_what_a_key_gives_is_what_three_of_the_roles_hold():
    for role in (Role.OWNER, Role.ADMIN, Role.DEVELOPER):
        assert actions_of(role) >= GIVEN_BY_KEYS
    assert {action.partition(":")[0] for action in GIVEN_BY_KEYS} == {"stream", "delivery", "record", "alarm", "key"}
    assert "stream:faults" not in GIVEN_BY_KEYS
