"""apps/teams/teams.py and deleting.py."""

import pytest
from django.db.models import PROTECT

from apps.access.models import AuditEntry, Identity, TeamAccess
from apps.accounts.models import Membership, Team, User
from apps.billing.models import UsageHour
from apps.delivery.models import DeliveryStream
from apps.queues.models import Queue
from apps.streams.models import Stream
from apps.teams import deleting, invitations, members, teams
from apps.teams.authority import Gone, NotAllowed
from tests.domain.teams.people import NOW_MS, actor_of, by, join, own, own_choice, role, trail
from tests.support.delivery_rows import make_delivery
from tests.support.teams import make_team


@pytest.fixture
def staff(owner):
    owner.user.is_staff = True
    owner.user.save()
    return owner.user


@pytest.fixture
def second(owner):
    return make_team("999999999999", "second", "AKIDOTHER", email="other@example.test")


def test_a_team_is_made_by_who_runs_the_installation(staff, viewer):
    made = teams.create(actor_of(staff, None), staff, "orders-2", " Orders  two ", "staging")
    assert (made.name, made.slug, made.environment) == ("Orders two", "orders-2", "staging")
    assert made.account_id.isdigit()
    assert len(made.account_id) == 12
    assert made.account_id[0] != "0"
    assert Membership.objects.get(team=made).role == "owner"
    assert AuditEntry.objects.get().account_id == made.account_id
    with pytest.raises(NotAllowed):
        teams.create(actor_of(viewer.user, None), viewer.user, "mine", "Mine", "other")


@pytest.mark.parametrize(
    ("slug", "name", "environment", "error"),
    [
        ("", "x", "other", teams.BadSlug),
        ("-a", "x", "other", teams.BadSlug),
        ("a/b", "x", "other", teams.BadSlug),
        ("A", "x", "other", teams.BadSlug),
        ("a\n", "x", "other", teams.BadSlug),
        ("x" * 41, "x", "other", teams.BadSlug),
        ("first", "x", "other", teams.SlugTaken),
        ("ok", "  ", "other", teams.BadName),
        ("ok", "x" * 81, "other", teams.BadName),
        ("ok", "x", "moon", teams.BadEnvironment),
    ],
)
def test_what_is_no_team(staff, slug, name, environment, error):
    with pytest.raises(error):
        teams.create(actor_of(staff, None), staff, slug, name, environment)


def test_settings_are_changed(owner, viewer):
    wanted = [" mailto:ops@example.test", "https://hooks.example.test/x", "", "mailto:ops@example.test"]
    teams.update(by(owner), "Payments", "development", wanted, allow_private=True)
    team = Team.objects.get()
    assert (team.name, team.environment) == ("Payments", "development")
    assert team.notify == ["mailto:ops@example.test", "https://hooks.example.test/x"]
    teams.update(by(owner), "Payments", "development", wanted, allow_private=True)
    assert trail() == [("UpdateTeam", "team/first")]
    with pytest.raises(NotAllowed):
        teams.update(by(viewer), "Mine", "other", [], allow_private=True)


@pytest.mark.parametrize("target", ["ftp://x", "arn:aws:sns:us-east-1:1:x", "mailto:nobody", "https://" + "x" * 1100])
def test_what_is_no_notification_address(owner, target):
    with pytest.raises(teams.BadNotify):
        teams.update(by(owner), "x", "other", [target], allow_private=True)
    with pytest.raises(teams.BadNotify, match="At most"):
        teams.update(by(owner), "x", "other", [f"mailto:a{n}@x.test" for n in range(6)], allow_private=True)


def test_an_older_teams_own_word_for_its_environment_stays(owner):
    Team.objects.update(environment="blue")
    owner.team.refresh_from_db()
    assert teams.update(by(owner), "x", "blue", [], allow_private=True).environment == "blue"


def test_data_calls_are_recorded_or_not(owner, viewer):
    teams.record_data_calls(by(owner), on=True)
    teams.record_data_calls(by(owner), on=True)
    assert TeamAccess.objects.get().audits_data
    teams.record_data_calls(by(owner), on=False)
    assert trail() == [("RecordDataCalls", "team/first")] * 2
    with pytest.raises(NotAllowed):
        teams.record_data_calls(by(viewer), on=True)


def theirs(second):
    return Membership.objects.select_related("team", "user").get(team=second.team)


def test_a_team_is_deleted_with_what_it_holds_and_its_trail_stays(owner, second, runtime):
    boss = theirs(second)
    invitations.invite(by(boss), "a@example.test", role("viewer"))
    Identity.objects.create(
        team=second.team, kind="user", name="App", name_key="app", unique_id="AIDA1", created_at_ms=NOW_MS
    )
    UsageHour.objects.create(team=second.team, resource="stream/x", meter="records-in", hour_ms=0, meter_key="k")
    with pytest.raises(deleting.WrongName):
        deleting.delete(by(boss), "Second", runtime)
    deleting.delete(by(boss), "second", runtime)
    assert Team.objects.get() == owner.team
    assert User.objects.filter(pk=boss.user_id).exists()
    assert AuditEntry.objects.filter(account_id="999999999999").count() == 2
    with pytest.raises(Gone):
        members.leave(by(boss))


def test_a_team_with_streams_is_not_deleted(owner, second, runtime):
    make_delivery(second)
    with pytest.raises(deleting.NotEmpty, match="1 delivery streams"):
        deleting.delete(by(theirs(second)), "second", runtime)
    found = {one.what: one.blocking for one in deleting.dependants(second.team, NOW_MS)}
    assert found == {"Delivery streams": True, "Members": False, "Access keys": False}


def test_roles_of_its_own_do_not_keep_it(second, runtime):
    mine, boss = own(second.team, "Keys", "key:write"), theirs(second)
    join(second.team, "kim", "", mine)
    invitations.invite(by(boss), "ann@example.test", own_choice(mine))
    deleting.delete(by(boss), "second", runtime)
    assert not Team.objects.filter(slug="second").exists()


def test_the_first_team_and_so_the_last_is_not_deleted(owner, second, runtime):
    with pytest.raises(deleting.FirstTeam):
        deleting.delete(by(owner), "first", runtime)


def test_only_who_may_deletes(second, runtime):
    admin = join(second.team, "admin2", "admin")
    with pytest.raises(NotAllowed):
        deleting.delete(by(admin), "second", runtime)


def test_nothing_that_holds_a_team_back_is_forgotten():
    pointing = [one for one in Team._meta.get_fields(include_hidden=True) if one.auto_created and not one.concrete]
    held = {one.related_model for one in pointing if one.on_delete is PROTECT}
    blocking = {Stream, DeliveryStream, Queue}
    assert held == {*deleting.GOES_WITH_IT, *blocking}
