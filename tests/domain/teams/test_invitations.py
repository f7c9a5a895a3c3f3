"""apps/teams/invitations.py: one use, seven days, the invited person."""

import pytest

from apps.accounts.models import Invitation, Membership, User
from apps.base.units import DAY_MS
from apps.teams import invitations, members
from apps.teams.authority import Gone, NotAllowed, UnknownRole
from tests.domain.teams.people import NOW_MS, actor_of, by, join, own, own_choice, role, trail
from tests.support.teams import make_team

ADDRESS = "noor@example.test"


@pytest.fixture
def noor(db):
    return User.objects.create_user(ADDRESS, None, name="Noor")


def invited(admin, email=ADDRESS, wanted="viewer"):
    return invitations.invite(by(admin), email, role(wanted))


def test_an_existing_person_joins(admin, noor):
    invitation, token = invited(admin, "  Noor@Example.Test ")
    assert token not in str(Invitation.objects.values().get(pk=invitation.pk))
    joined = invitations.accept(actor_of(noor, None), token, noor)
    assert (joined.role, joined.team) == ("viewer", admin.team)
    assert trail() == [("InviteMember", f"invitation/{ADDRESS}"), ("AcceptInvitation", f"member/{ADDRESS}")]
    with pytest.raises(invitations.Closed, match="accepted"):
        invitations.accept(actor_of(noor, None), token, noor)


def test_a_new_person_makes_an_account(admin):
    _, token = invited(admin)
    joined = invitations.accept_new(actor_of(None, None), token, "Noor Haddad", "correct horse battery")
    assert joined.user.check_password("correct horse battery")
    assert (joined.user.email, joined.user.name, joined.user.is_staff) == (ADDRESS, "Noor Haddad", False)


def test_no_second_account_for_an_address(admin, noor):
    _, token = invited(admin)
    with pytest.raises(invitations.PersonExists):
        invitations.accept_new(actor_of(None, None), token, "Mallory", "correct horse battery")
    assert not Membership.objects.filter(user=noor).exists()


def test_it_is_for_the_invited_address(admin, viewer):
    _, token = invited(admin)
    with pytest.raises(invitations.WrongPerson, match=ADDRESS):
        invitations.accept(actor_of(viewer.user, None), token, viewer.user)
    assert invitations.status(Invitation.objects.get(), NOW_MS) == invitations.OPEN


def test_after_seven_days_it_is_closed(admin, noor):
    _, token = invited(admin)
    with pytest.raises(invitations.Closed, match="expired"):
        invitations.accept(actor_of(noor, None, NOW_MS + 7 * DAY_MS), token, noor)
    invitations.accept(actor_of(noor, None, NOW_MS + 7 * DAY_MS - 1), token, noor)


def test_a_link_that_was_sent_again_replaces_the_old_one(admin, noor):
    invitation, old = invited(admin)
    again, new = invitations.resend(by(admin, NOW_MS + 8 * DAY_MS), invitation)
    assert again.expires_at_ms == NOW_MS + 15 * DAY_MS
    with pytest.raises(Gone):
        invitations.accept(actor_of(noor, None), old, noor)
    invitations.accept(actor_of(noor, None, NOW_MS + 14 * DAY_MS), new, noor)
    with pytest.raises(invitations.Closed):
        invitations.resend(by(admin), invitation)


def test_a_revoked_one_is_closed_for_good(admin, noor):
    invitation, token = invited(admin)
    invitations.revoke(by(admin), invitation)
    with pytest.raises(invitations.Closed, match="revoked"):
        invitations.accept(actor_of(noor, None), token, noor)
    for change in (invitations.revoke, invitations.resend):
        with pytest.raises(invitations.Closed):
            change(by(admin), invitation)


def test_no_second_one_for_the_same_address(admin, owner):
    first, _ = invited(admin)
    with pytest.raises(invitations.AlreadyInvited):
        invited(admin, ADDRESS.upper())
    with pytest.raises(invitations.AlreadyMember):
        invited(admin, owner.user.email)
    invitations.revoke(by(admin), first)
    invited(admin)


@pytest.mark.parametrize(
    "email", ["", "noor", "a@b", "<script>@x.test", f"{'a' * 260}@example.test", "a@x.test\nBcc: b@x.test"]
)
def test_what_is_no_address(admin, email):
    with pytest.raises(invitations.BadAddress):
        invited(admin, email)


def test_nobody_invites_beyond_their_own_role(admin, viewer, owner):
    with pytest.raises(NotAllowed, match="team:delete"):
        invited(admin, wanted="owner")
    with pytest.raises(NotAllowed, match="member:write"):
        invited(viewer)
    high, _ = invitations.invite(by(owner), "boss@example.test", role("owner"))
    with pytest.raises(NotAllowed, match="team:delete"):
        invitations.resend(by(admin), high)
    invitations.revoke(by(admin), high)


def test_another_teams_invitation_and_role_are_not_there(owner, admin):
    other = make_team("999999999999", "second", "AKIDOTHER", email="other@example.test")
    theirs = Membership.objects.get(team=other.team)
    foreign, _ = invitations.invite(by(theirs), ADDRESS, role("viewer"))
    for change in (invitations.revoke, invitations.resend):
        with pytest.raises(Gone):
            change(by(owner), foreign)
    with pytest.raises(UnknownRole):
        invitations.invite(by(owner), ADDRESS, own_choice(own(other.team, "Theirs", "stream:read")))


def test_so_many_and_no_more(admin, monkeypatch):
    monkeypatch.setattr(invitations, "OPEN_PER_TEAM_MAX", 1)
    invited(admin)
    with pytest.raises(invitations.TooManyInvitations):
        invited(admin, "second@example.test")


def test_an_own_role_is_what_one_joins_with(owner, noor):
    auditors = own(owner.team, "Auditors", "audit:read")
    _, token = invitations.invite(by(owner), ADDRESS, own_choice(auditors))
    joined = invitations.accept(actor_of(noor, None), token, noor)
    assert (joined.role_label, joined.actions) == ("Auditors", {"audit:read"})


def test_who_is_in_the_team_by_another_way_is_told_so(owner, noor):
    _, token = invited(owner)
    Membership.objects.create(team=owner.team, user=noor, role="viewer")
    with pytest.raises(invitations.AlreadyMember):
        invitations.accept(actor_of(noor, None), token, noor)


def test_a_token_that_is_none(noor):
    with pytest.raises(Gone):
        invitations.accept(actor_of(noor, None), "x" * 500, noor)


def test_the_sender_is_whoever_sent_it_last(owner, admin):
    invitation, _ = invited(admin)
    invitations.resend(by(owner), invitation)
    members.remove(by(owner), admin)
    assert invitations.status(Invitation.objects.get(), NOW_MS) == invitations.OPEN
    assert join(owner.team, "x", "viewer").team_id == invitation.team_id
