"""Two people at the same moment, each on a database connection of its own."""

import threading

import pytest
from django.db import close_old_connections, connections

from apps.accounts.models import Membership, User
from apps.teams import access_requests, invitations, members
from apps.teams.authority import Refused
from tests.domain.teams.people import actor_of, by, join, role

pytestmark = pytest.mark.django_db(transaction=True)

WITHIN_S = 120


def at_once(*works):
    """Run all at the same moment; the names of the rules that some ran into."""
    gate, refused, errors = threading.Barrier(len(works)), [], []

    def run(work):
        close_old_connections()
        gate.wait(WITHIN_S)
        try:
            work()
        except Refused as error:
            refused.append(error.code)
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WITHIN_S)
    assert not errors, errors
    return refused


@pytest.fixture
def owner(transactional_db):
    from tests.support.teams import make_team

    return Membership.objects.select_related("team", "user").get(team=make_team().team)


def test_the_last_two_owners_leave(owner):
    second = join(owner.team, "second", "owner")
    assert at_once(lambda: members.leave(by(owner)), lambda: members.leave(by(second))) == ["LastOwner"]
    assert Membership.objects.filter(role="owner").count() == 1


def test_two_owners_lower_each_other(owner):
    second = join(owner.team, "second", "owner")
    refused = at_once(
        lambda: members.change_role(by(owner), second, role("viewer")),
        lambda: members.change_role(by(second), owner, role("viewer")),
    )
    assert refused == ["NotAllowed"]
    assert Membership.objects.filter(role="owner").count() == 1


def test_the_same_link_twice(owner):
    noor = User.objects.create_user("noor@example.test", None)
    _, token = invitations.invite(by(owner), "noor@example.test", role("viewer"))
    refused = at_once(*[lambda: invitations.accept(actor_of(noor, None), token, noor)] * 3)
    assert refused == ["InvitationClosed"] * 2


def test_two_accounts_by_the_same_link(owner):
    _, token = invitations.invite(by(owner), "noor@example.test", role("viewer"))
    refused = at_once(*[lambda: invitations.accept_new(actor_of(None, None), token, "N", "long enough password")] * 2)
    assert refused == ["InvitationClosed"]
    assert User.objects.filter(email="noor@example.test").count() == 1


def test_the_same_invitation_and_request_twice(owner):
    vic = join(owner.team, "vic", "viewer")
    invite = lambda: invitations.invite(by(owner), "noor@example.test", role("viewer"))  # noqa: E731
    assert at_once(invite, invite) == ["AlreadyInvited"]
    ask = lambda: access_requests.ask(by(vic), "record:read", "")  # noqa: E731
    assert at_once(ask, ask) == ["AlreadyAsked"]
