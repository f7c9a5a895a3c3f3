"""apps/teams/own_roles.py and access_requests.py."""

import pytest
from django.db import transaction
from django.db.models import ProtectedError

from apps.accounts.models import Invitation, Membership, TeamRole
from apps.accounts.permissions import ACTIONS
from apps.base.units import DAY_MS
from apps.teams import access_requests, invitations, members, own_roles
from apps.teams.authority import Gone, NotAllowed, choices
from tests.domain.teams.people import NOW_MS, by, join, own, own_choice, role, trail
from tests.support.teams import make_team


def test_a_role_is_made_changed_and_deleted(admin):
    made = own_roles.create(by(admin), " Night   shift ", "Watches", ["alarm:read", "stream:read"])
    assert (made.name, made.actions) == ("Night shift", ["alarm:read", "stream:read"])
    member = join(admin.team, "nina", "", made)
    own_roles.update(by(admin), made, "Nights", "", ["alarm:read"])
    assert Membership.objects.get(pk=member.pk).actions == {"alarm:read"}
    with pytest.raises(own_roles.RoleInUse, match="nina"):
        own_roles.delete(by(admin), made)
    members.change_role(by(admin), member, role("viewer"))
    own_roles.delete(by(admin), made)
    assert [operation for operation, _ in trail()] == ["CreateRole", "UpdateRole", "ChangeMemberRole", "DeleteRole"]


def test_an_admin_makes_no_role_above_their_own(admin, owner):
    with pytest.raises(NotAllowed, match="team:delete"):
        own_roles.create(by(admin), "Kings", "", ACTIONS)
    kings = own_roles.create(by(owner), "Kings", "", ["team:delete", "stream:read"])
    with pytest.raises(NotAllowed):
        own_roles.update(by(admin), kings, "Kings", "", ["stream:read"])
    with pytest.raises(NotAllowed):
        own_roles.delete(by(admin), kings)


def test_nobody_widens_the_role_they_hold(owner):
    made = own(owner.team, "Inviters", "member:write", "member:read")
    ivy = join(owner.team, "ivy", "", made)
    with pytest.raises(NotAllowed, match="key:write"):
        own_roles.update(by(ivy), made, "Inviters", "", ["member:write", "member:read", "key:write"])
    assert TeamRole.objects.get().actions == ["member:write", "member:read"]


def test_a_narrower_role_ends_invitations_beyond_it(owner):
    made = own(owner.team, "Inviters", "member:write", "member:read")
    ivy = join(owner.team, "ivy", "", made)
    invitations.invite(by(ivy), "friend@example.test", own_choice(made))
    own_roles.update(by(owner), made, "Inviters", "", ["member:read"])
    assert Invitation.objects.get().revoked_at_ms == NOW_MS


@pytest.mark.parametrize(
    ("name", "actions", "error"),
    [
        ("", ["stream:read"], own_roles.BadRole),
        ("x" * 41, ["stream:read"], own_roles.BadRole),
        ("x", [], own_roles.NoActions),
        ("x", ["stream:fly"], own_roles.BadRole),
        ("admin", ["stream:read"], own_roles.NameTaken),
        ("Own", ["stream:read"], own_roles.NameTaken),
        ("taken", ["stream:read"], own_roles.NameTaken),
    ],
)
def test_what_is_no_role(owner, name, actions, error):
    own(owner.team, "Taken", "stream:read")
    with pytest.raises(error):
        own_roles.create(by(owner), name, "", actions)


def test_another_teams_role_is_not_there(owner):
    other = make_team("999999999999", "second", "AKIDOTHER", email="other@example.test")
    theirs = own(other.team, "Theirs", "stream:read")
    with pytest.raises(Gone):
        own_roles.update(by(owner), theirs, "Mine", "", ["stream:read"])
    with pytest.raises(Gone):
        own_roles.delete(by(owner), theirs)
    own_roles.create(by(owner), "Theirs", "", ["stream:read"])


def test_an_open_invitation_holds_its_role_and_a_closed_one_does_not(owner):
    made = own(owner.team, "Auditors", "audit:read")
    invitations.invite(by(owner), "a@example.test", own_choice(made))
    with pytest.raises(own_roles.RoleInUse, match="invited"):
        own_roles.delete(by(owner), made)
    with pytest.raises(ProtectedError), transaction.atomic():
        made.delete()
    own_roles.delete(by(owner, NOW_MS + 8 * DAY_MS), made)
    assert Invitation.objects.get().role == "viewer"


def test_access_is_asked_for_and_granted(owner, viewer):
    request = access_requests.ask(by(viewer), "record:read", " I look after orders ")
    other = access_requests.ask(by(viewer), "record:write", "")
    with pytest.raises(access_requests.AlreadyAsked):
        access_requests.ask(by(viewer), "record:read", "")
    offers = access_requests.offers(by(owner), request, choices(owner.team))
    assert [offer.role.key for offer in offers] == ["analyst", "developer", "admin", "owner"]
    assert not any(offer.loses for offer in offers)
    asked = access_requests.ask(by(join(owner.team, "ana", "analyst")), "delivery:write", "")
    first = access_requests.offers(by(owner), asked, choices(owner.team))[0]
    assert (first.role.key, first.loses) == ("developer", ["billing:read"])
    access_requests.refuse(by(owner), asked)
    with pytest.raises(access_requests.NotEnough):
        access_requests.grant(by(owner), request, role("billing"))
    access_requests.grant(by(owner), request, role("developer"))
    assert Membership.objects.get(pk=viewer.pk).role == "developer"
    assert not access_requests.open_of(owner.team).exists()
    other.refresh_from_db()
    assert other.granted


def test_access_is_refused_and_may_be_asked_for_again(owner, viewer, admin):
    request = access_requests.ask(by(viewer), "record:read", "")
    with pytest.raises(NotAllowed):
        access_requests.refuse(by(viewer), request)
    access_requests.refuse(by(admin), request)
    with pytest.raises(Gone):
        access_requests.refuse(by(admin), request)
    access_requests.ask(by(viewer), "record:read", "")
    assert [member.user.email for member in access_requests.givers(owner.team)] == [admin.user.email, owner.user.email]


def test_what_cannot_be_asked_for(admin, viewer):
    for action in ("stream:read", "stream:fly"):
        with pytest.raises(access_requests.NotLacking):
            access_requests.ask(by(viewer), action, "")
    with pytest.raises(access_requests.BadReason):
        access_requests.ask(by(viewer), "record:read", "x" * 501)
    asked = access_requests.ask(by(admin), "team:delete", "")
    with pytest.raises(NotAllowed):
        access_requests.grant(by(admin), asked, role("owner"))
    assert access_requests.offers(by(admin), asked, choices(admin.team)) == []


def test_another_teams_request_is_not_there(owner, viewer):
    other = make_team("999999999999", "second", "AKIDOTHER", email="other@example.test")
    request = access_requests.ask(by(viewer), "record:read", "")
    theirs = Membership.objects.get(team=other.team)
    for change in (access_requests.refuse, lambda who, what: access_requests.grant(who, what, role("analyst"))):
        with pytest.raises(Gone):
            change(by(theirs), request)
