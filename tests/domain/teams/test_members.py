"""apps/teams/members.py: who may change whom, and what always holds."""

import orjson
import pytest

from apps.access.models import AuditEntry
from apps.accounts import keys, tokens
from apps.accounts.models import AccessKey, ApiToken, Invitation, Membership
from apps.teams import invitations, members
from apps.teams.authority import Gone, NotAllowed, UnknownRole, choice, choices
from tests.domain.teams.people import NOW_MS, by, join, own, own_choice, role, trail
from tests.support.teams import make_team


def role_of(member):
    return Membership.objects.get(pk=member.pk).role


def test_a_role_is_changed_and_both_states_are_written(owner, viewer):
    members.change_role(by(owner), viewer, role("developer"))
    assert role_of(viewer) == "developer"
    entry = AuditEntry.objects.get()
    assert (entry.operation, entry.resource, entry.service) == (
        "ChangeMemberRole",
        "member/vic@example.test",
        "console",
    )
    assert orjson.loads(entry.before) == {"member": "vic@example.test", "role": "Viewer"}
    assert orjson.loads(entry.after)["role"] == "Developer"


def test_the_same_role_again_changes_nothing(owner, viewer):
    members.change_role(by(owner), viewer, role("viewer"))
    assert trail() == []


def test_an_admin_makes_no_owner_of_anybody(admin, viewer):
    for member in (viewer, admin):
        with pytest.raises(NotAllowed, match="team:delete"):
            members.change_role(by(admin), member, role("owner"))
    assert (role_of(viewer), role_of(admin), trail()) == ("viewer", "admin", [])


def test_an_admin_neither_changes_nor_removes_an_owner(admin, owner):
    join(owner.team, "second", "owner")
    with pytest.raises(NotAllowed, match="team:delete"):
        members.change_role(by(admin), owner, role("viewer"))
    with pytest.raises(NotAllowed, match="team:delete"):
        members.remove(by(admin), owner)
    assert role_of(owner) == "owner"


def test_who_may_not_change_members_changes_nobody(viewer, admin):
    for member in (viewer, admin):
        with pytest.raises(NotAllowed, match="member:write"):
            members.change_role(by(viewer), member, role("analyst"))
    with pytest.raises(NotAllowed, match="member:write"):
        members.remove(by(viewer), admin)


def test_a_token_gives_no_more_than_its_scopes(owner, viewer):
    narrow = by(owner, actions=frozenset({"member:write", "stream:read"}))
    with pytest.raises(NotAllowed):
        members.change_role(narrow, viewer, role("viewer"))
    with pytest.raises(NotAllowed):
        members.remove(narrow, viewer)


def test_rights_are_those_of_now_not_those_of_the_page(owner, admin, viewer):
    asked = by(admin)
    members.change_role(by(owner), admin, role("viewer"))
    with pytest.raises(NotAllowed, match="member:write"):
        members.change_role(asked, viewer, role("developer"))


def test_an_own_role_is_given_only_by_who_has_all_of_it(owner, admin, viewer):
    narrow = own(owner.team, "Inviters", "member:read", "member:write")
    inviter = join(owner.team, "ivy", "", narrow)
    members.change_role(
        by(inviter), join(owner.team, "nil", "", own(owner.team, "Nil", "member:read")), own_choice(narrow)
    )
    with pytest.raises(NotAllowed, match="alarm:read"):
        members.change_role(by(inviter), viewer, own_choice(narrow))
    with pytest.raises(NotAllowed):
        members.change_role(by(inviter), inviter, role("admin"))


def test_another_teams_role_and_member_are_not_there(owner, viewer):
    other = make_team("999999999999", "second", "AKIDOTHER", email="other@example.test")
    theirs = own(other.team, "Theirs", "stream:read")
    with pytest.raises(UnknownRole):
        members.change_role(by(owner), viewer, own_choice(theirs))
    with pytest.raises(UnknownRole):
        choice(owner.team, f"own:{theirs.pk}")
    with pytest.raises(Gone):
        members.change_role(by(owner), Membership.objects.get(team=other.team), role("viewer"))
    with pytest.raises(Gone):
        members.remove(by(owner), Membership.objects.get(team=other.team))


@pytest.mark.parametrize("key", ["", "own", "own:", "own:x", "own:-1", "own:²", "own:" + "9" * 30, "root", "OWNER"])
def test_no_role_of_such_a_key(owner, key):
    with pytest.raises(UnknownRole):
        choice(owner.team, key)


def test_roles_to_choose_from(owner):
    made = own(owner.team, "Auditors", "audit:read")
    assert [one.key for one in choices(owner.team)][-2:] == ["viewer", f"own:{made.pk}"]
    assert choice(owner.team, f"own:{made.pk}").label == "Auditors"


def test_the_last_owner_stays(owner, admin):
    with pytest.raises(members.LastOwner):
        members.change_role(by(owner), owner, role("admin"))
    with pytest.raises(members.LastOwner):
        members.leave(by(owner))
    asleep = join(owner.team, "asleep", "owner")
    asleep.user.is_active = False
    asleep.user.save()
    with pytest.raises(members.LastOwner):
        members.leave(by(owner))


def test_one_of_two_owners_may_go(owner, admin):
    second = join(owner.team, "second", "owner")
    members.leave(by(owner))
    with pytest.raises(members.LastOwner):
        members.leave(by(second))
    assert trail() == [("LeaveTeam", "member/owner@example.test")]


def test_removing_ends_tokens_and_invitations_and_keeps_keys(owner, admin):
    tokens.create(admin, "ci", ["stream:read"], None, NOW_MS)
    keys.create(owner.team, admin.user, "orders", NOW_MS)
    invitation, _ = invitations.invite(by(admin), "friend@example.test", role("admin"))
    ending = members.ending(admin, NOW_MS)
    assert (ending.tokens, ending.invited, ending.keys) == (["ci"], ["friend@example.test"], ["orders"])
    members.remove(by(owner), admin)
    assert not ApiToken.objects.exists()
    assert AccessKey.objects.filter(name="orders", is_active=True).exists()
    assert Invitation.objects.get(pk=invitation.pk).revoked_at_ms == NOW_MS
    assert trail()[-2:] == [
        ("RevokeInvitation", "invitation/friend@example.test"),
        ("RemoveMember", "member/ada@example.test"),
    ]


def test_who_is_lowered_loses_the_invitations_beyond(owner, admin):
    high, _ = invitations.invite(by(admin), "high@example.test", role("admin"))
    members.change_role(by(owner), admin, role("viewer"))
    assert invitations.status(Invitation.objects.get(pk=high.pk), NOW_MS) == invitations.REVOKED


def test_nobody_removes_themselves(owner, admin):
    with pytest.raises(members.IsSelf):
        members.remove(by(admin), admin)
    members.leave(by(admin))
    with pytest.raises(NotAllowed, match="no longer a member"):
        members.leave(by(admin))


def test_ownership_is_transferred(owner, admin):
    with pytest.raises(NotAllowed):
        members.transfer(by(admin), admin)
    with pytest.raises(members.IsSelf):
        members.transfer(by(owner), owner)
    members.transfer(by(owner), admin)
    assert (role_of(owner), role_of(admin)) == ("admin", "owner")
    assert trail() == [("TransferTeam", "team/first")]
